"""Plan of the forward pass of a graph: all decisions are made once, so that the forward is a loop without any."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

import igraph

from graphtask.graph import NAME, edge_array, node_order, stages


class Incoming(NamedTuple):
    """Edge into a node."""

    edge: int
    """Index of the edge in the graph, and of its weight in the vector of edge weights."""
    source: int
    """Position of the source in the node order; its value is read at the stage of the target."""


class Reduction(NamedTuple):
    """Block that brings the value of a node into a later stage, for all edges from the node into that stage."""

    key: str
    """Name in the module's ``reduces``."""
    stage: int
    """Number of the later stage."""
    stride: int
    """Stride of the block."""


@dataclass(frozen=True)
class NodePlan:
    """Work for one node."""

    name: str
    """Name of the node in the graph."""
    key: str
    """Name in the module's ``nodes``."""
    stage: int
    """Stage of the node."""
    stride: int
    """Stride of its block: ``2^stage`` at the input node, which reads the image, else 1."""
    incoming: tuple[Incoming, ...]
    """Edges into the node, ordered by source; none at the input node."""
    reduces: tuple[Reduction, ...]
    """Reductions of its value, ordered by stage."""


@dataclass(frozen=True)
class Plan:
    """Nodes in the order of their computation: the input first, the output last."""

    nodes: tuple[NodePlan, ...]
    n_edges: int

    @property
    def input(self) -> NodePlan:
        """Node that reads the image."""
        return self.nodes[0]

    @property
    def output(self) -> NodePlan:
        """Node that the head reads."""
        return self.nodes[-1]


def make_plan(graph: igraph.Graph) -> Plan:
    """Return the plan of a valid graph.

    The order of summation follows the node order, independent of vertex and edge numbers.

    Example:
        >>> import graphtask as gt
        >>> for node in make_plan(gt.full_dag(3, stages=[2, 1])).nodes:
        ...     print(node.key, node.incoming, node.reduces)
        [v0] () (Reduction(key='[v0]1', stage=1, stride=2),)
        [v1] (Incoming(edge=0, source=0),) (Reduction(key='[v1]1', stage=1, stride=2),)
        [v2] (Incoming(edge=1, source=0), Incoming(edge=2, source=1)) ()
    """
    order = node_order(graph)
    position = {vertex: rank for rank, vertex in enumerate(order)}
    stage = stages(graph).tolist()
    incoming: list[list[Incoming]] = [[] for _ in order]
    reduced: list[set[int]] = [set() for _ in order]
    for edge, (source, target) in enumerate(edge_array(graph).tolist()):
        incoming[position[target]].append(Incoming(edge, position[source]))
        if stage[source] < stage[target]:
            reduced[position[source]].add(stage[target])
    names = graph.vs[NAME]
    nodes = [
        NodePlan(
            name=names[vertex],
            key=node_key(names[vertex]),
            stage=stage[vertex],
            stride=1 if rank else 2 ** stage[vertex],
            incoming=tuple(sorted(incoming[rank], key=lambda edge: edge.source)),
            reduces=tuple(
                Reduction(reduce_key(names[vertex], into), into, 2 ** (into - stage[vertex]))
                for into in sorted(reduced[rank])
            ),
        )
        for rank, vertex in enumerate(order)
    ]
    return Plan(nodes=tuple(nodes), n_edges=graph.ecount())


def node_key(name: str) -> str:
    """Return the key of a node in the module's ``nodes``, for any name.

    Percent-encoding avoids dots, which would split a state-dict key. Brackets avoid the names of module attributes
    (``type``, ``forward``, the empty one).

    Example:
        >>> node_key("v0"), node_key("layer.1/a"), node_key("type")
        ('[v0]', '[layer%2E1%2Fa]', '[type]')
    """
    return f"[{quote(name, safe='', errors='surrogatepass').replace('.', '%2E')}]"


def reduce_key(name: str, stage: int) -> str:
    """Return the key of the reduction of a node into ``stage`` in the module's ``reduces``.

    Example:
        >>> reduce_key("v0", 2)
        '[v0]2'
    """
    return f"{node_key(name)}{stage}"


def node_name(key: str) -> str:
    """Return the node name of a key from `node_key` or `reduce_key`.

    Example:
        >>> node_name("[layer%2E1%2Fa]"), node_name("[v0]2")
        ('layer.1/a', 'v0')
    """
    return unquote(key[1 : key.rindex("]")], errors="surrogatepass")
