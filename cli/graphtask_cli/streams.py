"""Graphs on standard input and output, in the place of a file called ``-``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask_cli.messages import note

if TYPE_CHECKING:
    import igraph

STREAM = "-"
_FIRST = {b"<": ".graphml", b"{": ".json", b"[": ".json", b"g": ".gml", b"G": ".gml"}  # byte of each format


def is_stream(path: object) -> bool:
    """Return True for the name that stands for standard input or output."""
    return str(path) == STREAM


def stream_content() -> bytes:
    """Return all bytes of standard input.

    Raises:
        FormatError: They are more than any graph file may have.
    """
    from graphtask.storage.limits import MAX_BYTES, check_bytes

    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    check_bytes(len(content))
    return content


def read_stream(**reading: Any) -> "igraph.Graph":
    """Return the graph on standard input, in GraphML, JSON or GML.

    Args:
        **reading: Values of `graphtask_cli.options.reading_options`.

    Raises:
        GraphtaskError: It is another format, or the graph is invalid.
    """
    from graphtask.errors import FormatError
    from graphtask.reading import ReadOptions, from_bytes

    content = stream_content()
    form = _FIRST.get(content.lstrip()[:1])
    if form is None:
        raise FormatError(
            "standard input must be GraphML, JSON or GML; for other formats pipe it through: "
            "graphtask convert - - --from SUFFIX --to graphml"
        )
    return from_bytes(content, name=f"graph{form}", options=ReadOptions(**reading))


def write_graph(graph: "igraph.Graph", out: Path) -> None:
    """Write a graph to a file, or to standard output as GraphML.

    Raises:
        GraphtaskError: It cannot be written.
    """
    import graphtask as gt
    from graphtask.storage.writers import to_bytes

    if is_stream(out):
        write_stream(to_bytes(graph, suffix=".graphml"))
        return
    gt.write(graph, out)
    note(f"wrote {out}")


def write_stream(content: bytes) -> None:
    """Write bytes to standard output."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
