"""Whether edges that once were weak recover, and whether edges that are gone in the end fought back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from graphtask.edge_sets import Edges, edge_set
from graphtask.errors import ArgumentError
from graphtask.pruning import kept_edges
from graphtask.runs.history import EdgeHistory
from graphtask.types import BoolArray

REBOUND = 10.0  # times the threshold; what the paper takes for "significantly larger"


@dataclass(frozen=True, kw_only=True)
class EdgeDynamics:
    """What retained and eliminated edges did during training; the columns A to D of the paper's Table 4.

    Only the ends of epochs count, not the start. *Below* τ is < τ and *above* is >.
    """

    threshold: float
    """τ."""
    edges: int
    """Retained edges."""
    eliminated: int
    """All others."""
    a_percent: float
    """A: the percentage of the retained edges that were below τ at the end of at least one epoch."""
    b_epochs: float
    """B: the number of epoch ends at which a retained edge was below τ, on average over the retained edges."""
    c_percent: float
    """C: the percentage of the eliminated edges that after first falling below τ rose above 10·τ."""
    d_epochs: float
    """D: the number of epoch ends at which an eliminated edge was above τ after first falling below it, on average
    over the eliminated edges; one that never fell below τ counts as 0."""
    undefined: str = ""
    """Why some of A to D are NaN."""


def edge_dynamics(
    history: EdgeHistory, *, threshold: float = 0.006, retained: Edges | None = None
) -> EdgeDynamics:
    """How often retained edges had been weak, and how often eliminated ones came back.

    Args:
        history: The edge weights at the start and at the end of every epoch.
        threshold: τ, > 0.
        retained: The edges that count as retained: the pruned graph, or pairs of names; all others are eliminated.
            By default those that pruning the last weights at ``threshold`` keeps, dead paths removed. Where a weight
            may equal the threshold to the last bit, give the pruned graph.

    Raises:
        ArgumentError: The threshold is not above 0, the history has no epoch, or a retained edge is not in it.

    Example:
        >>> import numpy as np, graphtask as gt
        >>> magnitudes = np.array([[0.5, 0.5], [0.001, 0.001], [0.2, 0.2], [0.3, 0.001]])
        >>> history = gt.EdgeHistory(edges=(("a", "b"), ("b", "c")), w=np.arctanh(magnitudes))
        >>> fates = gt.edge_dynamics(history, threshold=0.01, retained=[("a", "b")])
        >>> fates.a_percent, fates.b_epochs, fates.c_percent, fates.d_epochs
        (100.0, 1.0, 100.0, 1.0)

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Appendix D,
        Table 4.
    """
    if not threshold > 0:
        raise ArgumentError(f"threshold={threshold!r} does not work; give a number above 0, such as 0.006")
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


def epoch_ends(history: EdgeHistory) -> npt.NDArray[np.float64]:
    """The magnitudes at the ends of the epochs, shape (epochs, edges).

    Raises:
        ArgumentError: There is no epoch.
    """
    values = history.magnitudes[1:]
    if not len(values):
        raise ArgumentError("the history has no epoch; train for at least one")
    return values


def retained_edges(
    history: EdgeHistory, *, threshold: float = 0.006, retained: Edges | None = None
) -> BoolArray:
    """Which edges of the history count as retained, shape (edges,); see `edge_dynamics`.

    Raises:
        ArgumentError: A retained edge is not in the history.
    """
    if retained is None:
        return kept_edges(history.edges, history.magnitudes[-1], threshold=threshold)
    wanted = edge_set(retained)
    unknown = wanted.difference(history.edges)
    if unknown:
        source, target = min(unknown)
        raise ArgumentError(
            f"the history has no edge {source!r} → {target!r}; take a graph that was pruned from the run's own"
        )
    return np.array([pair in wanted for pair in history.edges], dtype=np.bool_)


def _mean(values: npt.ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else math.nan


def _reasons(measured: Mapping[str, float]) -> str:
    """Why values are NaN: A and B are of the retained edges, C and D of the eliminated ones."""
    return "; ".join(
        f"{name}: no edge is {'retained' if name[0] in 'ab' else 'eliminated'}"
        for name, value in measured.items()
        if math.isnan(value)
    )
