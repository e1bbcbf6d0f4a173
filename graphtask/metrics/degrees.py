"""Degree statistics. Everything here takes time linear in the edges."""

import math

import numpy as np

from graphtask.metrics.metric import AUTHORS, ROUNDING, Metric
from graphtask.metrics.simple import SIMPLE, degrees, require_edge, require_simple
from graphtask.metrics.view import GraphView, UndefinedMetricError


def edges_per_node(view: GraphView) -> float:
    """m/n, which also is the mean in-degree and the mean out-degree.

    Example:
        >>> import graphtask as gt
        >>> gt.measure(gt.full_dag(5), metrics=["edges_per_node", "max_out_degree"])
        {'edges_per_node': 2.0, 'max_out_degree': 4, 'undefined': ''}
    """
    require_simple(view)
    return view.n_edges / view.n_nodes


def std_degree(view: GraphView) -> float:
    """Standard deviation (of the population) of the degrees."""
    return float(np.std(degrees(view).total))


def std_in_degree(view: GraphView) -> float:
    """Standard deviation (of the population) of the in-degrees."""
    return float(np.std(degrees(view).incoming))


def std_out_degree(view: GraphView) -> float:
    """Standard deviation (of the population) of the out-degrees."""
    return float(np.std(degrees(view).outgoing))


def min_degree(view: GraphView) -> int:
    """The smallest degree."""
    return int(degrees(view).total.min())


def max_degree(view: GraphView) -> int:
    """The largest degree."""
    return int(degrees(view).total.max())


def max_in_degree(view: GraphView) -> int:
    """The largest in-degree."""
    return int(degrees(view).incoming.max())


def max_out_degree(view: GraphView) -> int:
    """The largest out-degree."""
    return int(degrees(view).outgoing.max())


def span_degree(view: GraphView) -> float:
    """The largest degree over the smallest."""
    if min_degree(view) == 0:
        raise UndefinedMetricError("a node has no edges")
    return max_degree(view) / min_degree(view)


def edge_density(view: GraphView) -> float:
    """m/(n(n − 1)), at most one half for a DAG."""
    require_simple(view, least=2)
    return view.n_edges / (view.n_nodes * (view.n_nodes - 1))


def degree_assortativity(view: GraphView) -> float:
    """Pearson's correlation, over the edges, of the source's out-degree with the target's in-degree.

    Computed in integers up to the last step, which distinguishes no variance from little variance.
    """
    require_edge(view)
    known = degrees(view)
    source = known.outgoing[view.edges[:, 0]].tolist()
    target = known.incoming[view.edges[:, 1]].tolist()
    m, sum_source, sum_target = view.n_edges, sum(source), sum(target)
    covariance = m * sum(x * y for x, y in zip(source, target, strict=True)) - sum_source * sum_target
    variances = [
        m * sum(x * x for x in source) - sum_source**2,
        m * sum(y * y for y in target) - sum_target**2,
    ]
    if 0 in variances:
        raise UndefinedMetricError("all sources have the same out-degree, or all targets the same in-degree")
    correlation = float(covariance / math.sqrt(variances[0]) / math.sqrt(variances[1]))
    return max(-1.0, min(1.0, correlation))


def s_metric(view: GraphView) -> float:
    """√(Σ d_u·d_v / m), the sum over the edges u → v of the product of the degrees of both ends."""
    require_edge(view)
    total = degrees(view).total
    return math.sqrt(int((total[view.edges[:, 0]] * total[view.edges[:, 1]]).sum()) / view.n_edges)


def modularity_trace(view: GraphView) -> float:
    """−Σ in-degree·out-degree / m: the trace, and so the sum of the eigenvalues, of the modularity matrix."""
    require_edge(view)
    known = degrees(view)
    return -int((known.incoming * known.outgoing).sum()) / view.n_edges


METRICS = (
    Metric(
        name="edges_per_node",
        compute=edges_per_node,
        formula="m/n",
        low=0.0,
        meaning="denser",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: edges_per_node",
        sets=("extended",),
    ),
    Metric(
        name="mean_in_degree",
        compute=edges_per_node,
        formula="mean number of edges into a node, which is m/n",
        low=0.0,
        meaning="denser",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: mean_in_degree",
        sets=("extended",),
    ),
    Metric(
        name="mean_out_degree",
        compute=edges_per_node,
        formula="mean number of edges out of a node, which is m/n",
        low=0.0,
        meaning="denser",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: mean_out_degree",
        sets=("extended",),
    ),
    Metric(
        name="std_degree",
        compute=std_degree,
        error=ROUNDING,
        formula="standard deviation (population) of the degrees, edges in both directions counted",
        low=0.0,
        meaning="degrees differ more",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: std_degree",
        sets=("extended",),
    ),
    Metric(
        name="std_in_degree",
        compute=std_in_degree,
        error=ROUNDING,
        formula="standard deviation (population) of the in-degrees",
        low=0.0,
        meaning="nodes collect from more different numbers of others",
        defined_when=SIMPLE,
        cost="O(m)",
        source="standard",
        sets=("extended",),
    ),
    Metric(
        name="std_out_degree",
        compute=std_out_degree,
        error=ROUNDING,
        formula="standard deviation (population) of the out-degrees",
        low=0.0,
        meaning="nodes pass on to more different numbers of others",
        defined_when=SIMPLE,
        cost="O(m)",
        source="standard",
        sets=("extended",),
    ),
    Metric(
        name="min_degree",
        compute=min_degree,
        formula="smallest degree, edges in both directions counted",
        low=0,
        meaning="no node hangs by a few edges",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: min_degree",
        sets=("extended",),
        kind="count",
    ),
    Metric(
        name="max_degree",
        compute=max_degree,
        formula="largest degree, edges in both directions counted",
        low=0,
        meaning="a larger hub",
        defined_when=SIMPLE,
        cost="O(m)",
        source=f"{AUTHORS}: max_degree",
        sets=("extended",),
        kind="count",
    ),
    Metric(
        name="max_in_degree",
        compute=max_in_degree,
        formula="largest number of edges into a node",
        low=0,
        meaning="a node collects from more others",
        defined_when=SIMPLE,
        cost="O(m)",
        source="standard",
        sets=("extended",),
        kind="count",
    ),
    Metric(
        name="max_out_degree",
        compute=max_out_degree,
        formula="largest number of edges out of a node",
        low=0,
        meaning="a node passes on to more others",
        defined_when=SIMPLE,
        cost="O(m)",
        source="standard",
        sets=("extended",),
        kind="count",
    ),
    Metric(
        name="span_degree",
        compute=span_degree,
        formula="largest degree / smallest degree",
        low=1.0,
        meaning="degrees differ more",
        defined_when=f"{SIMPLE}, every node with an edge",
        cost="O(m)",
        source=f"{AUTHORS}: span_degree",
        sets=("extended",),
    ),
    Metric(
        name="edge_density",
        compute=edge_density,
        formula="m/(n(n − 1)), directed: 1/2 for the full DAG",
        low=0.0,
        high=0.5,
        meaning="denser",
        defined_when=f"{SIMPLE}, with two nodes",
        cost="O(m)",
        source=f"{AUTHORS}: density",
        sets=("extended",),
    ),
    Metric(
        name="degree_assortativity",
        compute=degree_assortativity,
        error=ROUNDING,
        formula="correlation over the edges of the source's out-degree with the target's in-degree (directed)",
        low=-1.0,
        high=1.0,
        meaning="nodes that pass on to many feed nodes that collect from many",
        defined_when=f"{SIMPLE}, with edges of different degrees",
        cost="O(m)",
        source=f"{AUTHORS}: degree_assortativity; Newman, Phys. Rev. E 67, 026126 (2003)",
        sets=("extended",),
    ),
    Metric(
        name="s_metric",
        compute=s_metric,
        error=ROUNDING,
        formula="√(Σ over the edges of the product of the degrees of both ends / m), directions ignored",
        low=1.0,
        meaning="hubs are connected to hubs",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(m)",
        source=f"{AUTHORS}: s_metric_norm; Li et al., arXiv:cond-mat/0501169",
        sets=("extended",),
    ),
    Metric(
        name="modularity_trace",
        compute=modularity_trace,
        error=ROUNDING,
        formula="−Σ in-degree·out-degree / m: trace of A − k_out·k_inᵀ/m, the sum of its eigenvalues (directed)",
        high=0.0,
        meaning="fewer ways lead through the nodes, relative to the edges",
        defined_when=f"{SIMPLE}, with an edge",
        cost="O(m)",
        source=f"{AUTHORS}: modularity_trace; Leicht & Newman, Phys. Rev. Lett. 100, 118703 (2008)",
        sets=("extended",),
    ),
)
