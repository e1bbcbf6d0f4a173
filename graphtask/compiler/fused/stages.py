"""Static plan of the fused execution: the stages of a graph, and the cheaper strategy for the sums of each.

Costs are counted in passes: reading or writing one activation (the value of one node for the whole batch) once.
"""

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
_FREE_TARGETS = 4  # targets of a product for the memory traffic of one
_EDGE = 1.5  # passes of a sparse edge: one read, and its share of writing the sum
_GRADIENT_OF_ENTRY = 0.35  # passes for one entry of a matrix of weight gradients (a product over the batch)
_GRADIENT_OF_EDGE = 1.2  # passes for the gradient of one sparse edge


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
    """Target of each edge into the stage, counted from the first node of the stage."""
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
    width = min(_WIDEST_BLOCK, max(1, round(math.sqrt(len(members)))))
    dense = 2 * _dense_passes(len(sources), len(members), width)
    dense += _GRADIENT_OF_ENTRY * len(row) * len(members)
    is_dense = dense < (2 * _EDGE + _GRADIENT_OF_EDGE) * len(edges)
    return StagePlan(
        stage=stage,
        first=members[0],
        keys=tuple(plan.nodes[position].key for position in members),
        sources=sources,
        targets=targets,
        rows=rows,
        edges=indices,
        strategy="dense" if is_dense else "sparse",
        width=width if is_dense else 1,
    )


def _dense_passes(n_sources: int, n_nodes: int, width: int) -> float:
    across = n_sources * max(1.0, n_nodes / _FREE_TARGETS) + n_nodes if n_sources else 0.0
    starts = np.arange(0, n_nodes, width)
    shared = float(np.sum(starts * max(1.0, width / _FREE_TARGETS) + 2 * width))
    return across + shared + n_nodes * ((width - 1) / 2 + 2)
