"""How many edges lead from the first nodes to the last, at every position of the node order."""

import numpy as np

from graphtask.graph import IntArray
from graphtask.metrics import paths
from graphtask.metrics.metric import AUTHORS, Metric
from graphtask.metrics.simple import ONE_PATH, SIMPLE, require_simple
from graphtask.metrics.view import GraphView


def cut_widths(view: GraphView) -> IntArray:
    """Number of edges from the first k nodes of the node order to the others, for k = 1 … n − 1.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.metrics.view import Options
        >>> cut_widths(GraphView(gt.full_dag(5), Options())).tolist()
        [4, 6, 6, 4]
    """
    return view.once(_cut_widths)


def mean_cut_width(view: GraphView) -> float:
    """Mean of `cut_widths`, which also is Σ (position of the target − position of the source)/(n − 1)."""
    return float(cut_widths(view).mean())


def max_cut_width(view: GraphView) -> int:
    """The largest of `cut_widths`: values to be kept at once by who executes the nodes in order."""
    return int(cut_widths(view).max())


def bottlenecks(view: GraphView) -> int:
    """The number of edges that every path from the input to the output takes.

    The authors count the positions of the node order that one edge alone crosses. With one input and one output
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
    require_simple(view, least=2)
    position = np.empty(view.n_nodes, dtype=np.int64)
    position[view.order] = np.arange(view.n_nodes)
    change = np.bincount(position[view.edges[:, 0]], minlength=view.n_nodes)
    change -= np.bincount(position[view.edges[:, 1]], minlength=view.n_nodes)
    return np.cumsum(change)[:-1]


METRICS = (
    Metric(
        name="span_path",
        compute=span_path,
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
        formula="mean over k = 1 … n − 1 of the number of edges from the first k nodes of the node order to the others",
        low=0.0,
        meaning="more or longer edges",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(m)",
        source="Díaz, Petit & Serna, ACM Comput. Surv. 34, 313 (2002), for the given order",
        sets=("extended",),
        order_dependent=True,
    ),
    Metric(
        name="max_cut_width",
        compute=max_cut_width,
        formula="largest over k = 1 … n − 1 of the number of edges from the first k nodes of the node order to the others",
        low=0,
        meaning="a broader graph",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(m)",
        source="Díaz, Petit & Serna, ACM Comput. Surv. 34, 313 (2002), for the given order",
        sets=("extended",),
        kind="count",
        order_dependent=True,
    ),
)
