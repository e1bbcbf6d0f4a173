"""How the fast execution computes a graph: decided once per graph by cost, before any image is seen.

Costs are counted in passes: reading or writing one activation (one node's value for the whole batch) once.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from graphtask.compiler.plan import Plan
from graphtask.types import IntArray

Way: TypeAlias = Literal["none", "product", "gather"]
"""How weighted sums are computed: no edges, a matrix product over whole rows, or edge by edge."""

_WIDEST_BLOCK = 16  # nodes; beyond it a product is bound by arithmetic, not by memory
_FREE_TARGETS = 4  # targets of a product for the memory traffic of one
_EDGE = 1.5  # passes of an edge that is gathered: one read, and its share of writing the sum
_GRADIENT_OF_ROWS = 0.35  # passes for one entry of a matrix of weight gradients (a product over the batch)
_GRADIENT_OF_EDGE = 1.2  # passes for the gradient of one edge by itself


class Source(NamedTuple):
    """A value from an earlier stage, brought into this one by a reduce block."""

    node: int
    """Position of the node in the node order."""
    key: str
    """Name of the block in the module's ``reduces``."""
    stride: int
    """Pixels of the node's value for one of the result."""


@dataclass(frozen=True)
class StagePlan:
    """The work of one stage. Its table has one row per source and, after them, one per node of the stage."""

    stage: int
    """Number of the stage."""
    first: int
    """Position of its first node in the node order."""
    keys: tuple[str, ...]
    """Names of the nodes' blocks in the module's ``nodes``."""
    sources: tuple[Source, ...]
    """The values that come from earlier stages."""
    targets: IntArray
    """For each edge into the stage: its target, counted from the first node of the stage."""
    rows: IntArray
    """For each edge into the stage: the row of the table that it reads."""
    edges: IntArray
    """For each edge into the stage: its index in the vector of edge weights."""
    across: Way
    """How the sums over the sources are computed."""
    inside: Way
    """How the sums over the stage's own nodes are computed."""
    width: int
    """Nodes of a block: they share one product over everything before the block."""

    @property
    def n_nodes(self) -> int:
        """Nodes of the stage."""
        return len(self.keys)

    @property
    def n_sources(self) -> int:
        """Sources of the stage."""
        return len(self.sources)

    @property
    def n_rows(self) -> int:
        """Rows of the stage's table."""
        return self.n_sources + self.n_nodes


def plan_stages(plan: Plan) -> tuple[StagePlan, ...]:
    """The stages of a plan in the order of their computation, with the cheapest way for each of their sums.

    Example:
        >>> import graphtask as gt
        >>> from graphtask.compiler.plan import make_plan
        >>> [
        ...     (s.n_sources, s.n_nodes, s.across, s.inside)
        ...     for s in plan_stages(make_plan(gt.full_dag(60, stages=3)))
        ... ]
        [(0, 20, 'none', 'product'), (20, 20, 'product', 'product'), (40, 20, 'product', 'product')]
    """
    numbers = sorted({node.stage for node in plan.nodes})
    first = {number: len(plan.nodes) for number in numbers}
    keys: dict[int, list[str]] = {number: [] for number in numbers}
    sources: dict[int, list[Source]] = {number: [] for number in numbers}
    edges: dict[int, list[tuple[int, int, int]]] = {number: [] for number in numbers}
    for position, node in enumerate(plan.nodes):
        first[node.stage] = min(first[node.stage], position)
        keys[node.stage].append(node.key)
        edges[node.stage].extend((position, edge.source, edge.edge) for edge in node.incoming)
        for reduction in node.reduces:
            sources[reduction.stage].append(Source(position, reduction.key, reduction.stride))
    return tuple(
        _plan_stage(number, first[number], keys[number], sources[number], edges[number]) for number in numbers
    )


def _plan_stage(
    stage: int, first: int, keys: list[str], sources: list[Source], edges: list[tuple[int, int, int]]
) -> StagePlan:
    table = np.array(edges, dtype=np.int64).reshape(-1, 3)
    n_nodes, n_sources = len(keys), len(sources)
    slot = {source.node: row for row, source in enumerate(sources)}
    targets = table[:, 0] - first
    rows = np.array(
        [slot[node] if node < first else n_sources + node - first for node in table[:, 1].tolist()],
        dtype=np.int64,
    )
    width = min(_WIDEST_BLOCK, max(1, round(math.sqrt(n_nodes))))
    outer = rows < n_sources
    inside = _cheaper(int((~outer).sum()), _cost_inside(n_nodes, width), n_nodes * n_nodes)
    return StagePlan(
        stage=stage,
        first=first,
        keys=tuple(keys),
        sources=tuple(sources),
        targets=targets,
        rows=rows,
        edges=table[:, 2].copy(),
        across=_cheaper(int(outer.sum()), _cost_across(n_sources, n_nodes), n_sources * n_nodes),
        inside=inside,
        width=width if inside == "product" else 1,
    )


def passes(stage: StagePlan) -> float:
    """What the weighted sums of a forward through a stage cost, in passes."""
    n_across = int((stage.rows < stage.n_sources).sum())
    n_inside = len(stage.rows) - n_across
    cost = {"none": 0.0, "product": _cost_across(stage.n_sources, stage.n_nodes), "gather": n_across * _EDGE}
    inside = {
        "none": 0.0,
        "product": _cost_inside(stage.n_nodes, stage.width),
        "gather": n_inside * _EDGE,
    }
    return cost[stage.across] + inside[stage.inside]


def _cheaper(n_edges: int, cost_of_product: float, n_entries: int) -> Way:
    if n_edges == 0:
        return "none"
    product = 2 * cost_of_product + _GRADIENT_OF_ROWS * n_entries
    gather = 2 * n_edges * _EDGE + _GRADIENT_OF_EDGE * n_edges
    return "product" if product < gather else "gather"


def _cost_across(n_sources: int, n_targets: int) -> float:
    return n_sources * max(1.0, n_targets / _FREE_TARGETS) + n_targets


def _cost_inside(n_nodes: int, width: int) -> float:
    starts = np.arange(0, n_nodes, width)
    shared = float(np.sum(starts * max(1.0, width / _FREE_TARGETS) + 2 * width))
    return shared + n_nodes * ((width - 1) / 2 + 2)
