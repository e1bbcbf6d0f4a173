"""Cached arrays of one graph that its metrics share: edges, ends, order, stages, provenance."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import igraph
import numpy as np

from graphtask.errors import GraphError
from graphtask.graph import PROVENANCE, STAGE, node_order
from graphtask.types import FloatArray, IntArray
from graphtask.validation import choice, integer

T = TypeVar("T")

LayoutOrder: TypeAlias = Literal["topological", "canonical"]
LAYOUT_ORDERS: tuple[LayoutOrder, ...] = ("topological", "canonical")

SMALL = 256  # nodes up to which dense matrices are the fastest way to count walks


class UndefinedMetricError(Exception):
    """Raised by a metric that is undefined for a graph; carries the value to report (NaN or −inf) and the reason."""

    def __init__(self, reason: str, *, value: float = math.nan) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


@dataclass(frozen=True, kw_only=True)
class Options:
    """Settings of the metrics besides the graph."""

    channels: int | None = None
    """Channels of stage 0; None: those of the provenance."""
    in_channels: int | None = None
    """Channels of the images; None: those of the provenance, or else 3."""
    n_classes: int | None = None
    """Outputs of the head; None: those of the provenance, or else 10."""
    layout_starts: int = 1
    """Starts of the layout; the first is the circle in node order, the others are shuffled circles."""
    layout_seed: int = 0
    """Random seed of the shuffled circles."""

    layout_order: LayoutOrder = "topological"
    """Order of the nodes on the first circle: as numbered (the published values), or independent of the numbering."""

    def __post_init__(self) -> None:
        choice(self.layout_order, name="layout_order", choices=LAYOUT_ORDERS)
        for name, low in (
            ("channels", 1),
            ("in_channels", 1),
            ("n_classes", 1),
            ("layout_starts", 1),
            ("layout_seed", 0),
        ):
            value = getattr(self, name)
            if value is not None:
                integer(value, name=name, least=low)


class Ends(NamedTuple):
    """Vertex indices of the input and the output."""

    input: int
    output: int


class GraphView:
    """Cached view of one graph, the argument of every metric.

    A metric reads arrays from the view and shares intermediate results with other metrics through `cached`. A
    property that is undefined for the graph raises `UndefinedMetricError`, which becomes NaN and a reason in the
    table. With ``allow_slow`` a metric may run without a limit, because it was selected by name.
    """

    def __init__(self, graph: igraph.Graph, options: Options, *, allow_slow: bool = True) -> None:
        self.graph = graph
        self.options = options
        self.allow_slow = allow_slow
        self.n_nodes: int = graph.vcount()
        self.n_edges: int = graph.ecount()
        self._cache: dict[Callable[[GraphView], Any], Any] = {}

    def cached(self, function: Callable[["GraphView"], T]) -> T:
        """Return ``function(view)``, computed on the first call only; an `UndefinedMetricError` is cached too."""
        if function not in self._cache:
            try:
                self._cache[function] = function(self)
            except UndefinedMetricError as error:
                self._cache[function] = error
        known: T | UndefinedMetricError = self._cache[function]
        if isinstance(known, UndefinedMetricError):
            raise UndefinedMetricError(known.reason, value=known.value)
        return known

    def store(self, function: Callable[["GraphView"], T], value: T) -> None:
        """Store a value, computed in a batch of views, that `cached` returns for ``function``."""
        self._cache[function] = value

    @property
    def edges(self) -> IntArray:
        """Source and target of every edge, of shape (edges, 2), in no particular order."""
        return self.cached(_edges)

    @property
    def ends(self) -> Ends:
        """Input and output of a directed acyclic graph with one of each."""
        return self.cached(_ends)

    @property
    def order(self) -> IntArray:
        """Vertices in the topological order of `graphtask.graph.node_order`."""
        return self.cached(_order)

    @property
    def stage(self) -> IntArray:
        """The stage of every vertex."""
        return self.cached(_stage)

    @property
    def edge_stages(self) -> tuple[IntArray, IntArray]:
        """The stage that every edge comes from, and that it leads to."""
        return self.cached(_edge_stages)

    @property
    def adjacency(self) -> FloatArray:
        """A of shape (nodes, nodes): A[i, j] is the number of edges i → j."""
        return self.cached(_adjacency)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Provenance of the graph, read-only."""
        return self.cached(_facts)

    @property
    def initial(self) -> Mapping[str, Any]:
        """The sizes of the initial graph."""
        initial = self.facts.get("initial")
        if not isinstance(initial, Mapping):
            raise UndefinedMetricError("the provenance has no initial size")
        return initial

    @property
    def stages(self) -> list[int]:
        """Stages that have columns: those of the initial graph, if recorded, and those of the graph."""
        return self.cached(_stages)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _edges(view: GraphView) -> IntArray:
    edges = np.empty((view.n_edges, 2), dtype=np.int64, order="F")  # either column is used by itself
    if view.n_edges < 8 * view.n_nodes or not view.graph.is_directed():
        pairs = chain.from_iterable(view.graph.get_edgelist())
        edges[:] = np.fromiter(pairs, dtype=np.int64, count=2 * view.n_edges).reshape(-1, 2)
        return edges
    # Of a dense graph, igraph gives lists of neighbors in half the time.
    successors = [view.graph.neighbors(node, mode="out") for node in range(view.n_nodes)]
    edges[:, 0] = np.repeat(np.arange(view.n_nodes), list(map(len, successors)))
    if view.n_nodes <= 256:  # each number fits into a byte, and Python makes bytes of lists fast
        edges[:, 1] = np.frombuffer(b"".join(map(bytes, successors)), dtype=np.uint8)
    else:
        edges[:, 1] = np.fromiter(chain.from_iterable(successors), dtype=np.int64, count=view.n_edges)
    return edges


def _is_sorted(view: GraphView) -> bool:
    return bool((view.edges[:, 0] < view.edges[:, 1]).all())


def _require_dag(view: GraphView) -> None:
    if not view.graph.is_directed():
        raise UndefinedMetricError("the graph is undirected")
    if not view.cached(_is_sorted) and not view.graph.is_dag():
        raise UndefinedMetricError("the graph has a cycle")


def _ends(view: GraphView) -> Ends:
    if view.n_nodes == 0:
        raise UndefinedMetricError("the graph has no nodes")
    view.cached(_require_dag)
    inputs = np.flatnonzero(np.bincount(view.edges[:, 1], minlength=view.n_nodes) == 0)
    outputs = np.flatnonzero(np.bincount(view.edges[:, 0], minlength=view.n_nodes) == 0)
    for ends, kind in ((inputs, "inputs"), (outputs, "outputs")):
        if len(ends) > 1:
            raise UndefinedMetricError(f"the graph has {len(ends)} {kind}")
    return Ends(int(inputs[0]), int(outputs[0]))


def _order(view: GraphView) -> IntArray:
    view.cached(_require_dag)
    staged = STAGE in view.graph.vs.attributes()
    try:
        stage = view.stage if staged else np.zeros(view.n_nodes, dtype=np.int64)
    except UndefinedMetricError:
        graph = view.graph.copy()
        del graph.vs[STAGE]
        return np.asarray(node_order(graph), dtype=np.int64)
    if view.cached(_is_sorted) and bool((stage[1:] >= stage[:-1]).all()):
        return np.arange(view.n_nodes)
    try:
        return np.asarray(node_order(view.graph), dtype=np.int64)
    except GraphError as error:
        raise UndefinedMetricError(str(error)) from error


def _stage(view: GraphView) -> IntArray:
    if STAGE not in view.graph.vs.attributes():
        raise UndefinedMetricError("no vertex has a stage")
    values = view.graph.vs[STAGE]
    if set(map(type, values)) == {int} and min(values) >= 0 and max(values) < 2**53:
        return np.array(values, dtype=np.int64)
    for index, value in enumerate(values):
        whole = _is_whole(value) or (isinstance(value, float) and value.is_integer())
        if not (whole and 0 <= value < 2**53):
            raise UndefinedMetricError(f"the stage of vertex {index} is {value!r}")
    return np.array(values, dtype=np.int64)


def _edge_stages(view: GraphView) -> tuple[IntArray, IntArray]:
    return view.stage[view.edges[:, 0]], view.stage[view.edges[:, 1]]


def _adjacency(view: GraphView) -> FloatArray:
    n = view.n_nodes
    keys = view.edges[:, 0] * n + view.edges[:, 1]
    return np.bincount(keys, minlength=n * n).reshape(n, n).astype(np.float64)


def _facts(view: GraphView) -> Mapping[str, Any]:
    if PROVENANCE not in view.graph.attributes():
        return {}
    known = view.graph[PROVENANCE]
    return known if isinstance(known, Mapping) else {}


def _stages(view: GraphView) -> list[int]:
    try:
        per_stage = view.initial.get("nodes_per_stage")
    except UndefinedMetricError:
        per_stage = None
    stages = set(range(len(per_stage))) if isinstance(per_stage, list | tuple) else set()
    try:
        stages.update(view.stage.tolist())
    except UndefinedMetricError:
        return sorted(stages)
    return sorted(stages)
