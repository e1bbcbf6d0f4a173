"""``graphtask draw``: pictures of graphs."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.messages import progress, say
from graphtask_cli.options import (
    PAPER_THRESHOLD,
    command,
    examples,
    option,
    out_option,
    picture_type_option,
    reading_options,
    threshold_option,
)
from graphtask_cli.param_types import PATH, Choice, Number
from graphtask_cli.sources import Source, expand, named, read_graph

if TYPE_CHECKING:
    import igraph

_OF_RUNS = ("history", "curves")  # further pictures of a run


@command(
    epilog=examples(
        "graphtask new banded --nodes 30 --bandwidth 4 -o banded.graphml",
        "graphtask draw banded.graphml -o banded.svg",
        "graphtask draw runs/full-0 --animate -o run.gif",
    )
)
@click.argument("paths", type=PATH, metavar="GRAPH|RUN|FOLDER|-...", nargs=-1, required=True)
@out_option(
    text="Write one picture of all graphs to a file (.svg, .pdf, .png), or one picture of each to a folder.",
    show_default="next to each graph",
)
@picture_type_option
@threshold_option(text="Draw edges below this threshold light, and the paths that are then dead red.")
@option(
    "--layout",
    type=Choice(["layered", "stages", "kamada-kawai", "circle", "file"]),
    section="Output",
    show_default="layered if small and sparse, else kamada-kawai",
    help="Layout of the nodes; file: vertex attributes x and y.",
)
@option(
    "--labels", metavar="ATTRIBUTE", section="Output", help="Vertex attribute to show, such as name or op."
)
@option(
    "--weak",
    type=Choice(["light", "hidden"]),
    default="light",
    section="Output",
    help="Draw edges below the threshold light, or hide them.",
)
@option("--font", metavar="FAMILY", section="Output", show_default="DejaVu Sans", help="Font of all text.")
@option("--font-size", type=Number(1), default=8.0, section="Output", help="Font size in points.")
@option(
    "--same-layout",
    is_flag=True,
    section="Output",
    help="In one picture of several graphs, put nodes of the same name in the same place.",
)
@option(
    "--animate",
    is_flag=True,
    section="Output",
    help="Draw the epochs of one run as an animation: .gif, .html, or .mp4 (needs ffmpeg).",
)
@option("--title", section="Output", help="Title of the picture.")
@reading_options
def draw(
    paths: tuple[Path, ...],
    *,
    out: Path | None,
    suffix: str,
    threshold: float | None,
    title: str | None,
    layout: str | None,
    labels: str | None,
    weak: str,
    font: str | None,
    font_size: float,
    same_layout: bool,
    animate: bool,
    **reading: Any,
) -> None:
    """Draw graphs: colored by stage, edge width by weight.

    A run stands for its trained graph; its edge history and learning curves are drawn too, unless all graphs share
    one picture. Prints the files that it wrote.
    """
    import graphtask as gt

    if animate:
        _animate(paths, out=out, threshold=threshold, layout=layout, title=title, labels=labels)
        return
    look: dict[str, Any] = {
        "threshold": threshold,
        "title": title,
        "layout": layout,
        "labels": labels,
        "weak": weak,
        "font": font,
        "font_size": font_size,
    }
    sources = expand(paths)
    if out is not None and out.suffix and not out.is_dir():
        graphs = {source.label: _read(source, threshold=threshold, **reading) for source in sources}
        if len(graphs) == 1:
            figure = gt.draw(*graphs.values(), **look)
        else:
            figure = gt.plot.draw_grid(graphs, same_layout=same_layout, **look)
        say(gt.plot.save(figure, out))
        return
    targets = _targets(sources, out, suffix)
    with progress(visible=len(sources) > 1) as bar:
        for source, target in zip(bar.track(sources, description="drawing"), targets, strict=True):
            graph = _read(source, threshold=threshold, **reading)
            target.parent.mkdir(parents=True, exist_ok=True)
            figure = gt.draw(graph, **look)
            say(gt.plot.save(figure, target))
            if source.run is not None:
                _draw_training(source.run, target, PAPER_THRESHOLD if threshold is None else threshold)


def _animate(
    paths: tuple[Path, ...], *, out: Path | None, threshold: float | None, title: str | None, **options: Any
) -> None:
    import graphtask as gt
    from graphtask.dynamics.table import open_recording
    from graphtask_cli.sources import is_run

    if len(paths) != 1 or not is_run(paths[0]):
        raise click.UsageError("--animate needs the folder of one run")
    if out is None:
        raise click.UsageError("--animate needs --out, a .gif, .html or .mp4 file")
    if options.pop("labels") is not None:
        raise click.UsageError("--animate excludes --labels")
    recording = open_recording(paths[0])
    level = PAPER_THRESHOLD if threshold is None else threshold
    with progress() as bar:
        say(
            gt.animate(
                recording,
                out=out,
                threshold=level,
                title=title or "",
                watch=lambda epochs: bar.track(epochs, description="drawing"),
                **options,
            )
        )


def _read(source: Source, *, threshold: float | None, **reading: Any) -> "igraph.Graph":
    """Return the graph; raise now, with the name of the file, if it has no weights to prune by."""
    from graphtask.pruning import pruned_parts

    graph = read_graph(source.path, **reading)
    if threshold is not None:
        with named(source.path):
            pruned_parts(graph, threshold=threshold)
    return graph


def _targets(sources: Sequence[Source], out: Path | None, suffix: str) -> list[Path]:
    """Return a different file for each graph; equal names get the suffix of the graph file, then a number.

    Raises:
        GraphtaskError: The folder cannot be written to.
    """
    from graphtask.storage.atomic import check_folder
    from graphtask.storage.names import distinct_stems, file_stem

    if out is not None:
        check_folder(out)
    stems = [
        str(source.path.with_suffix("") if out is None else out / file_stem(source.label))
        for source in sources
    ]
    kinds: dict[str, set[str]] = defaultdict(set)
    for source, stem in zip(sources, stems, strict=True):
        kinds[stem].add(source.path.suffix)
    named = [
        stem + source.path.suffix.replace(".", "-") if len(kinds[stem]) > 1 else stem
        for source, stem in zip(sources, stems, strict=True)
    ]
    endings = [[""] if source.run is None else ["", *(f"-{name}" for name in _OF_RUNS)] for source in sources]
    return [Path(f"{stem}.{suffix}") for stem in distinct_stems(named, endings)]


def _beside(picture: Path, name: str) -> Path:
    return picture.with_stem(f"{picture.stem}-{name}")


def _draw_training(folder: Path, picture: Path, threshold: float) -> None:
    import graphtask as gt

    run = gt.Run.open(folder)
    figures = gt.plot.draw_history(run.history, threshold=threshold), gt.plot.draw_curves(run.metrics)
    for name, figure in zip(_OF_RUNS, figures, strict=True):
        say(gt.plot.save(figure, _beside(picture, name)))
