"""Architecture graphs as GraphML files: lossless, and safe on hostile input.

The output is plain GraphML that igraph, networkx and Gephi read as well. Every ``key`` carries its exact type in an
attribute of a separate name space, so that values come back unchanged: floats bit for bit, ints of any size,
strings of any characters, and lists, tuples and dicts as JSON. ``None`` is written as an absent value.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import PurePath
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import igraph

from graphtask.errors import GraphError, GraphtaskError
from graphtask.graph import as_architecture, check_graph
from graphtask.storage import limits
from graphtask.storage.assembly import igraph_of
from graphtask.storage.atomic import write_atomically
from graphtask.storage.content import about, load
from graphtask.storage.foreign import usable
from graphtask.storage.graphml_keys import FORMAT_VERSION, GRAPHML, GRAPHTASK
from graphtask.storage.graphml_parser import MAX_VALUE, parse
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.storage.values import is_usual_float, plain, to_json
from graphtask.validation import invalid

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"\r": "&#13;"}  # a bare one would be read as a line feed
_ATTRIBUTE_ESCAPES = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
_BOOLEANS = {False: "false", True: "true"}
_FLOATS = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}  # as XML Schema spells them


def write(graph: GraphLike, path: str | os.PathLike[str]) -> None:
    """Write the graph with all its attributes to a GraphML file, complete or not at all.

    Equal graphs give equal bytes. Attribute values may be booleans, ints, floats, strings, ``None`` (written as an
    absent value), and lists, tuples and dicts of them; numpy scalars are written as the Python values they stand for.

    Args:
        graph: A valid architecture graph.
        path: The file; one that exists is replaced.

    Raises:
        ArgumentError: The name does not end in ``.graphml``.
        GraphError: The graph breaks a rule, or an attribute has a value that cannot be stored.
        GraphtaskError: The file cannot be written.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "full.graphml"
        >>> gt.write(gt.full_dag(4, stages=2), path)
        >>> gt.read(path).vs["stage"]
        [0, 0, 1, 1]
    """
    if PurePath(path).suffix.lower() != ".graphml":
        raise invalid("path", "a name that ends in .graphml", os.fspath(path))
    content = dumps(as_igraph(graph))
    with write_atomically(path) as file:
        file.write(content)


def dumps(graph: igraph.Graph) -> bytes:
    """Return the content of the file that `write` writes; equal for equal graphs.

    Raises:
        GraphError: The graph breaks a rule, or an attribute has a value that cannot be stored.
    """
    check_graph(graph)
    graph_columns = [
        _column("graph", number, name, [graph[name]])
        for number, name in enumerate(sorted(graph.attributes()))
    ]
    node_columns, edge_columns = (
        [_column(scope, number, name, items[name]) for number, name in enumerate(sorted(items.attributes()))]
        for scope, items in (("node", graph.vs), ("edge", graph.es))
    )
    content = "".join(_document(graph, graph_columns, node_columns, edge_columns)).encode()
    _check_readable(graph, len(content), n_cells=_n_cells(node_columns, edge_columns))
    return content


def read(
    path: str | os.PathLike[str], *, stages: int | Sequence[int] | None = None, join: bool = False
) -> igraph.Graph:
    """Read an architecture graph from a GraphML file of graphtask, igraph, networkx, Gephi or yEd.

    A file that `write` made gives back the same graph: values, types, and the order of vertices and edges (vertices
    that did not stand in topological order are sorted). In files of other programs,
    attributes are read as in `graphtask.read`. Hyperedges, document types and entities are refused, and so are files
    over 256 MiB.

    Args:
        path: The file.
        stages: For a graph without stages: their number, or their sizes.
        join: Whether several inputs (outputs) get one new vertex before (after) them; otherwise they are an error.

    Raises:
        FormatError: The file cannot be read, is not GraphML, or is not safe to read; the message names the line.
        GraphError: The graph breaks a rule of the architecture graph.
        ArgumentError: ``stages`` does not fit the number of vertices.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.graphml"
        >>> _ = path.write_text(
        ...     '<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/>'
        ...     '<edge source="a" target="b"/></graph></graphml>'
        ... )
        >>> gt.read(path, stages=2).vs["name"]
        ['a', 'b']
    """
    try:
        return as_architecture(igraph_of(usable(parse(load(path)), join=join)), stages=stages, join=join)
    except GraphtaskError as error:
        raise type(error)(about(path, error)) from None


class _Column(NamedTuple):
    """Attribute of all elements of one kind, as text."""

    key: str
    scope: str
    name: str
    kind: str
    declared: str
    texts: list[str | None]


def _column(scope: str, number: int, name: str, values: Sequence[Any]) -> _Column:
    if _NOT_XML.search(name):
        raise GraphError(f"the {scope} attribute {name!r} cannot be stored: XML forbids its name; rename it")
    kind, declared, texts = _texts(scope, name, [plain(value) for value in values])
    if any(text is not None and len(text) > MAX_VALUE for text in texts):
        raise GraphError(
            f"the {scope} attribute {name!r} cannot be stored: a value is longer than {MAX_VALUE:,} bytes"
        )
    return _Column(f"{scope[0]}{number}", scope, name, kind, declared, texts)


def _texts(scope: str, name: str, values: list[Any]) -> tuple[str, str, list[str | None]]:
    kinds = {type(value) for value in values if value is not None}
    present = (value for value in values if value is not None)
    if kinds == {bool}:
        return "boolean", "boolean", [_BOOLEANS.get(value) for value in values]
    if kinds == {int}:
        size = max(value.bit_length() for value in present)
        if size < 64:
            return (
                "int",
                "int" if size < 32 else "long",
                [None if value is None else str(value) for value in values],
            )
    if kinds == {float} and all(map(is_usual_float, present)):
        return "float", "double", [None if value is None else _float_text(value) for value in values]
    if kinds == {str} and not any(map(_NOT_XML.search, present)):
        return "string", "string", [None if value is None else escape(value, _ESCAPES) for value in values]
    return "json", "string", _json_texts(scope, name, values)


def _float_text(value: float) -> str:
    text = repr(value)
    return _FLOATS.get(text, text)


def _json_texts(scope: str, name: str, values: list[Any]) -> list[str | None]:
    try:
        return [None if value is None else escape(to_json(value)) for value in values]
    except ValueError as error:
        raise GraphError(
            f"the {scope} attribute {name!r} cannot be stored: it holds {error}; use numbers, strings, booleans, "
            f"None, and lists, tuples and dicts of them (an array with .tolist()), or remove it"
        ) from None


def _document(
    graph: igraph.Graph,
    graph_columns: list[_Column],
    node_columns: list[_Column],
    edge_columns: list[_Column],
) -> Iterator[str]:
    yield (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<graphml xmlns="{GRAPHML}" xmlns:gt="{GRAPHTASK}" gt:version="{FORMAT_VERSION}">\n'
    )
    for column in chain(graph_columns, node_columns, edge_columns):
        yield (
            f'  <key id="{column.key}" for="{column.scope}" attr.name={quoteattr(column.name, _ATTRIBUTE_ESCAPES)} '
            f'attr.type="{column.declared}" gt:type="{column.kind}"/>\n'
        )
    yield '  <graph id="G" edgedefault="directed">\n'
    yield from (f"    {data}\n" for data in _data(graph_columns, 1) if data)
    for index, data in enumerate(_data(node_columns, graph.vcount())):
        yield f'    <node id="n{index}">{data}</node>\n'
    for (source, target), data in zip(graph.get_edgelist(), _data(edge_columns, graph.ecount()), strict=True):
        yield f'    <edge source="n{source}" target="n{target}">{data}</edge>\n'
    yield "  </graph>\n</graphml>\n"


def _data(columns: list[_Column], n_elements: int) -> Iterable[str]:
    """Return the data elements of each element, as one string."""
    if not columns:
        return [""] * n_elements
    tagged = (
        [f'<data key="{column.key}">{text}</data>' if text is not None else "" for text in column.texts]
        for column in columns
    )
    return map("".join, zip(*tagged, strict=True))


def _n_cells(*groups: list[_Column]) -> int:
    return sum(len(column.texts) for column in chain.from_iterable(groups))


def _check_readable(graph: igraph.Graph, n_bytes: int, *, n_cells: int) -> None:
    """Refuse a graph that `read` would refuse, before it is written."""
    if n_bytes > limits.MAX_BYTES:
        raise GraphError(
            f"the graph takes {n_bytes:,} bytes as GraphML; files over {limits.MAX_BYTES:,} are not read back"
        )
    limits.check_size(graph.vcount(), graph.ecount(), n_cells=n_cells, n_bytes=n_bytes)
