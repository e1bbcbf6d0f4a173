"""What pruning at one threshold after the other leaves of a run: accuracy, sparsity and every metric (Fig. 2)."""

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import igraph
import numpy as np
import numpy.typing as npt

from graphtask.compiler.module import GraphModule
from graphtask.compiler.writeback import extract_subnetwork
from graphtask.data.batches import Batches
from graphtask.data.dataset import ImageData
from graphtask.errors import ArgumentError
from graphtask.graph import WEIGHT
from graphtask.metrics.registry import select
from graphtask.metrics.table import measure_all, with_reasons
from graphtask.metrics.view import Options
from graphtask.pruning import critical_threshold, prune, pruned_parts
from graphtask.runs.labels import origin
from graphtask.training.config import Regime
from graphtask.training.loop import Evaluation, evaluate
from graphtask.training.progress import tracked
from graphtask.training.run import Run, data_batches
from graphtask.types import BoolArray

if TYPE_CHECKING:
    import pandas as pd

CONNECTED = "connected"
DISCONNECTED = "disconnected"

_BASIC = ("sparsity", "edges", "nodes")  # in every table, whatever is measured besides
_PER_DECADE = 10
_LOWEST_DECADE = -4
_PAPER = 0.006


def sweep(
    run: Run,
    *,
    thresholds: Iterable[float] | None = None,
    metrics: str | Sequence[str] = "paper",
    data: ImageData | None = None,
    device: str = "auto",
    progress: bool = True,
) -> "pd.DataFrame":
    """Prune a run at each threshold, test what is left without training it further, and measure it.

    One pass: the images are loaded and the trained network is made once. A graph that several thresholds leave is
    tested and measured once. So the cost is one test of a network that only shrinks, and one measurement, for each
    *different* graph, of which there are at most as many as thresholds (or edges, if that is less).

    Args:
        run: A finished run.
        thresholds: τ, each ≥ 0, in any order; None is `threshold_grid`.
        metrics: What is measured besides sparsity, edges and nodes: a set of metrics, or names; see `measure`.
        data: The images; None is the run's own data set.
        device: As in `train`.
        progress: Whether to report progress on standard error.

    Returns:
        One row for each threshold, in ascending order: ``run`` (the name of its folder), ``data``, ``prior``,
        ``seed``; ``threshold``; ``status`` (``connected``, or ``disconnected``: then nothing is left) and ``reason``;
        ``test_accuracy`` (in [0, 1]; exactly the ``accuracy_pruned`` of `parity`) and ``test_loss``, NaN if
        disconnected; ``sparsity``, ``edges``, ``nodes``, the metrics, and ``undefined``, why some are NaN. The same in
        every row: ``trained_accuracy``, ``test_images`` (how many), ``critical_threshold`` (see
        `critical_threshold`), and ``suggested_threshold`` (see `suggested_threshold`).

    Raises:
        ArgumentError: There is no threshold, one is negative or not a number, or a metric is unknown.
        DataError: The data set is not where it was.
        RunError: The run's files do not fit each other, or the data set is not what it was.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> quick = gt.Regime(epochs=1, batch_size=64)
        >>> run = gt.train(gt.full_dag(4), data=digits, channels=2, regime=quick, progress=False)
        >>> table = gt.sweep(run, thresholds=[0.0, 1.0], progress=False)
        >>> table[["threshold", "status", "sparsity", "edges"]].values.tolist()
        [[0.0, 'connected', 0.0, 6], [1.0, 'disconnected', 1.0, 0]]

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", section 4,
        Fig. 2.
    """
    import pandas as pd

    select(metrics, options=Options())  # complains before the work, not after it
    grid = _checked(threshold_grid(run.graph) if thresholds is None else thresholds)
    trained = run.module(device=device)
    images = data or run.data()
    regime = Regime(**run.config["regime"])
    _, test = data_batches(images, regime=regime, device=trained.edge_weight.device)
    sweeper = _Sweeper(trained, run.graph, test)
    before = sweeper.unpruned()
    steps = [sweeper.at(threshold) for threshold in tracked(grid, title="sweeping", visible=progress)]
    measured = _measured([step.graph for step in steps], metrics)
    table = pd.concat([pd.DataFrame([step.row for step in steps]), measured], axis=1)
    for place, (name, value) in enumerate({"run": _name(run), **origin(run.graph)._asdict()}.items()):
        table.insert(place, name, value)
    table["trained_accuracy"] = before.accuracy
    table["test_images"] = len(images.x_test)
    table["critical_threshold"] = critical_threshold(run.graph)
    table["suggested_threshold"] = suggested_threshold(
        grid, table["test_accuracy"].to_numpy(), trained_accuracy=before.accuracy, n_images=len(images.x_test)
    )
    return table


def threshold_grid(graph: igraph.Graph) -> list[float]:
    """The thresholds that a sweep takes by default: the same for all graphs, but for the critical one of each.

    0, ten a decade from 0.0001 to 1, the paper's 0.006, and the largest that leaves the graph connected.

    Args:
        graph: A trained graph.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(4)
        >>> graph.es["weight"] = 0.3
        >>> grid = threshold_grid(graph)
        >>> len(grid), grid[:3], 0.3 in grid
        (44, [0.0, 0.0001, 0.000125893], True)
    """
    decades = np.logspace(_LOWEST_DECADE, 0, -_LOWEST_DECADE * _PER_DECADE + 1)
    shared = [float(f"{value:.6g}") for value in decades]
    return sorted({0.0, _PAPER, critical_threshold(graph), *shared})


def suggested_threshold(
    thresholds: npt.ArrayLike, accuracies: npt.ArrayLike, *, trained_accuracy: float, n_images: int
) -> float:
    """The largest threshold up to which pruning does not cost more than one standard error of the accuracy.

    That is the largest τ of the sweep for which every τ' ≤ τ of it has an accuracy of at least p − s, where p is the
    trained network's accuracy on n test images and s = √(q(1 − q)/n) with q = (pn + 2)/(n + 4), the binomial standard
    error; q instead of p (Agresti & Coull), so that a network without errors is allowed one. It is what the paper
    chose its 0.006 by: the largest sparsity without a noticeable drop. A finer grid gives a finer answer.

    Args:
        thresholds: τ, ascending.
        accuracies: The accuracy at each, in [0, 1]; NaN where nothing is left.
        trained_accuracy: That of the network before pruning.
        n_images: How many test images there are.

    Returns:
        One of the thresholds; NaN if already the first one costs more.

    Example:
        >>> suggested_threshold(
        ...     [0.0, 0.1, 0.2, 0.3], [0.9, 0.89, 0.7, 0.9], trained_accuracy=0.9, n_images=100
        ... )
        0.1
    """
    q = (trained_accuracy * n_images + 2) / (n_images + 4)
    least = trained_accuracy - math.sqrt(q * (1 - q) / n_images)
    suffices = np.asarray(accuracies, dtype=np.float64) >= least
    n_good = len(suffices) if suffices.all() else int(np.argmin(suffices))
    return float(np.asarray(thresholds, dtype=np.float64)[n_good - 1]) if n_good else math.nan


class _Step(NamedTuple):
    """One threshold: what it leaves, and the part of its row that is not measured on the graph."""

    graph: igraph.Graph
    row: dict[str, Any]


class _Left(NamedTuple):
    """What some threshold leaves, and how well it does."""

    graph: igraph.Graph
    outcome: Evaluation


class _Sweeper:
    """Prunes one network at any threshold; tests each graph that is left once."""

    def __init__(self, trained: GraphModule, graph: igraph.Graph, test: Batches) -> None:
        self._trained = trained
        self._graph = graph
        self._test = test
        self._known: dict[bytes, _Left] = {}

    def unpruned(self) -> Evaluation:
        return self._left(np.ones(self._graph.ecount(), dtype=np.bool_), 0.0).outcome

    def at(self, threshold: float) -> _Step:
        parts = pruned_parts(self._graph, threshold=threshold)
        if parts.dead_nodes.all():
            row = {"status": DISCONNECTED, "reason": _why_disconnected(self._graph, threshold)}
            outcome = Evaluation(loss=math.nan, accuracy=math.nan)
            graph = _nothing(self._graph)
        else:
            row = {"status": CONNECTED, "reason": ""}
            graph, outcome = self._left(~(parts.weak_edges | parts.dead_edges), threshold)
        measured = {"test_accuracy": outcome.accuracy, "test_loss": outcome.loss}
        return _Step(graph, {"threshold": threshold, **row, **measured})

    def _left(self, kept: BoolArray, threshold: float) -> _Left:
        key = np.packbits(kept).tobytes()
        if key not in self._known:
            graph = prune(self._graph, threshold=threshold)
            self._known[key] = _Left(graph, evaluate(extract_subnetwork(self._trained, graph), self._test))
        return self._known[key]


def _why_disconnected(graph: igraph.Graph, threshold: float) -> str:
    if threshold > max(graph.es[WEIGHT]):
        return "every edge is below the threshold"
    return "no path from the input to the output is left"


def _nothing(graph: igraph.Graph) -> igraph.Graph:
    empty = graph.copy()
    empty.delete_vertices(range(graph.vcount()))
    return empty


def _measured(graphs: list[igraph.Graph], metrics: str | Sequence[str]) -> "pd.DataFrame":
    """The metrics of every graph; those that come up again are measured once."""
    distinct = list({id(graph): graph for graph in graphs}.values())
    place = {id(graph): index for index, graph in enumerate(distinct)}
    basic = measure_all(distinct, metrics=_BASIC)
    asked = with_reasons(measure_all(distinct, metrics=metrics))
    whole = basic.join(asked.drop(columns=[name for name in _BASIC if name in asked]))
    return whole.iloc[[place[id(graph)] for graph in graphs]].reset_index(drop=True)


def _checked(thresholds: Iterable[object]) -> list[float]:
    found = [float(value) if isinstance(value, Real) else math.nan for value in thresholds]
    wrong = [value for value in found if not value >= 0]
    if wrong:
        raise ArgumentError(f"a threshold of {wrong[0]} does not work; give numbers of at least 0")
    if not found:
        raise ArgumentError("there is no threshold to sweep; give some, or none at all for the usual ones")
    return sorted(set(found))


def _name(run: Run) -> str:
    return run.folder.name if run.folder is not None else ""
