"""Cuts: the number of edges across every depth, from the input to the output."""

import numpy as np

from graphtask.metrics import paths
from graphtask.metrics.metric import AUTHORS, ROUNDING, Metric
from graphtask.metrics.simple import ONE_PATH, SIMPLE, require_edge, require_simple
from graphtask.metrics.view import GraphView
from graphtask.types import IntArray


def cut_widths(view: GraphView) -> IntArray:
    """Number of edges from nodes of a depth below k to the others, for k = 1 … the largest depth.

    The depth of a node is the number of edges of the longest path that ends at it, so that the widths do not depend
    on how the nodes are numbered.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.metrics.view import Options
        >>> cut_widths(GraphView(gt.full_dag(5), Options())).tolist()
        [4, 6, 6, 4]
    """
    return view.cached(_cut_widths)


def mean_cut_width(view: GraphView) -> float:
    """Mean of `cut_widths`, which also is Σ (depth of the target − depth of the source)/(largest depth)."""
    return float(cut_widths(view).mean())


def max_cut_width(view: GraphView) -> int:
    """The largest of `cut_widths`: the number of values in memory when nodes are executed depth by depth."""
    return int(cut_widths(view).max())


def cut_width_profile(view: GraphView) -> str:
    """All `cut_widths`, with spaces between them."""
    return " ".join(map(str, cut_widths(view).tolist()))


def bottlenecks(view: GraphView) -> int:
    """Number of edges that every path from the input to the output takes.

    The authors count the positions of the node order that only one edge crosses. With one input and one output
    these are the bridges of the graph, so the order does not matter: every node is before the bridge or behind it.
    """
    require_simple(view)
    _ = view.ends
    return len(view.graph.bridges())


def span_path(view: GraphView) -> float:
    """The length of the longest path from the input to the output over that of the shortest."""
    require_simple(view, least=2)
    return paths.max_path(view) / paths.min_path(view)


def _cut_widths(view: GraphView) -> IntArray:
    require_edge(view)
    depth = view.cached(_depths)
    change = np.bincount(depth[view.edges[:, 0]], minlength=int(depth.max()) + 1)
    change -= np.bincount(depth[view.edges[:, 1]], minlength=len(change))
    return np.cumsum(change)[:-1]


def _depths(view: GraphView) -> IntArray:
    successors = view.graph.get_adjlist(mode="out")
    depth = [0] * view.n_nodes
    for node in view.order.tolist():
        behind = depth[node] + 1
        for successor in successors[node]:
            depth[successor] = max(depth[successor], behind)
    return np.array(depth, dtype=np.int64)


_WIDTH = (
    "number of edges from nodes of a depth below k to the others (depth: longest path that ends at a node)"
)
_CUTS = "Díaz, Petit & Serna, ACM Comput. Surv. 34, 313 (2002), for depths in the place of an order"

METRICS = (
    Metric(
        name="span_path",
        compute=span_path,
        error=ROUNDING,
        formula="max_path/min_path",
        low=1.0,
        meaning="paths of more different lengths",
        defined_when=f"{ONE_PATH} that are not the same",
        cost="O(m)",
        source=f"{AUTHORS}: span_path",
        sets=("extended",),
    ),
    Metric(
        name="bottlenecks",
        compute=bottlenecks,
        formula="number of edges that every path from the input to the output takes",
        low=0,
        meaning="more places where all depends on one edge",
        defined_when=ONE_PATH,
        cost="O(m)",
        source=f"{AUTHORS}: n_bottlenecks",
        sets=("extended",),
        kind="count",
    ),
    Metric(
        name="mean_cut_width",
        compute=mean_cut_width,
        error=ROUNDING,
        formula=f"mean over k = 1 … the largest depth of the {_WIDTH}",
        low=1.0,
        meaning="more or longer edges",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(m)",
        source=_CUTS,
        sets=("extended",),
    ),
    Metric(
        name="max_cut_width",
        compute=max_cut_width,
        formula=f"largest over k = 1 … the largest depth of the {_WIDTH}",
        low=1,
        meaning="a broader graph",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(m)",
        source=_CUTS,
        sets=("extended",),
        kind="count",
    ),
    Metric(
        name="cut_width_profile",
        compute=cut_width_profile,
        formula=f"the {_WIDTH}; for k = 1, 2, 3 …, with spaces between",
        meaning="nothing; the profile is a list of numbers",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(m)",
        source=_CUTS,
        kind="text",
    ),
)
