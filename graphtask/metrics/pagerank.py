"""PageRank: the stationary distribution of a random walk along the edges with random restarts."""

from graphtask.metrics.metric import AUTHORS, ROUNDING, Metric
from graphtask.metrics.simple import ONE_PATH, SIMPLE, require_simple
from graphtask.metrics.view import GraphView

_DAMPING = 0.85


def pagerank_output(view: GraphView) -> float:
    """The rank of the output, among ranks that add up to 1; a walk that arrives there restarts at a random node.

    A restart is equally likely everywhere, so ranks are proportional to y_j = 1 + 0.85·Σ y_i/d_out(i) over the
    edges i → j, which one sweep in topological order solves.

    Example:
        >>> import graphtask as gt
        >>> round(gt.measure(gt.chain_dag(2), metrics="pagerank_output")["pagerank_output"], 6)
        0.649123
    """
    require_simple(view)
    output = view.ends.output
    predecessors, outgoing = view.graph.get_adjlist(mode="in"), view.graph.outdegree()
    rank, passed_on = [0.0] * view.n_nodes, [0.0] * view.n_nodes
    for node in view.order.tolist():
        rank[node] = 1 + _DAMPING * sum(passed_on[before] for before in predecessors[node])
        passed_on[node] = rank[node] / max(outgoing[node], 1)
    return rank[output] / sum(rank)


def mean_pagerank(view: GraphView) -> float:
    """1/n, because all ranks add up to 1."""
    require_simple(view)
    return 1 / view.n_nodes


METRICS = (
    Metric(
        name="pagerank_output",
        compute=pagerank_output,
        error=ROUNDING,
        formula="PageRank of the output, damping 0.85, along the edges",
        low=0.0,
        high=1.0,
        meaning="a random walk along the edges ends more often at the output",
        defined_when=ONE_PATH,
        cost="O(m)",
        source=f"{AUTHORS}: page_rank; Page et al. (1999)",
        sets=("extended",),
    ),
    Metric(
        name="mean_pagerank",
        compute=mean_pagerank,
        error=ROUNDING,
        formula="1/n: ranks add up to 1",
        low=0.0,
        high=1.0,
        meaning="fewer nodes",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: page_rank_mean",
        sets=("extended",),
    ),
)
