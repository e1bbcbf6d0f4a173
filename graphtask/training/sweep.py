"""Pruning of a run over a range of thresholds: accuracy, sparsity and every metric (Fig. 2)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import igraph
import numpy as np
import numpy.typing as npt
import torch

from graphtask.columns import ACCURACY, named_after, with_dtypes
from graphtask.compiler.module import GraphModule
from graphtask.compiler.writeback import extract_subnetwork
from graphtask.data.batches import Batches, channel_statistics
from graphtask.data.dataset import ImageData
from graphtask.data.stream import Part, permutation
from graphtask.metrics.registry import select
from graphtask.metrics.table import measure_all, with_reasons
from graphtask.metrics.view import Options
from graphtask.pruning import PrunedParts, critical_threshold, prune, pruned_parts
from graphtask.runs.labels import provenance_labels
from graphtask.tasks import Task, standard_error
from graphtask.terminal import valid_text
from graphtask.training.batches import evaluation_batches, split_batches, with_splits
from graphtask.training.callbacks import tracked
from graphtask.training.config import TrainConfig
from graphtask.training.loop import Evaluation, evaluate, predictions
from graphtask.training.run import Run
from graphtask.types import PAPER_THRESHOLD, BoolArray
from graphtask.validation import counted, invalid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CONNECTED = "connected"
DISCONNECTED = "disconnected"

_BASIC = ("sparsity", "edges", "nodes")  # in every table
_PER_DECADE = 10
_LOWEST_DECADE = -4


@dataclass(frozen=True)
class SweepResult:
    """Result of pruning a run at a range of thresholds.

    Args:
        table: One row per threshold, in ascending order: ``run`` (name of its folder), ``dataset``, ``prior``, ``seed``;
            ``threshold``; ``status`` (``connected``, or ``disconnected``: then nothing is left) and ``reason``;
            ``test_accuracy`` (in [0, 1]; exactly the ``score_pruned`` of `parity`) and ``test_loss``, NaN if
            disconnected; ``decision_accuracy``, of the images that decide; ``sparsity``, ``edges``, ``nodes``, the
            metrics, and ``undefined``, the reason for NaN values. Constant columns: ``relative`` (whether thresholds are
            those of relative weights), ``trained_accuracy`` and ``test_images`` (their number), ``decided_on``
            (``validation`` or ``train``), ``critical_threshold``, ``suggested_threshold``. The accuracies of another task
            are named after its score, such as ``test_r2``.

    Example:
        >>> import pandas as pd
        >>> row = {"run": "a", "threshold": 0.1, "critical_threshold": 0.3, "suggested_threshold": 0.1}
        >>> SweepResult(pd.DataFrame([row]))
        SweepResult('a', 1 threshold, critical 0.3, suggested 0.1)
    """

    table: "pd.DataFrame"

    def __repr__(self) -> str:
        return (
            f"SweepResult({self.table['run'].iloc[0]!r}, {counted(len(self.table), 'threshold')}, critical "
            f"{self.critical_threshold:.4g}, suggested {self.suggested_threshold:.4g})"
        )

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import sweep_card

        return sweep_card(self)

    @property
    def critical_threshold(self) -> float:
        """Largest threshold that leaves input and output connected."""
        return float(self.table["critical_threshold"].iloc[0])

    @property
    def suggested_threshold(self) -> float:
        """Largest threshold without a noticeable loss of accuracy; see `suggested_threshold`."""
        return float(self.table["suggested_threshold"].iloc[0])

    def plot(self) -> "Figure":
        """Draw accuracy over sparsity and threshold (Fig. 2); see `graphtask.plot.draw_sweep`."""
        from graphtask.drawing.sweeps import draw_sweep

        return draw_sweep(self.table)


def sweep(
    run: Run,
    *,
    thresholds: Iterable[float] | None = None,
    relative: bool = False,
    metrics: str | Sequence[str] = "paper",
    data: ImageData | None = None,
    device: str = "auto",
    progress: bool = True,
) -> SweepResult:
    """Evaluate a run over a range of pruning thresholds, without further training, and measure each graph.

    The images are loaded and the trained network is made once. A graph that several thresholds leave is tested and
    measured once. The cost is one test of a shrinking network and one measurement for each *different* graph, of which
    there are at most as many as thresholds (or edges, if that is less).

    No test image has a part in the suggested threshold. It is decided on the validation images of the run; without
    any, on training images without augmentation: as many as there are test images, the same ones in every call.

    Args:
        run: A finished run.
        thresholds: τ, each ≥ 0, in any order; None is `threshold_grid`.
        relative: Compare the weight of an edge relative to the strongest edge into the same node with τ; see
            `graphtask.prune`.
        metrics: Metrics besides sparsity, edges and nodes: a set of metrics, or names; see `measure`.
        data: The images; None is the run's own data set.
        device: As in `train`.
        progress: Report progress on standard error.

    Raises:
        ArgumentError: There is no threshold, one is negative or not a number, or a metric is unknown.
        DataError: The data set is missing.
        RunError: The run's files do not match, or the data set has changed since training.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(4), data=digits, channels=2, epochs=1, batch_size=64, progress=False)
        >>> table = gt.sweep(run, thresholds=[0.0, 1.0], progress=False).table
        >>> table[["threshold", "status", "sparsity", "edges"]].values.tolist()
        [[0.0, 'connected', 0.0, 6], [1.0, 'disconnected', 1.0, 0]]

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", section 4,
        Fig. 2.
    """
    import pandas as pd

    select(metrics, options=Options())  # fails before the work, not after it
    grid = _checked(threshold_grid(run.graph, relative=relative) if thresholds is None else thresholds)
    trained = run.module(device=device)
    images = data or run.data()
    test = split_batches(images, run.config, device=trained.edge_weight.device).test
    deciding, decided_on = _deciding_batches(images, run.config, device=trained.edge_weight.device)
    task = run.task
    sweeper = _Sweeper(trained, run.graph, test, deciding, task=task, relative=relative)
    before = sweeper.unpruned()
    steps = [sweeper.at(threshold) for threshold in tracked(grid, title="sweeping", visible=progress)]
    measured = _measured([step.graph for step in steps], metrics)
    table = pd.concat([pd.DataFrame([step.row for step in steps]), measured], axis=1)
    for place, (name, value) in enumerate(
        {"run": _name(run), **provenance_labels(run.graph)._asdict()}.items()
    ):
        table.insert(place, name, value)
    table["relative"] = relative
    table["trained_accuracy"] = before.test.score
    table["test_images"] = test.n_images
    table["decided_on"] = decided_on
    table["critical_threshold"] = critical_threshold(run.graph, relative=relative)
    table["suggested_threshold"] = suggested_threshold(
        grid,
        table["decision_accuracy"].to_numpy(),
        trained_accuracy=before.decision.score,
        n_images=deciding.n_images,
        standard_error=None if task.score.name == ACCURACY else _standard_error(trained, deciding, task),
        larger_is_better=task.score.larger_is_better,
    )
    return SweepResult(with_dtypes(table).rename(columns=named_after(task.score.name)))


def threshold_grid(graph: igraph.Graph, *, relative: bool = False) -> list[float]:
    """Return the default thresholds of a sweep: the same for all graphs, plus the critical one of each.

    0, ten per decade from 0.0001 to 1, the paper's 0.006, and the largest that leaves the graph connected.

    Args:
        graph: A trained graph.
        relative: Thresholds of relative weights; see `graphtask.prune`.

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
    return sorted({0.0, PAPER_THRESHOLD, critical_threshold(graph, relative=relative), *shared})


def suggested_threshold(
    thresholds: npt.ArrayLike,
    accuracies: npt.ArrayLike,
    *,
    trained_accuracy: float,
    n_images: int,
    standard_error: float | None = None,
    larger_is_better: bool = True,
) -> float:
    """Return the largest threshold up to which pruning costs at most one standard error of the accuracy.

    That is the largest τ of the sweep for which every τ' ≤ τ of it has an accuracy of at least p − s, where p is the
    accuracy of the trained network on n images and s = √(q(1 − q)/n) with q = (pn + 2)/(n + 4), the binomial standard
    error; q instead of p (Agresti & Coull), so that a network without errors is allowed one. The paper chose its 0.006
    in this spirit: the largest sparsity without a noticeable drop. A finer grid gives a finer answer.

    Args:
        thresholds: τ, ascending.
        accuracies: The accuracy at each, in [0, 1]; NaN where nothing is left. Not of test images, if the accuracy on
            them is to be reported.
        trained_accuracy: Accuracy of the network before pruning, on the same images.
        n_images: Number of these images.
        standard_error: That of another score than the accuracy; see `graphtask.tasks.standard_error`.
        larger_is_better: False for a score that is better if it is smaller.

    Returns:
        One of the thresholds; NaN if already the first one costs more.

    Example:
        >>> suggested_threshold(
        ...     [0.0, 0.1, 0.2, 0.3], [0.9, 0.89, 0.7, 0.9], trained_accuracy=0.9, n_images=100
        ... )
        0.1
    """
    if standard_error is None:
        q = (trained_accuracy * n_images + 2) / (n_images + 4)
        standard_error = math.sqrt(q * (1 - q) / n_images)
    sign = 1 if larger_is_better else -1
    suffices = sign * np.asarray(accuracies, dtype=np.float64) >= sign * trained_accuracy - standard_error
    n_good = len(suffices) if suffices.all() else int(np.argmin(suffices))
    return float(np.asarray(thresholds, dtype=np.float64)[n_good - 1]) if n_good else math.nan


def _deciding_batches(images: ImageData, config: TrainConfig, *, device: torch.device) -> tuple[Batches, str]:
    """Return the images that decide on the threshold, and the name of their split."""
    split = with_splits(images, config)
    statistics = channel_statistics(split.x_train)
    if split.x_val is not None:
        return evaluation_batches(split, "val", config, statistics, device=device), "validation"
    order = permutation(len(split.y_train), seed=0, part=Part.VALIDATION)
    chosen = np.sort(order[: len(split.y_test)])
    some = replace(split, x_train=split.x_train[chosen], y_train=split.y_train[chosen])
    return evaluation_batches(some, "train", config, statistics, device=device), "train"


def _standard_error(module: GraphModule, batches: Batches, task: Task) -> float:
    """Return the standard error of the score of a network on the images that decide."""
    terms = [
        task.score.terms(outputs[index : index + 1], targets[index : index + 1]).cpu().double()
        for outputs, targets in predictions(module, batches)
        for index in range(len(targets))
    ]
    return standard_error(task.score, torch.stack(terms))


class _Step(NamedTuple):
    """Result of one threshold: the graph, and the part of its row that is not measured on the graph."""

    graph: igraph.Graph
    row: dict[str, Any]


class _Left(NamedTuple):
    """A pruned graph with the evaluations of its network."""

    graph: igraph.Graph
    test: Evaluation
    decision: Evaluation


class _Sweeper:
    """Prunes one network at any threshold; evaluates each pruned graph once."""

    def __init__(
        self,
        trained: GraphModule,
        graph: igraph.Graph,
        test: Batches,
        deciding: Batches,
        *,
        task: Task,
        relative: bool,
    ) -> None:
        self._task = task
        self._relative = relative
        self._trained = trained
        self._graph = graph
        self._test = test
        self._deciding = deciding
        self._known: dict[bytes, _Left] = {}

    def unpruned(self) -> _Left:
        return self._left(np.ones(self._graph.ecount(), dtype=np.bool_), 0.0)

    def at(self, threshold: float) -> _Step:
        parts = pruned_parts(self._graph, threshold=threshold, relative=self._relative)
        if parts.dead_nodes.all():
            row = {"status": DISCONNECTED, "reason": _why_disconnected(parts)}
            nothing = Evaluation(loss=math.nan, score=math.nan)
            left = _Left(_nothing(self._graph), nothing, nothing)
        else:
            row = {"status": CONNECTED, "reason": ""}
            left = self._left(~(parts.weak_edges | parts.dead_edges), threshold)
        measured = {
            "test_accuracy": left.test.score,
            "test_loss": left.test.loss,
            "decision_accuracy": left.decision.score,
        }
        return _Step(left.graph, {"threshold": threshold, **row, **measured})

    def _left(self, kept: BoolArray, threshold: float) -> _Left:
        key = np.packbits(kept).tobytes()
        if key not in self._known:
            graph = prune(self._graph, threshold=threshold, relative=self._relative)
            small = extract_subnetwork(self._trained, graph)
            test, decision = (evaluate(small, part, task=self._task) for part in (self._test, self._deciding))
            self._known[key] = _Left(graph, test, decision)
        return self._known[key]


def _why_disconnected(parts: PrunedParts) -> str:
    if parts.weak_edges.all():
        return "every edge is below the threshold"
    return "no path from the input to the output is left"


def _nothing(graph: igraph.Graph) -> igraph.Graph:
    empty = graph.copy()
    empty.delete_vertices(range(graph.vcount()))
    return empty


def _measured(graphs: list[igraph.Graph], metrics: str | Sequence[str]) -> "pd.DataFrame":
    """Measure every graph, repeated ones once."""
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
        raise invalid("thresholds", "numbers >= 0", wrong[0])
    if not found:
        raise invalid("thresholds", "at least one number", found, remedy="leave it out for the default ones")
    return sorted(set(found))


def _name(run: Run) -> str:
    return valid_text(run.folder.name) if run.folder is not None else ""
