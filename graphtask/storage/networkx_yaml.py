"""Graphs that old releases of networkx wrote as YAML, such as those of implementations of RandWire.

The file is the inside of a networkx object. No YAML library reads it, because a tag of YAML may create any object:
the two blocks with the neighbors and the nodes are read line by line, everything else is skipped.
"""

import re

from graphtask.errors import FormatError
from graphtask.storage.assembly import Parts
from graphtask.storage.builder import GraphBuilder, text_of
from graphtask.storage.values import one_line

_CLASS = re.compile(
    r"(?:&\w+ )?!!python/object:networkx\.classes\.(?:multi)?(di)?graph\.(?:Multi)?(?:Di)?Graph"
)
_ENTRY = re.compile(r"( *)(?:'([^']*)'|\"([^\"\\]*)\"|([^\s:'\"&*!{}\[\]]+)):(?: .*)?")
_ALIAS = re.compile(r": \*\w+\s*$")  # the block is another one
_BLOCKS = ("_succ", "_adj", "succ", "adj")


def parse(content: bytes) -> Parts:
    r"""Return the parts of the graph in a YAML file of networkx, without attributes.

    Raises:
        FormatError: It is another YAML file.

    Example:
        >>> text = b"!!python/object:networkx.classes.digraph.DiGraph\n_adj:\n  0:\n    1: {}\n  1: {}\n"
        >>> parse(text).edges
        [(0, 1)]
    """
    lines = text_of(content).split("\n")
    match = _CLASS.fullmatch(lines[0].strip())
    if match is None:
        raise FormatError(
            "is not YAML of networkx: its first line must be !!python/object:networkx.classes.graph.Graph"
        )
    starts = {line.split(":")[0]: number for number, line in enumerate(lines) if line[:1] not in {"", " "}}
    filled = [starts[name] for name in _BLOCKS if name in starts and not _ALIAS.search(lines[starts[name]])]
    block = next(iter(filled), None)
    if block is None:
        raise FormatError("is not YAML of networkx: it has no block _adj")
    builder = GraphBuilder(n_bytes=len(content))
    edges: dict[tuple[str, str], None] = {}
    node = None
    for line in lines[
        block + 1 : min([start for start in starts.values() if start > block], default=len(lines))
    ]:
        if not line.strip():
            continue
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            raise FormatError(f"the line {one_line(line)} is not a node with its neighbors")
        name = next(text for text in entry.groups()[1:] if text is not None)
        if len(entry[1]) == 2:
            node = name
            builder.add_node(name)
        elif len(entry[1]) == 4 and node is not None:
            edges[node, name] = None
    directed = match[1] is not None
    for source, target in edges:
        if directed or (target, source) not in edges or builder.index_of(source) <= builder.index_of(target):
            builder.add_edge(source, target)
    return builder.parts(directed=directed)
