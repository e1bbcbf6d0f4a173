"""Graph under construction: named nodes and edges with attributes, in the order in which a file has them."""

import re
from collections import defaultdict
from typing import Any

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts, with_names
from graphtask.storage.limits import MAX_CELLS, MAX_EDGES, MAX_NODES, check_size
from graphtask.storage.values import one_line

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class GraphBuilder:
    """Nodes and edges that a parser finds; every size has a limit.

    Args:
        n_bytes: Size of the file; a small one may not ask for much memory.

    Example:
        >>> builder = GraphBuilder(n_bytes=100)
        >>> builder.add_edge("a", "b", {"weight": 0.5})
        >>> builder.parts().edges, builder.parts().vertex_columns
        ([(0, 1)], {'name': ['a', 'b']})
    """

    def __init__(self, *, n_bytes: int) -> None:
        self.graph_values: dict[str, Any] = {}
        self.position: dict[str, int] = {}
        self._n_bytes = n_bytes
        self._n_values = 0
        self._used: defaultdict[str, int] = defaultdict(lambda: 1)  # numbers of names that were wished twice
        self._nodes: list[dict[str, Any]] = []
        self._edges: list[tuple[int, int]] = []
        self._records: list[dict[str, Any]] = []

    @property
    def n_edges(self) -> int:
        """Number of edges so far."""
        return len(self._edges)

    def add_node(self, identity: str, values: dict[str, Any] | None = None) -> int:
        """Return the index of a node, which is created if missing; ``values`` are added to its attributes.

        Raises:
            FormatError: There are too many nodes.
        """
        index = self.position.setdefault(identity, len(self._nodes))
        if index == len(self._nodes):
            if index == MAX_NODES:
                raise FormatError(
                    f"the graph has more than {MAX_NODES:,} nodes; graphs of that size are not read"
                )
            self._nodes.append({})
        if values:
            self._count(values)
            self._nodes[index].update(values)
        return index

    def new_name(self, wish: str) -> str:
        """Return ``wish``, with the next free number if a node has this name already.

        Example:
            >>> builder = GraphBuilder(n_bytes=100)
            >>> for _ in range(3):
            ...     _ = builder.add_node(builder.new_name("Relu"))
            >>> list(builder.position)
            ['Relu', 'Relu_2', 'Relu_3']
        """
        name = wish
        while name in self.position:
            self._used[wish] += 1
            name = f"{wish}_{self._used[wish]}"
        return name

    def add_edge(self, source: str, target: str, values: dict[str, Any] | None = None) -> None:
        """Add an edge; missing nodes are created.

        Raises:
            FormatError: There are too many edges.
        """
        if len(self._edges) == MAX_EDGES:
            raise FormatError(
                f"the graph has more than {MAX_EDGES:,} edges; graphs of that size are not read"
            )
        self._edges.append((self.add_node(source), self.add_node(target)))
        if values:
            self._count(values)
        self._records.append(values or {})

    def index_of(self, identity: str) -> int:
        """Return the index of a node that must exist.

        Raises:
            FormatError: It does not.
        """
        index = self.position.get(identity)
        if index is None:
            raise FormatError(f"an edge names the node {one_line(identity)}, which does not exist")
        return index

    def parts(self, *, directed: bool = True, is_ours: bool = False) -> Parts:
        """Return the parts of the graph.

        Raises:
            FormatError: There are too many attribute values.
        """
        return Parts(
            n_nodes=len(self._nodes),
            edges=self._edges,
            graph_values=self.graph_values,
            vertex_columns=with_names(self._columns(self._nodes), list(self.position), is_ours=is_ours),
            edge_columns=self._columns(self._records),
            directed=directed,
            is_ours=is_ours,
        )

    def _count(self, values: dict[str, Any]) -> None:
        """Raise as soon as defaults multiply values beyond the size of the file."""
        self._n_values += len(values)
        if self._n_values > MAX_CELLS:
            check_size(0, 0, n_cells=self._n_values, n_bytes=self._n_bytes)

    def _columns(self, records: list[dict[str, Any]]) -> dict[str, list[Any]]:
        names = list(dict.fromkeys(name for record in records for name in record))
        check_size(0, 0, n_cells=len(names) * len(records), n_bytes=self._n_bytes)
        columns = {name: [record.get(name) for record in records] for name in names}
        return {
            name: values for name, values in columns.items() if any(value is not None for value in values)
        }


def text_of(content: bytes) -> str:
    r"""Return a text in UTF-8 or, with a byte order mark, UTF-16, with line feeds at the ends of lines.

    Raises:
        FormatError: The bytes are not such text.

    Example:
        >>> text_of("a\r\nb".encode("utf-16"))
        'a\nb'
    """
    is_utf16 = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text; store it as UTF-8") from None
    if "\0" in text:
        raise FormatError("is not text: it has a zero byte")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def number_or_text(text: str) -> Any:
    """Return an int or a float if the text is one, else the text.

    Example:
        >>> [number_or_text(text) for text in ("3", "0.5", "1_0", "red")]
        [3, 0.5, '1_0', 'red']
    """
    if not _NUMBER.fullmatch(text) or len(text) > 4_000:
        return text
    return int(text) if _INTEGER.fullmatch(text) else float(text)
