"""Edge connectivity between the input and the output."""

from graphtask.metrics.view import GraphView, UndefinedMetricError


def edge_connectivity(view: GraphView) -> int:
    """The least number of edges whose removal cuts the output off from the input (directed; Menger: disjoint paths).

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(60))["edge_connectivity"]
        59
    """
    if view.n_edges == 0 and view.n_nodes > 1:
        return 0
    ends = view.ends
    if ends.input == ends.output:
        raise UndefinedMetricError("the input is the output")
    return int(view.graph.edge_connectivity(ends.input, ends.output, checks=False))
