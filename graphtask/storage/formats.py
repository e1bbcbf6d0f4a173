"""Which files hold graphs: the one table of suffixes, and what reads each."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType

from graphtask.errors import FormatError
from graphtask.storage import edge_list, gml, graphml_parser, node_link, npz
from graphtask.storage.assembly import Parts

PARSERS: Mapping[str, Callable[[bytes], Parts]] = MappingProxyType(
    {
        ".graphml": graphml_parser.parse,
        ".gml": gml.parse,
        ".json": node_link.parse,
        ".npz": npz.parse,
        ".csv": edge_list.parse_separated,
        ".tsv": edge_list.parse_separated,
        ".txt": edge_list.parse,
        ".edges": edge_list.parse,
        ".edgelist": edge_list.parse,
    }
)
"""From suffix to parser; a parser takes the bytes of a file and raises `FormatError` or `GraphError`, nothing else."""


def suffix(name: str) -> str:
    """The suffix that decides how a file is read, in lower case."""
    return PurePath(name).suffix.lower()


def parse(content: bytes, *, name: str) -> Parts:
    r"""The parts of the graph in a file of any format.

    Args:
        content: The bytes of the file.
        name: The name of the file, whose suffix says what it holds.

    Raises:
        FormatError: The suffix is unknown, or the file does not hold what it promises.
        GraphError: Some edges are directed, and others are not.

    Example:
        >>> parse(b"a,b\nb,c\n", name="edges.csv").edges
        [(0, 1), (1, 2)]
    """
    parser = PARSERS.get(suffix(name))
    if parser is None:
        known = ", ".join(PARSERS)
        raise FormatError(
            f"the suffix {suffix(name)!r} does not say how to read it; graphs are in {known} files"
        )
    return parser(content)
