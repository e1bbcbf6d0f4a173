"""Architecture graphs from files of any format and from objects of other libraries."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import igraph
import numpy as np

from graphtask.errors import ArgumentError, GraphError, GraphtaskError
from graphtask.graph import PROVENANCE, STAGE, as_architecture, provenance, size_by_stage, stage_sizes
from graphtask.priors.orient import Order, orient_edges
from graphtask.storage.assembly import Parts, igraph_of
from graphtask.storage.content import about, load
from graphtask.storage.foreign import merged, usable, without_isolated
from graphtask.storage.formats import parse
from graphtask.storage.objects import GraphLike, is_matrix, object_parts
from graphtask.validation import abbreviated, choice

Reading = Literal["strict", "auto"]
Stages: TypeAlias = int | Sequence[int] | None

_AUTO_STAGES = 3


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Options for graphs that are not valid architecture graphs; the arguments of `read`."""

    stages: Stages = None
    """For a graph without stages: their number, or their sizes."""
    join: bool = False
    """Whether several inputs (outputs) get one new vertex before (after) them."""
    merge: bool = False
    """Whether parallel edges become one."""
    order: Order | None = None
    """For a graph that is undirected or has cycles: the order of the vertices in which every edge leads forward."""
    drop_isolated: bool = False
    """Whether vertices without edges are removed."""
    reading: Reading = "strict"
    """Whether missing options are an error (``"strict"``) or are chosen (``"auto"``)."""

    def __post_init__(self) -> None:
        if self.order is not None:
            choice(self.order, name="order", choices=get_args(Order))
        choice(self.reading, name="reading", choices=get_args(Reading))


def read(
    path: str | os.PathLike[str],
    *,
    stages: Stages = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    drop_isolated: bool = False,
    reading: Reading = "strict",
) -> igraph.Graph:
    r"""Read an architecture graph from a file; the suffix of its name selects the format.

    ===========================================  ================================================================
    suffix                                       content
    ===========================================  ================================================================
    ``.graphml``, ``.gml``, ``.gexf``            GraphML, GML, GEXF of graphtask, igraph, networkx, Gephi or yEd
    ``.dot``, ``.gv``, ``.net``                  DOT of Graphviz, NET of Pajek
    ``.json``, ``.cyjs``                         node-link form (networkx, d3), Cytoscape, and other forms; cells
    ``.csv``, ``.tsv``                           an edge list, with or without names of columns; or an adjacency matrix
    ``.edges``, ``.edgelist``, ``.txt``          the same, separated by white space if by nothing else; cells
    ``.npz``, ``.npy``, ``.mtx``                 an adjacency matrix of scipy or numpy, an edge list of integers
    ``.g6``, ``.d6``, ``.s6``, ``.metis``, …     graph6, digraph6, sparse6, METIS, adjacency lists, YAML of networkx
    ``.pt``, ``.pt2``, ``.onnx``                 a torch-geometric ``Data``, a `torch.export` program, an ONNX model
    ===========================================  ================================================================

    ``docs/formats.md`` lists all of them; ``.gz`` after a suffix stands for a compressed file.

    A file that `write` made gives back the same graph: values, types, and the order of vertices and edges (vertices
    that are not in topological order are sorted). In files of other programs

    - vertices are named by their attribute ``name`` if it identifies them, else by their ids; labels that are not
      unique become the attribute ``label``; drawings are left out;
    - a ``stage`` that was stored as a float becomes an int;
    - an edge attribute ``weight`` that cannot be a trained one, because a value is missing (or NaN) or outside
      [0, 1], is renamed to ``file_weight``; an edge attribute ``w`` is renamed to ``file_w``, because training starts
      from ``w``;
    - attributes without any value are left out.

    Changes are listed in ``provenance(graph)["reading"]``. Nothing in a file is ever executed, and none may be larger
    than 256 MiB (JSON and GML: 64 MiB).

    Args:
        path: The file.
        stages: For a graph without stages: their number, or their sizes. A graph that has stages keeps them.
        join: Whether several inputs (outputs) get one new vertex before (after) them; otherwise they are an error.
        merge: Whether parallel edges become one, that with the largest weight, else the first; otherwise they are an
            error.
        order: For a graph that is undirected or has cycles: the order of the vertices in which every edge then leads
            forward, ``"ids"`` (as in the file), ``"x"``, ``"radius"`` or ``"bifocal"``; see `orient_edges`, which drops
            self-loops and the attributes of edges, and needs ``stages``. Unlike after `orient_edges`, the initial size
            is then unknown. Otherwise such graphs are an error; directed graphs without cycles stay as they are.
        drop_isolated: Whether vertices without edges are removed; otherwise they are an error.
        reading: ``"strict"`` raises an error that names the missing options; ``"auto"`` chooses them (three stages,
            ``order="ids"``) and records the choice in the provenance.

    Raises:
        FormatError: The file cannot be read, is not what its suffix promises, or is not safe to read.
        GraphError: The graph breaks a rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of vertices, or a choice is unknown.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.edges"
        >>> _ = path.write_text("a b 0.5\nb c 1.0\na c 0.25\n")
        >>> graph = gt.read(path, stages=3)
        >>> graph.vs["name"], graph.es["weight"]
        (['a', 'b', 'c'], [0.5, 1.0, 0.25])
    """
    options = ReadOptions(
        stages=stages, join=join, merge=merge, order=order, drop_isolated=drop_isolated, reading=reading
    )
    try:
        return from_bytes(load(path), name=os.fspath(path), options=options)
    except GraphtaskError as error:
        raise type(error)(about(path, error)) from None


def from_bytes(content: bytes, *, name: str, options: ReadOptions) -> igraph.Graph:
    r"""Return the graph in the bytes of a file; see `read`.

    Args:
        content: The bytes.
        name: Name of the file, whose suffix selects the format.
        options: Options for graphs that are not valid architecture graphs.

    Raises:
        FormatError: The bytes are not what the name promises, or not safe to read.
        GraphError: The graph breaks a rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of vertices.

    Example:
        >>> from_bytes(b"0 1\n1 2\n", name="small.edges", options=ReadOptions(stages=1)).vs["name"]
        ['0', '1', '2']
    """
    return graph_of(parse(content, name=name), options)


def from_networkx(
    graph: Any,
    *,
    stages: Stages = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    drop_isolated: bool = False,
    reading: Reading = "strict",
) -> igraph.Graph:
    """Convert a networkx graph to an architecture graph, with all its attributes.

    Vertices are named by the node attribute ``name`` if it identifies them, else by the nodes themselves, as strings.
    The order of nodes and edges is kept (vertices that are not in topological order are sorted).

    Args:
        graph: A networkx graph of any class.
        stages: For a graph without the node attribute ``stage``: their number, or their sizes.
        join: As in `read`, like the other options.
        merge: For parallel edges.
        order: For an undirected graph, or one with cycles.
        drop_isolated: For nodes without edges.
        reading: ``"auto"`` chooses the options that are needed.

    Raises:
        GraphError: The graph breaks a rule of the architecture graph; the message names the options that help.
        ArgumentError: ``stages`` does not fit the number of nodes, or a choice is unknown.

    Example:
        >>> import networkx as nx
        >>> from_networkx(nx.DiGraph([(1, 2), (2, 3), (1, 3)]), stages=3).vs["name"]
        ['1', '2', '3']
        >>> from_networkx(nx.cycle_graph(4), order="ids", stages=2).get_edgelist()
        [(0, 1), (0, 3), (1, 2), (2, 3)]
    """
    import networkx as nx

    if not isinstance(graph, nx.Graph):
        raise GraphError(f"graph must be a networkx graph, got {abbreviated(graph)}")
    return from_object(
        graph,
        stages=stages,
        join=join,
        merge=merge,
        order=order,
        drop_isolated=drop_isolated,
        reading=reading,
    )


def from_adjacency(
    matrix: Any,
    *,
    stages: Stages = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    drop_isolated: bool = False,
    reading: Reading = "strict",
) -> igraph.Graph:
    """Convert an adjacency matrix to an architecture graph.

    Args:
        matrix: Square array of numpy, matrix of scipy.sparse, or table of pandas whose columns name the vertices; a
            nonzero entry [i, j] is the edge i→j. Entries other than 1 are weights.
        stages: Number of stages, or their sizes.
        join: As in `read`, like the other options.
        merge: For parallel edges (a matrix has none).
        order: For a matrix with cycles, such as a symmetric one.
        drop_isolated: For nodes without edges.
        reading: ``"auto"`` chooses the options that are needed.

    Raises:
        GraphError: The matrix is not square or not numeric, or the graph breaks a rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of nodes, or a choice is unknown.

    Example:
        >>> import numpy as np
        >>> graph = from_adjacency(np.array([[0, 0.5], [0, 0]]), stages=1)
        >>> graph.vs["name"], graph.es["weight"]
        (['v0', 'v1'], [0.5])
    """
    matrix = np.asarray(matrix) if isinstance(matrix, list | tuple) else matrix
    if not is_matrix(matrix):
        raise GraphError(f"matrix must be a square adjacency matrix, got {abbreviated(matrix)}")
    return from_object(
        matrix,
        stages=stages,
        join=join,
        merge=merge,
        order=order,
        drop_isolated=drop_isolated,
        reading=reading,
    )


def from_geometric(
    data: Any,
    *,
    stages: Stages = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    drop_isolated: bool = False,
    reading: Reading = "strict",
) -> igraph.Graph:
    """Convert a torch-geometric ``Data`` to an architecture graph, with all its fields.

    Fields that `to_geometric` writes become the attributes they were. Of any other ``Data``, fields with an entry for
    each node (edge) become vertex (edge) attributes, and all others graph attributes; ``edge_weight`` is ``weight``.

    Args:
        data: A homogeneous graph with an ``edge_index``.
        stages: For data without ``stage``: the number of stages, or their sizes.
        join: As in `read`, like the other options.
        merge: For parallel edges.
        order: For an undirected graph (each edge in both directions), or one with cycles.
        drop_isolated: For nodes without edges.
        reading: ``"auto"`` chooses the options that are needed.

    Raises:
        GraphError: ``edge_index`` is missing or invalid, a field does not fit it, or the graph breaks a rule.
        ArgumentError: ``stages`` does not fit the number of nodes, or a choice is unknown.

    Example:
        >>> import graphtask as gt
        >>> graph = gt.full_dag(4, stages=2)
        >>> gt.from_geometric(gt.to_geometric(graph)).get_edgelist() == graph.get_edgelist()
        True
    """
    return from_object(
        data,
        is_data=True,
        stages=stages,
        join=join,
        merge=merge,
        order=order,
        drop_isolated=drop_isolated,
        reading=reading,
    )


def from_object(graph: GraphLike, *, is_data: bool = False, **options: Any) -> igraph.Graph:
    """Convert a graph object of any supported library to an architecture graph.

    Args:
        graph: A networkx graph, an adjacency matrix, or a torch-geometric ``Data``.
        is_data: Whether it must be a ``Data``.
        **options: The fields of `ReadOptions`.

    Raises:
        GraphError: The object is not a graph, or breaks a rule of the architecture graph.
        ArgumentError: An option is invalid.
    """
    from graphtask.storage.geometric_parts import geometric_parts

    chosen = ReadOptions(**options)
    return graph_of(geometric_parts(graph) if is_data else object_parts(graph), chosen)


def graph_of(parts: Parts, options: ReadOptions) -> igraph.Graph:
    """Return the architecture graph made of the output of a parser.

    Raises:
        GraphError: The graph breaks a rule; the message names all options that would make it valid.
        ArgumentError: ``stages`` does not fit the number of vertices.
    """
    try:
        return _strict(parts, options)
    except GraphError as error:
        helpful = needed_options(parts, options)
        if helpful == options:
            raise
        try:
            graph = _strict(_noted(parts, options, helpful), helpful)
        except (GraphError, ArgumentError):
            _check_has_edges(parts)
            raise error from None
        if options.reading == "auto":
            return graph
        raise GraphError(f"{error.fact}; {_advice(options, helpful)}") from None


def needed_options(parts: Parts, options: ReadOptions) -> ReadOptions:
    """Return the options, with those added that a graph of this form needs to become an architecture graph.

    Example:
        >>> undirected = Parts(3, [(0, 1), (1, 2)], {}, {}, {}, directed=False)
        >>> needed = needed_options(undirected, ReadOptions())
        >>> needed.order, needed.stages
        ('ids', 3)
    """
    has_isolated = len({node for edge in parts.edges for node in edge}) < parts.n_nodes
    if has_isolated:
        parts = without_isolated(parts)
        options = replace(options, drop_isolated=True)
    stages = min(_AUTO_STAGES, max(parts.n_nodes, 1)) if options.stages is None else options.stages
    if not parts.directed or not igraph.Graph(n=parts.n_nodes, edges=parts.edges, directed=True).is_dag():
        return replace(options, order=options.order or "ids", stages=stages)
    if len(set(parts.edges)) < len(parts.edges):
        options = replace(options, merge=True)
    n_inputs = parts.n_nodes - len({target for _, target in parts.edges})
    n_outputs = parts.n_nodes - len({source for source, _ in parts.edges})
    if n_inputs > 1 or n_outputs > 1:
        options = replace(options, join=True)
    return options if STAGE in parts.vertex_columns else replace(options, stages=stages)


def kept_its_stages(graph: igraph.Graph, stages: Stages) -> bool:
    """Return True for a graph that was read with ``stages`` but has other ones, because its file has stages.

    Example:
        >>> import graphtask as gt
        >>> kept_its_stages(gt.full_dag(6, stages=2), 3), kept_its_stages(gt.full_dag(6, stages=2), [3, 3])
        (True, False)
    """
    if stages is None:
        return False
    try:
        asked = stage_sizes(graph.vcount(), stages)
    except ArgumentError:  # no error was raised, so they were not used
        return True
    return bool(asked != size_by_stage(graph)["nodes_per_stage"])


_DEFAULTS = ReadOptions()
_WORDS: Mapping[str, str] = {
    "drop_isolated": "--drop-isolated",
    "merge": "--merge",
    "join": "--join",
    "order": "--order",
    "stages": "--stages",
}


def _strict(parts: Parts, options: ReadOptions) -> igraph.Graph:
    if options.drop_isolated:
        parts = without_isolated(parts)
    if options.merge:
        parts = merged(parts)
    if options.order is not None:
        graph = igraph_of(parts)
        if not graph.is_dag():
            return _oriented(graph, order=options.order, stages=options.stages)
    if not parts.directed:
        raise GraphError(
            "the graph is undirected",
            remedy="order='ids' turns every edge forward in the order of the vertices",
        )
    if options.join:
        _check_no_isolated(parts)
    return as_architecture(
        igraph_of(usable(parts, join=options.join)), stages=options.stages, join=options.join
    )


def _check_has_edges(parts: Parts) -> None:
    if all(source == target for source, target in parts.edges):
        but = " but self-loops" if parts.edges else ""
        raise GraphError(
            f"the graph has no edges{but}; an architecture needs a path from its input to its output"
        )


def _check_no_isolated(parts: Parts) -> None:
    linked = {node for edge in parts.edges for node in edge}
    if len(linked) < parts.n_nodes:
        first = next(node for node in range(parts.n_nodes) if node not in linked)
        names = parts.vertex_columns.get("name", range(parts.n_nodes))
        raise GraphError(
            f"vertex {names[first]!r} has no edges ({parts.n_nodes - len(linked)} such vertices)",
            remedy="drop_isolated=True removes them (on the command line: --drop-isolated)",
        )


def _oriented(graph: igraph.Graph, *, order: Order, stages: Stages) -> igraph.Graph:
    if stages is None:
        raise GraphError(
            f"order={order!r} gives the graph new stages",
            remedy="pass their number, stages=3 (on the command line: --stages 3)",
        )
    if STAGE in graph.vs.attributes():
        del graph.vs[STAGE]
    result = orient_edges(graph.as_undirected(mode="collapse"), order=order, stages=stages)
    if "initial" not in provenance(graph):  # the file may hold a pruned graph
        result[PROVENANCE] = {key: fact for key, fact in provenance(result).items() if key != "initial"}
    return result


def _noted(parts: Parts, options: ReadOptions, helpful: ReadOptions) -> Parts:
    """Return the parts with a note of the options that were chosen."""
    return parts._replace(notes=(*parts.notes, f"read with {' '.join(_flags(options, helpful))}"))


def _advice(options: ReadOptions, helpful: ReadOptions) -> str:
    changed = [name for name in _WORDS if getattr(options, name) != getattr(helpful, name)]
    arguments = ", ".join(f"{name}={getattr(helpful, name)!r}" for name in changed)
    return f"read it with {arguments} (on the command line: {' '.join(_flags(options, helpful))})"


def _flags(options: ReadOptions, helpful: ReadOptions) -> list[str]:
    changed = [name for name in _WORDS if getattr(options, name) != getattr(helpful, name)]
    return [
        _WORDS[name] if getattr(helpful, name) is True else f"{_WORDS[name]} {getattr(helpful, name)}"
        for name in changed
    ]
