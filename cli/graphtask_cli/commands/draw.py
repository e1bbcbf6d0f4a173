"""``graphtask draw``: graphs as pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import examples, reading_options, threshold_option
from graphtask_cli.output import progress
from graphtask_cli.sources import Source, expand, named, read_graph

if TYPE_CHECKING:
    import igraph

_SUFFIXES = ("svg", "pdf", "png")


@click.command(
    epilog=examples(
        "graphtask new banded --nodes 30 --bandwidth 4 -o banded.graphml",
        "graphtask draw banded.graphml -o banded.svg",
    )
)
@click.argument(
    "paths", type=click.Path(path_type=Path), metavar="GRAPH|RUN|FOLDER...", nargs=-1, required=True
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="A picture (.svg, .pdf, .png): of all graphs together, if there are several. Or a folder, for one picture "
    "of each.  [default: beside each graph]",
)
@click.option(
    "--type",
    "suffix",
    type=click.Choice(_SUFFIXES),
    default="svg",
    show_default=True,
    help="Of pictures that -o does not name.",
)
@threshold_option(default=None, text="Red for what pruning with this threshold would remove.")
@click.option("--title", help="A line above the picture.")
@reading_options
def draw(
    paths: tuple[Path, ...],
    *,
    out: Path | None,
    suffix: str,
    threshold: float | None,
    title: str | None,
    **reading: Any,
) -> None:
    """Draw graphs: colored by stage, edges as wide as their weight.

    The layout is Kamada-Kawai's, with the input on the left. A run stands for its trained graph; its edge history
    and its learning curves are drawn too, unless all goes into one picture. Prints the files that it wrote.
    """
    import graphtask as gt

    sources = expand(paths)
    if out is not None and out.suffix and not out.is_dir():
        graphs = {source.label: _read(source, threshold=threshold, **reading) for source in sources}
        if len(graphs) == 1:
            figure = gt.draw(*graphs.values(), threshold=threshold, title=title)
        else:
            figure = gt.draw_grid(graphs, threshold=threshold, title=title)
        click.echo(gt.save_figure(figure, out))
        return
    with progress(visible=len(sources) > 1) as bar:
        for source in bar.track(sources, description="drawing"):
            graph = _read(source, threshold=threshold, **reading)
            target = _target(source, out, suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            figure = gt.draw(graph, threshold=threshold, title=title)
            click.echo(gt.save_figure(figure, target))
            if source.run is not None:
                _draw_training(source.run, target, 0.006 if threshold is None else threshold)


def _read(source: Source, *, threshold: float | None, **reading: Any) -> "igraph.Graph":
    """The graph; complains now, and names the file, if it has no weights to be pruned by."""
    from graphtask.pruning import pruned_parts

    graph = read_graph(source.path, **reading)
    if threshold is not None:
        with named(source.path):
            pruned_parts(graph, threshold=threshold)
    return graph


def _target(source: Source, out: Path | None, suffix: str) -> Path:
    if out is None:
        return source.path.with_suffix(f".{suffix}")
    return out / f"{source.label.replace('/', '-')}.{suffix}"


def _draw_training(folder: Path, beside: Path, threshold: float) -> None:
    import graphtask as gt

    run = gt.Run.open(folder)
    figures = {
        "history": gt.draw_history(run.history, threshold=threshold),
        "curves": gt.draw_curves(run.metrics),
    }
    for name, figure in figures.items():
        click.echo(gt.save_figure(figure, beside.with_stem(f"{beside.stem}-{name}")))
