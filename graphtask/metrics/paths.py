"""The paths from the input to the output: how many there are, and how long.

Small graphs: the number of paths of every length, exactly as long as it is below 2^53. Large graphs: one sweep over
the vertices in topological order, in time linear in the edges, with numbers that cannot overflow.
"""

import math
from typing import NamedTuple

import numpy as np

from graphtask.metrics.view import SMALL, GraphView, UndefinedMetricError
from graphtask.metrics.walks import count_walks
from graphtask.types import FloatArray


class PathStatistics(NamedTuple):
    """Number and lengths (in edges) of all paths from the input to the output."""

    log_count: float
    mean: float
    std: float
    shortest: int
    longest: int


def log_paths(view: GraphView) -> float:
    """The logarithm (natural) of the number of paths from the input to the output.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(60))["log_paths"]  # 58·ln 2
        40.202536472477
    """
    require_edges(view)
    return statistics(view).log_count


def mean_path(view: GraphView) -> float:
    """Mean length over all paths from the input to the output."""
    return statistics(view).mean


def std_path(view: GraphView) -> float:
    """Standard deviation (of the population) of the lengths of all paths from the input to the output."""
    return statistics(view).std


def min_path(view: GraphView) -> int:
    """Length of the shortest path from the input to the output."""
    return statistics(view).shortest


def max_path(view: GraphView) -> int:
    """Length of the longest path from the input to the output."""
    return statistics(view).longest


def statistics(view: GraphView) -> PathStatistics:
    """Return all path statistics."""
    return view.cached(_statistics)


def counts_by_length(view: GraphView) -> FloatArray:
    """The number of paths of length 0, 1, 2 … from the input to the output of a graph of at most `SMALL` nodes."""
    return view.cached(_counts_by_length)


def require_edges(view: GraphView) -> None:
    """Raise, with −inf as the logarithm of nothing, if no vertex has a path to another."""
    if view.n_edges == 0 and view.n_nodes > 1:
        raise UndefinedMetricError("the graph has no edges", value=-math.inf)


def _counts_by_length(view: GraphView) -> FloatArray:
    ends = view.ends
    return count_walks(view.adjacency, ends.input, ends.output, length=view.n_nodes - 1)


def _statistics(view: GraphView) -> PathStatistics:
    return _from_counts(view) if view.n_nodes <= SMALL else _swept(view)


def _from_counts(view: GraphView) -> PathStatistics:
    counts = counts_by_length(view)
    lengths = np.flatnonzero(counts)
    counts = counts[lengths]
    total = float(counts.sum())
    # Lengths are measured from the integer nearest to their mean: paths of one length have a deviation of exactly 0.
    center = round(float((lengths * counts).sum()) / total)
    offset = lengths - center
    mean = float((offset * counts).sum()) / total
    variance = float((counts * (offset - mean) ** 2).sum()) / total
    return PathStatistics(
        math.log(total), center + mean, math.sqrt(variance), int(lengths[0]), int(lengths[-1])
    )


def _swept(view: GraphView) -> PathStatistics:
    """Count, mean, and variance of the paths to each vertex from those of its predecessors.

    The paths to a vertex are those to its predecessors, one longer: counts add up, means and variances are those of
    a mixture. Counts are m·2^e; means are kept as a whole number and a rest in [−1, 1], so that rounding is relative
    to the spread of the lengths, not to the lengths.
    """
    ends, n = view.ends, view.n_nodes
    by_target = np.argsort(view.edges[:, 1], kind="stable")
    sources = view.edges[by_target, 0]
    pointers = np.concatenate([[0], np.cumsum(np.bincount(view.edges[:, 1], minlength=n))]).tolist()
    mantissa, exponent = np.zeros(n), np.zeros(n, dtype=np.int64)
    whole, rest, variance = np.zeros(n, dtype=np.int64), np.zeros(n), np.zeros(n)
    shortest, longest = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    mantissa[ends.input] = 1.0
    for node in view.order.tolist():
        if node == ends.input:
            continue
        before = sources[pointers[node] : pointers[node + 1]]
        exponents = exponent[before]
        top = exponents.max()
        share = np.ldexp(mantissa[before], np.maximum(exponents - top, -5000).astype(np.int32))
        total = share.sum()
        base = whole[before[0]]
        length = (whole[before] - base) + rest[before]
        mean = (share * length).sum() / total
        variance[node] = (share * (variance[before] + (length - mean) ** 2)).sum() / total
        step = round(float(mean))
        whole[node], rest[node] = base + step + 1, mean - step
        shortest[node], longest[node] = shortest[before].min() + 1, longest[before].max() + 1
        mantissa[node], shift = math.frexp(total)
        exponent[node] = top + shift
    out = ends.output
    return PathStatistics(
        math.log(mantissa[out]) + int(exponent[out]) * math.log(2),
        int(whole[out]) + float(rest[out]),
        math.sqrt(variance[out]),
        int(shortest[out]),
        int(longest[out]),
    )
