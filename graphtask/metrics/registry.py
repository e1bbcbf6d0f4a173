"""Registry of the metrics: the only definition of the columns of a table."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from graphtask.metrics import communicability, connectivity, layout, paths, size
from graphtask.metrics.extended import EXTENDED
from graphtask.metrics.metric import (
    AUTHORS,
    LARGE,
    LAYOUT_ERROR,
    PAIR_SUFFIX,
    ROUNDING,
    STAGE_SUFFIX,
    Metric,
    Value,
)
from graphtask.metrics.view import GraphView, Options, UndefinedMetricError
from graphtask.validation import invalid

_PAPER = "Janik & Nowak, Connectivity properties of neural networks under performance-resources trade-off"


@dataclass(frozen=True)
class Selection:
    """Selected metrics of a table."""

    metrics: tuple[Metric, ...]
    by_name: bool
    """True if each was selected by name, so that none is skipped because of its cost."""

    @cached_property
    def per_stage(self) -> bool:
        """True if the columns depend on the stages of the graphs."""
        return any(metric.per_stage for metric in self.metrics)

    def cells(self, stages: Iterable[int]) -> list[tuple[str, Metric, tuple[int, ...]]]:
        """Return name, metric and stages of every column of a graph with these stages."""
        key = tuple(stages)
        if key not in self._cells:
            self._cells[key] = [
                (column, metric, at) for metric in self.metrics for column, at in metric.columns(key).items()
            ]
        return self._cells[key]

    @cached_property
    def _cells(self) -> dict[tuple[int, ...], list[tuple[str, Metric, tuple[int, ...]]]]:
        return {}

    def columns(self, stages: Iterable[int]) -> list[str]:
        """The columns of the table, before ``undefined``."""
        ordered = sorted(stages)
        return [column for metric in self.metrics for column in metric.columns(ordered)]


def q1d(view: GraphView) -> bool:
    """Return True for a quasi-one-dimensional graph: `pca_elongation` > 0.25 and `edge_connectivity` > 1."""
    elongation = round(layout.pca_elongation(view), 6)  # the value that the table shows
    return elongation > 0.25 and connectivity.edge_connectivity(view) > 1


_CONNECTED = "a DAG with one input and one output"

_BUILT_IN = (
    Metric(
        name="sparsity",
        compute=size.sparsity,
        formula="1 − m/m0, m0 edges of the initial graph",
        high=1.0,
        meaning="fewer connections are left; negative if the graph has grown",
        defined_when="the provenance records how many edges the initial graph had",
        cost="O(1)",
        source=_PAPER,
        sets=("paper", "extended"),
    ),
    Metric(
        name="sparsity_stage_k",
        compute=size.sparsity_of_stage,
        formula="1 − m/m0 over the edges with both ends in stage k",
        high=1.0,
        meaning="fewer connections are left inside the stage",
        defined_when="the provenance records how many edges the stage had, more than 0",
        cost="O(m)",
        source=_PAPER,
        sets=("paper", "extended"),
    ),
    Metric(
        name="nodes",
        compute=size.nodes,
        formula="n",
        low=0,
        meaning="more nodes",
        cost="O(1)",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="nodes_stage_k",
        compute=size.nodes_of_stage,
        formula="number of nodes in stage k",
        low=0,
        meaning="more nodes in the stage",
        defined_when="every vertex has a stage",
        cost="O(n)",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="edges",
        compute=size.edges,
        formula="m",
        low=0,
        meaning="more connections",
        cost="O(1)",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="parameters",
        compute=size.parameters,
        formula="trainable parameters of the compiled network, a polynomial in its channels",
        low=0,
        meaning="a larger network",
        defined_when=f"the channels are given or in the provenance; {_CONNECTED}; stages never fall along an edge",
        cost="O(m log m)",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="log_paths",
        compute=paths.log_paths,
        error=ROUNDING,
        formula="ln of the number of paths from the input to the output",
        low=0.0,
        meaning="more ways through the network",
        defined_when=f"{_CONNECTED}; −inf without edges",
        cost="O(m)",
        source=_PAPER,
        sets=("paper", "extended"),
    ),
    Metric(
        name="mean_path",
        compute=paths.mean_path,
        error=ROUNDING,
        formula="mean number of edges over all paths from the input to the output",
        low=0.0,
        meaning="a deeper network",
        defined_when=_CONNECTED,
        cost="O(m)",
        source=_PAPER,
        sets=("paper", "extended"),
    ),
    Metric(
        name="std_path",
        compute=paths.std_path,
        error=ROUNDING,
        formula="standard deviation (population) of the number of edges over all paths",
        low=0.0,
        meaning="paths of more different lengths",
        defined_when=_CONNECTED,
        cost="O(m)",
        source=AUTHORS,
        sets=("paper", "extended"),
    ),
    Metric(
        name="min_path",
        compute=paths.min_path,
        formula="number of edges of the shortest path from the input to the output",
        low=0,
        meaning="no shortcut",
        defined_when=_CONNECTED,
        cost="O(m)",
        source=AUTHORS,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="max_path",
        compute=paths.max_path,
        formula="number of edges of the longest path from the input to the output",
        low=0,
        meaning="a deeper network",
        defined_when=_CONNECTED,
        cost="O(m)",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="ln_communicability",
        compute=communicability.ln_communicability,
        error=ROUNDING,
        formula="ln [exp(A + Aᵀ)]_uv, u the input, v the output",
        meaning="more and shorter walks between input and output, edges taken in both directions",
        defined_when=f"{_CONNECTED}; −inf without edges",
        cost="O(m·(r + max_path)), r the spectral radius",
        source="Estrada & Hatano, Phys. Rev. E 77, 036111 (2008)",
        sets=("paper", "extended"),
        max_nodes=LARGE,
    ),
    Metric(
        name="ln_communicability_directed",
        compute=communicability.ln_communicability_directed,
        error=ROUNDING,
        formula="ln [exp(A)]_uv: paths of length k weighted by 1/k!",
        meaning="more and shorter paths from input to output",
        defined_when=f"{_CONNECTED}; −inf without edges",
        cost="O(m·max_path)",
        source="Estrada & Hatano, Phys. Rev. E 77, 036111 (2008)",
        sets=("paper", "extended"),
        max_nodes=LARGE,
    ),
    Metric(
        name="edge_connectivity",
        compute=connectivity.edge_connectivity,
        formula="least number of edges whose removal cuts the output off from the input (directed)",
        low=0,
        meaning="more paths that share no edge",
        defined_when=f"{_CONNECTED} that are not the same; 0 without edges",
        cost="one maximum flow",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="count",
    ),
    Metric(
        name="mean_degree",
        compute=size.mean_degree,
        formula="2m/n",
        low=0.0,
        meaning="denser",
        defined_when="the graph has nodes",
        cost="O(1)",
        source=_PAPER,
        sets=("paper", "extended"),
    ),
    Metric(
        name="pca_elongation",
        compute=layout.pca_elongation,
        error=LAYOUT_ERROR,
        formula="2·(V1 − 0.5), V1 the share of variance on the first principal axis of the Kamada-Kawai layout",
        low=0.0,
        high=1.0,
        meaning="more like a line; 0 is as wide as long",
        defined_when="a connected DAG with at least two nodes",
        cost="O(n²) a step of the optimizer",
        source=f"{_PAPER}; layout as in networkx",
        sets=("paper", "extended"),
        max_nodes=LARGE,
        order_dependent=True,
        prepare=layout.prepare_layouts,
    ),
    Metric(
        name="pca_elongation_spread",
        compute=layout.pca_elongation_spread,
        error=LAYOUT_ERROR,
        formula="standard deviation (sample) of pca_elongation over the starts of the layout",
        low=0.0,
        meaning="a less certain pca_elongation",
        defined_when="pca_elongation is, and the layout has several starts",
        cost="O(n²) a step of the optimizer",
        source="standard",
        max_nodes=LARGE,
        order_dependent=True,
        prepare=layout.prepare_layouts,
    ),
    Metric(
        name="q1d",
        compute=q1d,
        formula="pca_elongation > 0.25 and edge_connectivity > 1",
        low=0,
        high=1,
        meaning="quasi-one-dimensional",
        defined_when="pca_elongation and edge_connectivity are",
        cost="that of pca_elongation",
        source=_PAPER,
        sets=("paper", "extended"),
        kind="flag",
        max_nodes=LARGE,
        order_dependent=True,
        prepare=layout.prepare_layouts,
    ),
)

_METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_BUILT_IN, *EXTENDED)}


def all_metrics() -> list[Metric]:
    """Return all registered metrics, in the order of the columns."""
    return list(_METRICS.values())


def register_metric(metric: Metric) -> None:
    """Register a metric, so that it can be selected by its name and by its sets.

    Raises:
        ArgumentError: The name is taken, or would give two columns the same name.

    Example:
        >>> import graphtask as gt
        >>> density = gt.metrics.Metric(
        ...     name="density", compute=lambda view: view.graph.density(), formula="m/(n(n − 1))"
        ... )
        >>> gt.metrics.register_metric(density)
        >>> gt.measure(gt.full_dag(4), metrics=["density"])
        {'density': 0.5, 'undefined': ''}
        >>> gt.metrics.unregister_metric("density")
    """
    if metric.name in _METRICS or metric.name in metric_sets() or metric.name == "undefined":
        raise invalid("name", "a new name", metric.name, remedy="that name is registered already")
    _METRICS[metric.name] = metric


def unregister_metric(name: str) -> None:
    """Unregister a metric.

    Raises:
        ArgumentError: There is no metric of this name.
    """
    if name not in _METRICS:
        raise invalid("name", "a registered metric", name)
    del _METRICS[name]


def metric_sets() -> list[str]:
    """Return the names of the sets of metrics."""
    return sorted({name for metric in _METRICS.values() for name in metric.sets})


def select(metrics: str | Sequence[str], *, options: Options) -> Selection:
    """Select metrics by a set, or by names of metrics and of sets, in the order given.

    Raises:
        ArgumentError: A name is unknown.

    Example:
        >>> [metric.name for metric in select(["diameter", "paper", "edges"], options=Options()).metrics][:3]
        ['diameter', 'sparsity', 'sparsity_stage_k']
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    sets = metric_sets()
    chosen: dict[str, Metric] = {}
    for name in names:
        if name not in _METRICS and name not in sets:
            raise invalid("metrics", "names of metrics or sets", name, remedy=_hint(name, names))
        found = (
            [metric for metric in _METRICS.values() if name in metric.sets]
            if name in sets
            else [_METRICS[name]]
        )
        chosen |= {metric.name: metric for metric in found if metric.name not in chosen}
    by_name = not any(name in sets for name in names)
    return Selection(tuple(_with_spread(list(chosen.values()), options)), by_name=by_name)


def _hint(name: str, asked: Sequence[str]) -> str:
    """Suggest similar names; the column of one stage stands for the metric of all stages."""
    known = [*metric_sets(), *_METRICS]
    plain = re.sub(
        r"_stage_\d+$", STAGE_SUFFIX, re.sub(r"_stage_\d+_\d+$", PAIR_SUFFIX, name.strip().lower())
    )
    others = [word for word in known if word not in asked]
    close = [plain] if plain in known else difflib.get_close_matches(plain, others, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {len(_METRICS)}, and the sets {', '.join(metric_sets())}: graphtask metrics --list shows them"


def evaluate(metric: Metric, view: GraphView, *stages: int) -> tuple[Value, str]:
    """Return the value of a metric (at its stages) and the reason if it is undefined; an exception in it is a reason too."""
    if metric.max_nodes is not None and view.n_nodes > metric.max_nodes and not view.allow_slow:
        return math.nan, f"skipped beyond {metric.max_nodes} nodes (select it by name to compute it)"
    try:
        value = metric.compute(view, *stages)
    except UndefinedMetricError as error:
        return error.value, error.reason
    except Exception as error:  # noqa: BLE001  one metric of one graph never takes a batch down
        return math.nan, f"{type(error).__name__}: {error}"
    if isinstance(value, float) and not math.isfinite(value):
        return value, "the computation returned no finite number"
    return metric.rounded(value), ""


def _with_spread(chosen: list[Metric], options: Options) -> Iterable[Metric]:
    spread = _METRICS["pca_elongation_spread"]
    for metric in chosen:
        yield metric
        if metric.name == "pca_elongation" and options.layout_starts > 1 and spread not in chosen:
            yield spread
