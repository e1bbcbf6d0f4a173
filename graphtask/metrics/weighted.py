"""Metrics of the edge weights; undefined before training."""

import math
from typing import NamedTuple

import numpy as np

from graphtask.graph import WEIGHT
from graphtask.metrics.metric import ROUNDING, Metric
from graphtask.metrics.simple import ONE_PATH, SIMPLE, require_edge, require_simple
from graphtask.metrics.size import share_gone
from graphtask.metrics.view import GraphView, UndefinedMetricError
from graphtask.types import FloatArray, IntArray

_TRAINED = "every edge has a `weight` ≥ 0"


class WeightedEdges(NamedTuple):
    """Source, target and weight of every edge."""

    source: IntArray
    target: IntArray
    weight: FloatArray


class WeightedPaths(NamedTuple):
    """Paths from the input to the output: ln of the sum of their weights, and their mean length."""

    log_total: float
    mean_length: float


def total_weight(view: GraphView) -> float:
    """Σ weight, the L1 norm of the edges; the paper's resource loss without its factor λ.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.chain_dag(3)
        >>> graph.es["weight"] = [0.5, 0.25]
        >>> gt.measure(graph, metrics=["total_weight", "mean_strength"])
        {'total_weight': 0.75, 'mean_strength': 0.5, 'undefined': ''}
    """
    return math.fsum(weighted_edges(view).weight.tolist())


def weighted_sparsity(view: GraphView) -> float:
    """1 − Σ weight/m0, m0 the edges of the initial graph."""
    return share_gone(total_weight(view), view.initial.get("edges"))


def mean_strength(view: GraphView) -> float:
    """Mean over the nodes of the sum of the weights of their edges."""
    return 2 * total_weight(view) / view.n_nodes


def std_strength(view: GraphView) -> float:
    """Standard deviation (of the population) over the nodes of the sum of the weights of their edges."""
    return float(np.std(_strength(view, "source") + _strength(view, "target")))


def max_in_strength(view: GraphView) -> float:
    """The largest sum of the weights of the edges into a node."""
    return float(_strength(view, "target").max())


def max_out_strength(view: GraphView) -> float:
    """The largest sum of the weights of the edges out of a node."""
    return float(_strength(view, "source").max())


def log_weighted_paths(view: GraphView) -> float:
    """The logarithm of the sum over all paths from the input to the output of the product of their weights."""
    return view.cached(_weighted_paths).log_total


def mean_weighted_path(view: GraphView) -> float:
    """Mean number of edges over all paths, each counted with the product of its weights."""
    return view.cached(_weighted_paths).mean_length


def weighted_edges(view: GraphView) -> WeightedEdges:
    """The edges of a simple DAG with their weights."""
    return view.cached(_weighted_edges)


def _weighted_edges(view: GraphView) -> WeightedEdges:
    require_simple(view)
    if WEIGHT not in view.graph.es.attributes():
        if f"file_{WEIGHT}" in view.graph.es.attributes():
            raise UndefinedMetricError(
                "the edge weights of the file must all be in [0, 1], and were renamed to `file_weight` (scale them)"
            )
        raise UndefinedMetricError("no edge has a weight (the graph is not trained)")
    values = view.graph.es[WEIGHT]
    for index, value in enumerate(values):
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not (number and 0 <= value < math.inf):
            raise UndefinedMetricError(f"the weight of edge {index} is {value!r}")
    ends = np.array(view.graph.get_edgelist(), dtype=np.int64).reshape(-1, 2)
    return WeightedEdges(ends[:, 0], ends[:, 1], np.array(values, dtype=np.float64))


def _strength(view: GraphView, end: str) -> FloatArray:
    edges = weighted_edges(view)
    strength = np.bincount(getattr(edges, end), weights=edges.weight, minlength=view.n_nodes)
    return strength.astype(np.float64)


def _weighted_paths(view: GraphView) -> WeightedPaths:
    """One sweep: the paths to a vertex are those to its predecessors, one longer.

    Sums are kept as m·2^e, so that they cannot vanish or overflow.
    """
    require_edge(view)
    ends = view.ends
    before: list[list[tuple[int, float]]] = [[] for _ in range(view.n_nodes)]
    for source, target, weight in zip(*(column.tolist() for column in weighted_edges(view)), strict=True):
        if weight > 0:
            before[target].append((source, weight))
    mantissa, exponent, length = [0.0] * view.n_nodes, [0] * view.n_nodes, [0.0] * view.n_nodes
    mantissa[ends.input] = 1.0
    for node in view.order.tolist():
        arriving = [(source, weight) for source, weight in before[node] if mantissa[source] > 0]
        if not arriving:
            continue
        top = max(exponent[source] for source, _ in arriving)
        shares = [
            math.ldexp(mantissa[source], exponent[source] - top) * weight for source, weight in arriving
        ]
        total = math.fsum(shares)
        base = length[arriving[0][0]]
        beyond = [
            share * (length[source] - base) for share, (source, _) in zip(shares, arriving, strict=True)
        ]
        length[node] = 1 + base + math.fsum(beyond) / total
        mantissa[node], shift = math.frexp(total)
        exponent[node] = top + shift
    if mantissa[ends.output] == 0:
        raise UndefinedMetricError("every path has an edge of weight 0", value=-math.inf)
    log_total = math.log(mantissa[ends.output]) + exponent[ends.output] * math.log(2)
    return WeightedPaths(log_total, length[ends.output])


METRICS = (
    Metric(
        name="total_weight",
        compute=total_weight,
        error=ROUNDING,
        formula="Σ weight",
        low=0.0,
        meaning="more or stronger connections",
        reads_weights=True,
        defined_when=f"{SIMPLE}; {_TRAINED}",
        cost="O(m)",
        source="standard",
        sets=("extended",),
    ),
    Metric(
        name="weighted_sparsity",
        compute=weighted_sparsity,
        error=ROUNDING,
        formula="1 − Σ weight/m0, m0 edges of the initial graph",
        high=1.0,
        meaning="fewer or weaker connections are left",
        reads_weights=True,
        defined_when=f"{SIMPLE}; {_TRAINED}; the provenance records how many edges the initial graph had",
        cost="O(m)",
        source="standard",
        sets=("extended",),
    ),
    Metric(
        name="mean_strength",
        compute=mean_strength,
        error=ROUNDING,
        formula="2·Σ weight/n; half of it goes into the nodes, half out of them",
        low=0.0,
        meaning="more or stronger connections at a node",
        reads_weights=True,
        defined_when=f"{SIMPLE}; {_TRAINED}",
        cost="O(m)",
        source="Barrat et al., PNAS 101, 3747 (2004)",
        sets=("extended",),
    ),
    Metric(
        name="std_strength",
        compute=std_strength,
        error=ROUNDING,
        formula="standard deviation (population) over the nodes of the sum of the weights of their edges",
        low=0.0,
        meaning="strengths differ more",
        reads_weights=True,
        defined_when=f"{SIMPLE}; {_TRAINED}",
        cost="O(m)",
        source="Barrat et al., PNAS 101, 3747 (2004)",
        sets=("extended",),
    ),
    Metric(
        name="max_in_strength",
        compute=max_in_strength,
        error=ROUNDING,
        formula="largest sum of the weights of the edges into a node",
        low=0.0,
        meaning="a node collects more",
        reads_weights=True,
        defined_when=f"{SIMPLE}; {_TRAINED}",
        cost="O(m)",
        source="Barrat et al., PNAS 101, 3747 (2004)",
        sets=("extended",),
    ),
    Metric(
        name="max_out_strength",
        compute=max_out_strength,
        error=ROUNDING,
        formula="largest sum of the weights of the edges out of a node",
        low=0.0,
        meaning="a node passes on more",
        reads_weights=True,
        defined_when=f"{SIMPLE}; {_TRAINED}",
        cost="O(m)",
        source="Barrat et al., PNAS 101, 3747 (2004)",
        sets=("extended",),
    ),
    Metric(
        name="log_weighted_paths",
        compute=log_weighted_paths,
        error=ROUNDING,
        formula="ln Σ over the paths from the input to the output of the product of their weights",
        meaning="more or stronger ways through the network; log_paths if every weight is 1",
        reads_weights=True,
        defined_when=f"{ONE_PATH}, with an edge; {_TRAINED}; −inf if every path has an edge of weight 0",
        cost="O(m)",
        source="standard",
        sets=("extended",),
    ),
    Metric(
        name="mean_weighted_path",
        compute=mean_weighted_path,
        error=ROUNDING,
        formula="mean number of edges over the paths from the input to the output, each counted with the product of its weights",
        low=0.0,
        meaning="strong paths are longer; mean_path if every weight is the same 1",
        reads_weights=True,
        defined_when=f"{ONE_PATH}, with an edge; {_TRAINED}; not all paths have an edge of weight 0",
        cost="O(m)",
        source="standard",
        sets=("extended",),
    ),
)
