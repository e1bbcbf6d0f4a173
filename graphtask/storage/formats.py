"""Table of the file formats that hold graphs, and the parser of each (`writers` has the writers)."""

import zlib
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType

from graphtask.errors import FormatError
from graphtask.storage import (
    adjlist,
    dot,
    edge_list,
    gexf,
    gml,
    graph6,
    graphml_parser,
    matrix_market,
    metis,
    networkx_yaml,
    node_link,
    npz,
    onnx_model,
    pajek,
    torch_file,
    torch_program,
)
from graphtask.storage.assembly import Parts
from graphtask.storage.limits import MAX_BYTES

GZIP = ".gz"

PARSERS: Mapping[str, Callable[[bytes], Parts]] = MappingProxyType(
    {
        ".graphml": graphml_parser.parse,
        ".gml": gml.parse,
        ".gexf": gexf.parse,
        ".dot": dot.parse,
        ".gv": dot.parse,
        ".net": pajek.parse,
        ".json": node_link.parse,
        ".cyjs": node_link.parse,
        ".csv": edge_list.parse_separated,
        ".tsv": edge_list.parse_separated,
        ".txt": edge_list.parse,
        ".edges": edge_list.parse,
        ".edgelist": edge_list.parse,
        ".ncol": edge_list.parse,
        ".adjlist": adjlist.parse,
        ".npz": npz.parse,
        ".npy": npz.parse_npy,
        ".mtx": matrix_market.parse,
        ".metis": metis.parse,
        ".graph": metis.parse,
        ".yaml": networkx_yaml.parse,
        ".yml": networkx_yaml.parse,
        ".g6": graph6.parse,
        ".d6": graph6.parse,
        ".s6": graph6.parse,
        ".pt": torch_file.parse,
        ".pt2": torch_program.parse,
        ".onnx": onnx_model.parse,
    }
)
"""From suffix to parser; a parser takes the bytes of a file and raises only errors of graphtask."""

_AMBIGUOUS = {".yaml", ".yml"}


def suffix(name: str) -> str:
    """Return the suffix that selects the format, in lower case; ``.graphml.gz`` for a compressed file.

    Example:
        >>> suffix("Karate.GML"), suffix("full.graphml.gz")
        ('.gml', '.graphml.gz')
    """
    path = PurePath(name)
    last = path.suffix.lower()
    return PurePath(path.stem).suffix.lower() + last if last == GZIP else last


def is_graph_name(name: str) -> bool:
    """Return True if a file of this name holds a graph; YAML in a folder is taken for a configuration.

    Example:
        >>> is_graph_name("a.graphml.gz"), is_graph_name("a.png")
        (True, False)
    """
    return suffix(name).removesuffix(GZIP) in PARSERS.keys() - _AMBIGUOUS


def parse(content: bytes, *, name: str) -> Parts:
    r"""Return the parts of the graph in a file of any format.

    Args:
        content: Bytes of the file.
        name: Name of the file, whose suffix selects the format; after ``.gz`` is removed, if it has one.

    Raises:
        FormatError: The suffix is unknown, or the file does not hold what it promises.
        GraphError: Some edges are directed, and others are not.

    Example:
        >>> parse(b"a,b\nb,c\n", name="edges.csv").edges
        [(0, 1), (1, 2)]
    """
    ending = suffix(name)
    parser = PARSERS.get(ending.removesuffix(GZIP))
    if parser is None:
        raise FormatError(f"the suffix must be one of {', '.join(PARSERS)} (and .gz), got {ending!r}")
    return parser(_unpacked(content) if ending.endswith(GZIP) else content)


def _unpacked(content: bytes) -> bytes:
    """Return the content of a gzip file of at most `MAX_BYTES`."""
    result = bytearray()
    while content:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            result += unpacker.decompress(content, MAX_BYTES + 1 - len(result))
        except zlib.error as error:
            raise FormatError(f"is not a complete gzip file ({error})") from None
        if len(result) > MAX_BYTES or unpacker.unconsumed_tail:
            raise FormatError(f"unpacks to more than {MAX_BYTES:,} bytes; graphs of that size are not read")
        if not unpacker.eof:
            raise FormatError("is not a complete gzip file (it ends too early)")
        content = unpacker.unused_data
    return bytes(result)
