"""Static plan of the fused execution: the stages of a graph, and the cheaper strategy for the sums of each."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from graphtask.compiler.plan import Plan
from graphtask.types import IntArray

Strategy: TypeAlias = Literal["dense", "sparse"]
"""How weighted sums are computed: as matrix products over whole tables, or edge by edge."""

_WIDEST_BLOCK = 16  # nodes; beyond it a product is bound by arithmetic, not by memory
# Memory traffic of a dense sum, forward and backward, next to that of one edge of a sparse sum:
_ENTRY = 0.18  # of an entry of the matrix of weights, be it zero or not
_NODE = 2.5  # of a node, for writing its sum in blocks


class Source(NamedTuple):
    """A value of an earlier stage, brought into this one by a reduce block."""

    node: int
    """Position of the node in the node order."""
    key: str
    """Name of the block in the module's ``reduces``."""


@dataclass(frozen=True)
class StagePlan:
    """Work of one stage. Its table has one row per source, followed by one row per node of the stage."""

    stage: int
    """Number of the stage."""
    first: int
    """Position of its first node in the node order."""
    keys: tuple[str, ...]
    """Names of the nodes' blocks in the module's ``nodes``."""
    sources: tuple[Source, ...]
    """Values from earlier stages, ordered by node."""
    targets: IntArray
    """Target of each edge into the stage, counted from the first node of the stage; edges are ordered by target."""
    rows: IntArray
    """Row of the table that each edge reads."""
    edges: IntArray
    """Index of each edge in the vector of edge weights."""
    strategy: Strategy
    """How the sums are computed."""
    width: int
    """Nodes of a block, which share one product over everything before the block."""

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.keys)

    @property
    def n_sources(self) -> int:
        """Number of sources."""
        return len(self.sources)

    @property
    def n_rows(self) -> int:
        """Number of rows of the table."""
        return self.n_sources + self.n_nodes

    def rows_from(self, start: "StagePlan") -> range:
        """Return the rows of the sources that are nodes of another stage; sources are ordered by node."""
        nodes = [source.node for source in self.sources]
        return range(bisect_left(nodes, start.first), bisect_left(nodes, start.first + start.n_nodes))


def plan_stages(plan: Plan) -> tuple[StagePlan, ...]:
    """Return the stages of a plan in the order of their computation, each with the cheaper strategy.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.compiler.plan import make_plan
        >>> [(s.n_sources, s.n_nodes, s.strategy) for s in plan_stages(make_plan(gt.full_dag(60, stages=3)))]
        [(0, 20, 'dense'), (20, 20, 'dense'), (40, 20, 'dense')]
    """
    return tuple(_plan_stage(plan, stage) for stage in sorted({node.stage for node in plan.nodes}))


def _plan_stage(plan: Plan, stage: int) -> StagePlan:
    members = [position for position, node in enumerate(plan.nodes) if node.stage == stage]
    sources = tuple(
        Source(position, reduction.key)
        for position, node in enumerate(plan.nodes)
        for reduction in node.reduces
        if reduction.stage == stage
    )
    row = {node: index for index, node in enumerate((*(source.node for source in sources), *members))}
    edges = [
        (position - members[0], row[edge.source], edge.edge)
        for position in members
        for edge in plan.nodes[position].incoming
    ]
    targets, rows, indices = np.array(edges, dtype=np.int64).reshape(-1, 3).T
    n_nodes = len(members)
    is_dense = len(edges) > n_nodes * (_ENTRY * len(row) + _NODE)
    return StagePlan(
        stage=stage,
        first=members[0],
        keys=tuple(plan.nodes[position].key for position in members),
        sources=sources,
        targets=targets,
        rows=rows,
        edges=indices,
        strategy="dense" if is_dense else "sparse",
        width=min(_WIDEST_BLOCK, round(math.sqrt(n_nodes))) if is_dense else 1,
    )
