"""``graphtask diff``: edges and nodes of two graphs, in both and in one only."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.messages import note, say
from graphtask_cli.options import (
    command,
    examples,
    format_option,
    option,
    out_option,
    reading_options,
    relative_option,
    threshold_option,
)
from graphtask_cli.param_types import PATH, Choice
from graphtask_cli.render import show
from graphtask_cli.sources import graph_path, named, read_graph
from graphtask_cli.tables import records_of

if TYPE_CHECKING:
    import igraph

_COLUMNS = {"both": "in both", "only_first": "only in the first", "only_second": "only in the second"}


@command(
    epilog=examples(
        "graphtask diff full.graphml pruned.graphml",
        "graphtask diff runs/full-0 runs/full-1 --threshold 0.006 -o diff.svg",
        "graphtask diff runs/full-0 runs/full-1 --threshold 0.006 --edges --format csv",
    )
)
@click.argument("first", type=PATH, metavar="GRAPH|RUN")
@click.argument("second", type=PATH, metavar="GRAPH|RUN")
@threshold_option(text="Prune both graphs with this threshold first.", show_default="no pruning")
@relative_option
@option("--edges", is_flag=True, section="Output", help="Print one row per edge, with its weights.")
@out_option(text="Draw both graphs in one picture (.svg, .pdf, .png).")
@option(
    "--layout",
    type=Choice(["layered", "stages", "kamada-kawai", "circle", "file"]),
    section="Output",
    show_default="layered if small and sparse, else kamada-kawai",
    help="Layout of the union of both graphs.",
)
@option("--labels", metavar="ATTRIBUTE", section="Output", help="Vertex attribute to show, such as name.")
@format_option
@reading_options
def diff(
    first: Path,
    second: Path,
    *,
    threshold: float | None,
    relative: bool,
    edges: bool,
    out: Path | None,
    layout: Any,
    labels: str | None,
    form: str,
    **reading: Any,
) -> None:
    """Print the difference of two graphs: nodes and edges in both, only in the first, only in the second.

    Nodes correspond by name, so the graphs should come from one initial graph. A run stands for its trained graph.
    """
    import graphtask as gt

    graphs = [_read(path, threshold, relative, **reading) for path in (first, second)]
    found = gt.diff(*graphs)
    drawn = out and gt.plot.save(found.plot(names=_names(first, second), layout=layout, labels=labels), out)
    table = found.table() if edges else found.summary()
    show(records_of(table if form != "table" else table.rename(columns=_COLUMNS)), form=form)
    note(f"Dice similarity {found.dice_similarity:.4g}")
    if drawn:
        say(drawn)


def _read(path: Path, threshold: float | None, relative: bool, **reading: Any) -> "igraph.Graph":
    import graphtask as gt

    graph = read_graph(graph_path(path), **reading)
    with named(path):
        return graph if threshold is None else gt.prune(graph, threshold=threshold, relative=relative)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Return the names of the files without their folders, if they differ."""
    names = first.stem, second.stem
    return names if names[0] != names[1] else ("the first", "the second")
