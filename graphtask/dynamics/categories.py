"""Edge categories A to D: retained edges that were weak for a time, and eliminated edges that recovered for a time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphtask.edge_sets import Edges, edge_set
from graphtask.errors import ArgumentError
from graphtask.pruning import kept_edges
from graphtask.runs.history import EdgeHistory
from graphtask.types import PAPER_THRESHOLD, BoolArray
from graphtask.validation import invalid

REBOUND = 10.0  # times the threshold; the paper's "significantly larger"


@dataclass(frozen=True, kw_only=True)
class EdgeDynamics:
    """Edge categories A to D of one run, the columns of the paper's Table 4.

    Only the ends of epochs count, not the start. *Below* τ is < τ and *above* is >.
    """

    threshold: float
    """τ."""
    edges: int
    """Number of retained edges."""
    eliminated: int
    """Number of all other edges."""
    a_percent: float
    """A: percentage of the retained edges that were below τ at the end of at least one epoch."""
    b_epochs: float
    """B: number of epoch ends at which a retained edge was below τ, mean over the retained edges."""
    c_percent: float
    """C: percentage of the eliminated edges that rose above 10·τ after first falling below τ."""
    d_epochs: float
    """D: number of epoch ends at which an eliminated edge was above τ after first falling below it, mean over the
    eliminated edges; 0 for an edge that never fell below τ."""
    undefined: str = ""
    """Reason why some of A to D are NaN."""


def edge_dynamics(
    history: EdgeHistory, *, threshold: float = PAPER_THRESHOLD, retained: Edges | None = None
) -> EdgeDynamics:
    """Return the edge categories A to D of a run.

    Args:
        history: Edge weights at the start and at the end of every epoch.
        threshold: τ, > 0.
        retained: Edges that count as retained: the pruned graph, or pairs of names; all others are eliminated. None
            takes the edges that pruning the last weights at ``threshold`` keeps, dead paths removed. Where a weight
            may equal the threshold to the last bit, pass the pruned graph.

    Raises:
        ArgumentError: The threshold is not above 0, the history has no epoch, or a retained edge is not in it.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> magnitudes = np.array([[0.5, 0.5], [0.001, 0.001], [0.2, 0.2], [0.3, 0.001]])
        >>> history = gt.EdgeHistory(edges=(("a", "b"), ("b", "c")), w=np.arctanh(magnitudes))
        >>> found = gt.dynamics.edge_dynamics(history, threshold=0.01, retained=[("a", "b")])
        >>> found.a_percent, found.b_epochs, found.c_percent, found.d_epochs
        (100.0, 1.0, 100.0, 1.0)

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Appendix D,
        Table 4.
    """
    check_threshold(threshold)
    values = epoch_ends(history)
    kept = retained_edges(history, threshold=threshold, retained=retained)
    below = values < threshold
    has_fallen = np.logical_or.accumulate(below, axis=0)
    measured = {
        "a_percent": 100 * _mean(below[:, kept].any(axis=0)),
        "b_epochs": _mean(below[:, kept].sum(axis=0)),
        "c_percent": 100 * _mean((has_fallen & (values > REBOUND * threshold))[:, ~kept].any(axis=0)),
        "d_epochs": _mean((has_fallen & (values > threshold))[:, ~kept].sum(axis=0)),
    }
    return EdgeDynamics(
        threshold=float(threshold),
        edges=int(kept.sum()),
        eliminated=int((~kept).sum()),
        undefined=_reasons(measured),
        **measured,
    )


def check_threshold(threshold: float) -> None:
    """Raise unless the threshold is a number above 0.

    Raises:
        ArgumentError: It is not.
    """
    if not (isinstance(threshold, int | float | np.number) and 0 < threshold < math.inf):
        raise invalid("threshold", "a number > 0", threshold, remedy=f"the paper uses {PAPER_THRESHOLD}")


def epoch_ends(history: EdgeHistory) -> npt.NDArray[np.float64]:
    """Return the magnitudes at the ends of the epochs, shape (epochs, edges).

    Raises:
        ArgumentError: There is no epoch.
    """
    values = history.magnitudes[1:]
    if not len(values):
        raise ArgumentError("the history has no epoch; train for at least one", argument="history")
    return values


def retained_edges(
    history: EdgeHistory, *, threshold: float = PAPER_THRESHOLD, retained: Edges | None = None
) -> BoolArray:
    """Return True for each edge of the history that counts as retained, shape (edges,); see `edge_dynamics`.

    Raises:
        ArgumentError: A retained edge is not in the history.
    """
    if retained is None:
        return kept_edges(history.edges, history.magnitudes[-1], threshold=threshold)
    names = edge_set(retained)
    unknown = names.difference(history.edges)
    if unknown:
        source, target = min(unknown)
        raise ArgumentError(
            f"the history has no edge {source!r} → {target!r}; take a graph that was pruned from the run's own",
            argument="retained",
        )
    return np.array([pair in names for pair in history.edges], dtype=np.bool_)


def _mean(values: npt.ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else math.nan


def _reasons(measured: Mapping[str, float]) -> str:
    """Return the reasons for NaN values: A and B are of the retained edges, C and D of the eliminated ones."""
    return "; ".join(
        f"{name}: no edge is {'retained' if name[0] in 'ab' else 'eliminated'}"
        for name, value in measured.items()
        if math.isnan(value)
    )
