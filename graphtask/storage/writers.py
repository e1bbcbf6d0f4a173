"""Writers of other formats; ``docs/formats.md`` lists what each of them loses."""

import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import igraph
import numpy as np

from graphtask.errors import ArgumentError, FormatError, GraphError
from graphtask.graph import NAME, PROVENANCE, STAGE, WEIGHT, check_graph, edge_array
from graphtask.storage.atomic import write_atomically
from graphtask.storage.foreign import MARKER, MARKER_VALUE
from graphtask.storage.formats import suffix as suffix_of
from graphtask.storage.gexf import CREATOR
from graphtask.storage.graphml import dumps as graphml_bytes
from graphtask.storage.objects import GraphLike, as_igraph
from graphtask.storage.values import plain, provenance_text, to_json
from graphtask.types import FloatArray

_GML_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_GML_TAKEN = frozenset({"id", "source", "target", "graphics", "LabelGraphics", "directed", "node", "edge"})
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES = re.compile(r"[\s#{\[\]\",;]")
_GEXF_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}


def dot(graph: igraph.Graph) -> bytes:
    r"""Return the graph as a DOT digraph.

    Example:
        >>> import graphtask as gt
        >>> print(dot(gt.chain_dag(3, stages=1)).decode().split("\n")[3])
          "v0" [stage=0];
    """
    values = _graph_values(graph)
    lines = ["digraph {"]
    lines += [f"  {_dot_text(name)}={_dot_value(value)};" for name, value in values.items()]
    lines += [
        f"  {_dot_text(name)}{_dot_list(record)};"
        for name, record in zip(graph.vs[NAME], _records(graph.vs, without={NAME}), strict=True)
    ]
    lines += [
        f"  {_dot_text(source)} -> {_dot_text(target)}{_dot_list(record)};"
        for (source, target), record in zip(_named_edges(graph), _records(graph.es), strict=True)
    ]
    return ("\n".join([*lines, "}"]) + "\n").encode()


def gml(graph: igraph.Graph) -> bytes:
    """Return the graph in GML; attributes whose names are not words are left out."""
    lines = ["graph [", "  directed 1"]
    lines += [
        f"  {key} {_gml_value(value)}" for key, value in _graph_values(graph).items() if _is_gml_key(key)
    ]
    nodes = _records(graph.vs, without={NAME})
    for index, (name, record) in enumerate(zip(graph.vs[NAME], nodes, strict=True)):
        lines += ["  node [", f"    id {index}", f"    name {_gml_value(name)}"]
        lines += [f"    {key} {_gml_value(value)}" for key, value in record.items() if _is_gml_key(key)]
        lines.append("  ]")
    for (source, target), record in zip(graph.get_edgelist(), _records(graph.es), strict=True):
        lines += ["  edge [", f"    source {source}", f"    target {target}"]
        lines += [f"    {key} {_gml_value(value)}" for key, value in record.items() if _is_gml_key(key)]
        lines.append("  ]")
    return ("\n".join([*lines, "]"]) + "\n").encode()


def gexf(graph: igraph.Graph) -> bytes:
    """Return the graph in GEXF 1.3; graph attributes other than provenance are left out."""
    provenance = provenance_text(graph[PROVENANCE]) if PROVENANCE in graph.attributes() else ""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gexf xmlns="http://gexf.net/1.3" version="1.3">',
        f"  <meta><creator>{CREATOR}</creator><description>{escape(provenance)}</description></meta>",
        '  <graph defaultedgetype="directed" mode="static">',
    ]
    node_columns, edge_columns = _columns(graph.vs, without={NAME}), _columns(graph.es, without={WEIGHT})
    for scope, columns in (("node", node_columns), ("edge", edge_columns)):
        lines.append(f'    <attributes class="{scope}">')
        lines += [
            f'      <attribute id="{index}" title={_xml_text(name)} type="{kind}"/>'
            for index, (name, (kind, _)) in enumerate(columns.items())
        ]
        lines.append("    </attributes>")
    lines.append("    <nodes>")
    lines += [
        f'      <node id="n{index}" label={_xml_text(name)}>{_gexf_values(node_columns, index)}</node>'
        for index, name in enumerate(graph.vs[NAME])
    ]
    lines += ["    </nodes>", "    <edges>"]
    weights = graph.es[WEIGHT] if WEIGHT in graph.es.attributes() else [None] * graph.ecount()
    for index, ((source, target), weight) in enumerate(zip(graph.get_edgelist(), weights, strict=True)):
        weighted = "" if weight is None else f' weight="{plain(weight)!r}"'
        lines.append(
            f'      <edge id="{index}" source="n{source}" target="n{target}"{weighted}>'
            f"{_gexf_values(edge_columns, index)}</edge>"
        )
    return ("\n".join([*lines, "    </edges>", "  </graph>", "</gexf>"]) + "\n").encode()


def pajek(graph: igraph.Graph) -> bytes:
    """Return the graph in the NET format of Pajek: names and weights.

    Raises:
        GraphError: A name holds a quotation mark or a line feed.
    """
    names = graph.vs[NAME]
    _refuse_names(names, re.compile(r'["\n\r]'), "Pajek")
    weights = _weights(graph)
    lines = [f"*vertices {graph.vcount()}"]
    lines += [f'{index} "{name}"' for index, name in enumerate(names, start=1)]
    lines.append("*arcs")
    lines += [
        f"{source + 1} {target + 1}" + ("" if weights is None else f" {weight!r}")
        for (source, target), weight in zip(graph.get_edgelist(), _or_none(weights, graph), strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def separated(graph: igraph.Graph, *, separator: str = ",") -> bytes:
    """Return the edges as a table with the columns source, target, and those of the edge attributes."""
    import csv

    taken = {"source", "target"}
    attributes = sorted(set(graph.es.attributes()) - taken, key=lambda name: (name != WEIGHT, name))
    columns = [graph.es[name] for name in attributes]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
    writer.writerow(["source", "target", *attributes])
    for index, (source, target) in enumerate(_named_edges(graph)):
        writer.writerow([source, target, *(_cell(column[index]) for column in columns)])
    return buffer.getvalue().encode()


def edge_list(graph: igraph.Graph) -> bytes:
    """Return the edges as lines ``source target`` or ``source target weight``.

    Raises:
        GraphError: A name holds white space, a separator or a mark of comments.
    """
    _refuse_names(graph.vs[NAME], _SPACES, "an edge list")
    weights = _weights(graph)
    lines = [
        f"{source} {target}" + ("" if weights is None else f" {weight!r}")
        for (source, target), weight in zip(_named_edges(graph), _or_none(weights, graph), strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def node_link(graph: igraph.Graph) -> bytes:
    """Return the graph as node-link JSON."""
    nodes = [
        {"id": name, **record}
        for name, record in zip(graph.vs[NAME], _json_records(graph.vs, without={NAME, "id"}), strict=True)
    ]
    links = [
        {"source": source, "target": target, **record}
        for (source, target), record in zip(
            _named_edges(graph), _json_records(graph.es, without={"source", "target"}), strict=True
        )
    ]
    document = {
        "directed": True,
        "multigraph": False,
        "graph": _json_values(graph),
        "nodes": nodes,
        "links": links,
    }
    return (to_json(document) + "\n").encode()


def cytoscape(graph: igraph.Graph) -> bytes:
    """Return the graph as Cytoscape JSON."""
    nodes = [
        {"data": {"id": name, "value": name, "name": name, **record}}  # as networkx reads them
        for name, record in zip(
            graph.vs[NAME], _json_records(graph.vs, without={NAME, "id", "value"}), strict=True
        )
    ]
    edges = [
        {"data": {"source": source, "target": target, **record}}
        for (source, target), record in zip(
            _named_edges(graph), _json_records(graph.es, without={"source", "target", "id"}), strict=True
        )
    ]
    document = {"directed": True, "data": _json_values(graph), "elements": {"nodes": nodes, "edges": edges}}
    return (to_json(document) + "\n").encode()


def npz(graph: igraph.Graph) -> bytes:
    """Return the adjacency matrix, names and stages as numpy arrays.

    Raises:
        GraphError: An edge has the weight 0, which a matrix cannot hold.
    """
    buffer = io.BytesIO()
    names, stage = np.array(graph.vs[NAME], dtype=np.str_), np.array(graph.vs[STAGE], dtype=np.int64)
    np.savez_compressed(buffer, adjacency=_matrix(graph), names=names, stage=stage)
    return buffer.getvalue()


def npy(graph: igraph.Graph) -> bytes:
    """Return the adjacency matrix as a numpy array."""
    buffer = io.BytesIO()
    np.save(buffer, _matrix(graph))
    return buffer.getvalue()


def matrix_market(graph: igraph.Graph) -> bytes:
    """Return the adjacency matrix in the Matrix Market format."""
    weights = _nonzero_weights(graph)
    kind = "pattern" if weights is None else "real"
    lines = [f"%%MatrixMarket matrix coordinate {kind} general"]
    lines.append(f"{graph.vcount()} {graph.vcount()} {graph.ecount()}")
    lines += [
        f"{source + 1} {target + 1}" + ("" if weights is None else f" {weight!r}")
        for (source, target), weight in zip(graph.get_edgelist(), _or_none(weights, graph), strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def digraph6(graph: igraph.Graph) -> bytes:
    """Return the edges in digraph6."""
    return b"&" + _graph6_size(graph.vcount()) + _sixes(_present(graph).reshape(-1)) + b"\n"


def graph6(graph: igraph.Graph) -> bytes:
    """Return the edges in graph6, without directions; read with ``order="ids"`` to turn them forward again."""
    present = _present(graph)
    columns, rows = np.tril_indices(graph.vcount(), -1)
    return _graph6_size(graph.vcount()) + _sixes((present | present.T)[rows, columns]) + b"\n"


def sparse6(graph: igraph.Graph) -> bytes:
    """Return the edges in sparse6, without directions."""
    import networkx as nx

    plain_graph: nx.Graph[int] = nx.Graph()
    plain_graph.add_nodes_from(range(graph.vcount()))
    plain_graph.add_edges_from(graph.get_edgelist())
    content: bytes = nx.to_sparse6_bytes(plain_graph, header=False)
    return content


def metis(graph: igraph.Graph) -> bytes:
    """Return the edges in the format of METIS, without directions and weights; METIS has whole weights only."""
    neighbors = graph.get_adjlist(mode="all")
    lines = [" ".join(str(node + 1) for node in sorted(row)) for row in neighbors]
    return "\n".join([f"{graph.vcount()} {graph.ecount()}", *lines, ""]).encode()


def torch_file(graph: igraph.Graph) -> bytes:
    """Return the graph as a torch-geometric ``Data`` in a file of torch."""
    from graphtask.storage.torch_file import dumps

    return dumps(graph)


WRITERS: Mapping[str, Callable[[igraph.Graph], bytes]] = MappingProxyType(
    {
        ".graphml": graphml_bytes,
        ".gml": gml,
        ".gexf": gexf,
        ".dot": dot,
        ".gv": dot,
        ".net": pajek,
        ".json": node_link,
        ".cyjs": cytoscape,
        ".csv": separated,
        ".tsv": lambda graph: separated(graph, separator="\t"),
        ".txt": edge_list,
        ".edges": edge_list,
        ".edgelist": edge_list,
        ".npz": npz,
        ".npy": npy,
        ".mtx": matrix_market,
        ".metis": metis,
        ".graph": metis,
        ".g6": graph6,
        ".d6": digraph6,
        ".s6": sparse6,
        ".pt": torch_file,
    }
)
"""From suffix to writer."""


def to_bytes(graph: igraph.Graph, *, suffix: str) -> bytes:
    """Return the graph in the format of a suffix, compressed if it ends in ``.gz``.

    Raises:
        GraphError: The graph breaks a rule, or the format cannot hold its names or weights.
        FormatError: The suffix is unknown.
    """
    import gzip

    base = suffix.removesuffix(".gz")
    writer = WRITERS.get(base)
    if writer is None:
        raise FormatError(f"the format must be one of {', '.join(WRITERS)}, got {suffix!r}")
    check_graph(graph)
    try:
        content = writer(graph)
    except UnicodeEncodeError:
        raise GraphError("a text of the graph has a lone surrogate, which no file can hold") from None
    return gzip.compress(content, mtime=0) if suffix.endswith(".gz") else content


def write(graph: GraphLike, path: str | os.PathLike[str]) -> None:
    """Write the graph to a file, complete or not at all; the suffix of its name selects the format.

    GraphML keeps every attribute without loss; equal graphs give equal bytes. ``docs/formats.md`` lists the other formats
    and what they lose. Attribute values may be booleans, ints, floats, strings, ``None`` (an absent value), and lists,
    tuples and dicts of them; numpy scalars are written as Python values.

    Args:
        graph: A valid architecture graph.
        path: The file; an existing one is replaced.

    Raises:
        ArgumentError: No format has the suffix.
        GraphError: The graph breaks a rule, or the format cannot store it.
        GraphtaskError: The file cannot be written.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "full.graphml"
        >>> gt.write(gt.full_dag(4, stages=2), path)
        >>> gt.read(path).vs["stage"]
        [0, 0, 1, 1]
    """
    ending = suffix_of(os.fspath(path))
    if ending.removesuffix(".gz") not in WRITERS:
        raise ArgumentError(
            f"path must end in one of {', '.join(WRITERS)}, got {os.fspath(path)!r}", argument="path"
        )
    write_bytes(to_bytes(as_igraph(graph), suffix=ending), path)


def write_bytes(content: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file, complete or not at all.

    Raises:
        GraphtaskError: It cannot be written.
    """
    with write_atomically(path) as file:
        file.write(content)


# Values -------------------------------------------------------------------------------------------------------------


def _graph_values(graph: igraph.Graph) -> dict[str, Any]:
    """Return the graph attributes as numbers and texts, with the marker of graphtask."""
    values = {name: _scalar(graph[name]) for name in graph.attributes() if name != PROVENANCE}
    if PROVENANCE in graph.attributes():
        values[PROVENANCE] = provenance_text(graph[PROVENANCE])
    return {name: value for name, value in values.items() if value is not None} | {MARKER: MARKER_VALUE}


def _records(items: Any, *, without: set[str] = frozenset()) -> list[dict[str, Any]]:  # type: ignore[assignment]
    """Return one dict of numbers and texts for each element, without absent values."""
    names = [name for name in items.attributes() if name not in without]
    columns = [items[name] for name in names]
    return [
        {
            name: value
            for name, column in zip(names, columns, strict=True)
            if (value := _scalar(column[index])) is not None
        }
        for index in range(len(items))
    ]


def _columns(items: Any, *, without: set[str]) -> dict[str, tuple[str, list[Any]]]:
    """Return the type and the values of each attribute."""
    result = {}
    for name in items.attributes():
        if name in without or _NOT_XML.search(name):
            continue
        values = [_scalar(value) for value in items[name]]
        kinds = {type(value) for value in values if value is not None}
        kind = next(iter(kinds)) if len(kinds) == 1 else str
        result[name] = (_GEXF_TYPES[kind], values)
    return result


def _scalar(value: Any) -> Any:
    """Return a number, a text or None; other values as JSON text."""
    value = plain(value)
    return value if value is None or isinstance(value, bool | int | float | str) else _json_text(value)


def _json_text(value: Any) -> str:
    try:
        return to_json(value)
    except ValueError as error:
        raise GraphError(f"an attribute cannot be written: it holds {error}") from None


def _json_values(graph: igraph.Graph) -> dict[str, Any]:
    values = {name: plain(graph[name]) for name in graph.attributes()}
    for value in values.values():
        _json_text(value)
    return {**values, MARKER: MARKER_VALUE}


def _json_records(items: Any, *, without: set[str]) -> list[dict[str, Any]]:
    names = [name for name in items.attributes() if name not in without]
    columns = [[plain(value) for value in items[name]] for name in names]
    for column in columns:
        _json_text(column)
    return [
        {
            name: column[index]
            for name, column in zip(names, columns, strict=True)
            if column[index] is not None
        }
        for index in range(len(items))
    ]


def _named_edges(graph: igraph.Graph) -> list[tuple[str, str]]:
    names = graph.vs[NAME]
    return [(names[source], names[target]) for source, target in graph.get_edgelist()]


def _weights(graph: igraph.Graph) -> list[float] | None:
    return [float(weight) for weight in graph.es[WEIGHT]] if WEIGHT in graph.es.attributes() else None


def _or_none(weights: list[float] | None, graph: igraph.Graph) -> Sequence[float | None]:
    return [None] * graph.ecount() if weights is None else weights


def _nonzero_weights(graph: igraph.Graph) -> list[float] | None:
    weights = _weights(graph)
    if weights is not None and 0 in weights:
        raise GraphError(
            f"{weights.count(0)} of {len(weights)} edges have the weight 0, which a matrix cannot hold",
            remedy="prune them, write another format, or remove the weights",
        )
    return weights


def _matrix(graph: igraph.Graph) -> FloatArray:
    if graph.vcount() > 20_000:
        raise GraphError(
            f"a dense matrix must have at most 20,000 nodes, got {graph.vcount():,}", remedy="write .mtx"
        )
    matrix = np.zeros((graph.vcount(), graph.vcount()))
    edges = edge_array(graph)
    matrix[edges[:, 0], edges[:, 1]] = _nonzero_weights(graph) or 1.0
    return matrix


def _present(graph: igraph.Graph) -> Any:
    if graph.vcount() > 20_000:
        raise GraphError(f"graph6 must have at most 20,000 nodes, got {graph.vcount():,}", remedy="write .s6")
    present = np.zeros((graph.vcount(), graph.vcount()), dtype=np.bool_)
    edges = edge_array(graph)
    present[edges[:, 0], edges[:, 1]] = True
    return present


def _graph6_size(n_nodes: int) -> bytes:
    if n_nodes < 63:
        return bytes([n_nodes + 63])
    width, head = (3, b"~") if n_nodes < 258_048 else (6, b"~~")
    return head + bytes(63 + (n_nodes >> 6 * shift & 63) for shift in range(width - 1, -1, -1))


def _sixes(bits: Any) -> bytes:
    padded = np.concatenate([bits, np.zeros(-len(bits) % 6, dtype=np.bool_)]).reshape(-1, 6)
    return bytes((padded @ (1 << np.arange(5, -1, -1)) + 63).astype(np.uint8))


def _refuse_names(names: list[str], forbidden: re.Pattern[str], form: str) -> None:
    bad = next((name for name in names if not name or forbidden.search(name)), None)
    if bad is not None:
        raise GraphError(
            f"{form} cannot hold the name {bad!r}", remedy="rename the vertex, or write .csv or .graphml"
        )


def _dot_text(text: str) -> str:
    """Return a quoted DOT string; a backslash at the end would escape the quotation mark."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _dot_value(value: Any) -> str:
    return _dot_text(value) if isinstance(value, str) else _dot_number(value)


def _dot_number(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if re.fullmatch(r"-?(\.\d+|\d+(\.\d*)?)", text) else f'"{text}"'


def _dot_list(record: dict[str, Any]) -> str:
    if not record:
        return ""
    pairs = [
        f"{name if re.fullmatch(r'[A-Za-z_][A-Za-z0-9_]*', name) else _dot_text(name)}={_dot_value(value)}"
        for name, value in record.items()
    ]
    return f" [{', '.join(pairs)}]"


def _is_gml_key(key: str) -> bool:
    return _GML_KEY.fullmatch(key) is not None and key not in _GML_TAKEN


def _gml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    text = str(value).replace("&", "&amp;").replace('"', "&quot;")
    return '"' + "".join(char if 32 <= ord(char) < 127 else f"&#{ord(char)};" for char in text) + '"'


def _gexf_values(columns: dict[str, tuple[str, list[Any]]], index: int) -> str:
    cells = [
        f'<attvalue for="{number}" value={_xml_text(_gexf_text(values[index]))}/>'
        for number, (_, values) in enumerate(columns.values())
        if values[index] is not None
    ]
    return f"<attvalues>{''.join(cells)}</attvalues>" if cells else ""


def _gexf_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def _xml_text(text: str) -> str:
    if _NOT_XML.search(text):
        raise GraphError(f"GEXF cannot hold the text {text[:40]!r}", remedy="write .graphml")
    return quoteattr(text, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"})


def _cell(value: Any) -> Any:
    value = _scalar(value)
    return repr(value) if isinstance(value, float) else value
