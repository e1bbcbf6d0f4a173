"""Graphs as lists of neighbors, as networkx writes them: ``source target target …`` on each line."""

from graphtask.storage.assembly import Parts
from graphtask.storage.builder import GraphBuilder
from graphtask.storage.text_rows import Table


def parse(content: bytes) -> Parts:
    r"""Return the parts of the directed graph in an adjacency list.

    Nodes are named as in the file, in the order of its lines. A node without neighbors may have a line of its own.

    Raises:
        FormatError: The text is empty or too large.

    Example:
        >>> parse(b"# comment\nin a b\na b\nb\n").edges
        [(0, 1), (0, 2), (1, 2)]
    """
    builder = GraphBuilder(n_bytes=len(content))
    rows = [row.cells for row in Table(content, commas=False)]
    for cells in rows:
        builder.add_node(cells[0])
    for source, *targets in rows:
        for target in targets:
            builder.add_edge(source, target)
    return builder.parts()
