"""``graphtask compile``: what the network of a graph costs, and the network as a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import examples, format_option, out_option, reading_options
from graphtask_cli.output import note, show
from graphtask_cli.sources import graph_path, is_run, named, read_graph, run_config

if TYPE_CHECKING:
    import igraph

_CHANNELS = 11
_SIZE = 32


@click.command(
    epilog=examples(
        "graphtask new full --nodes 60 --stages 3 -o full.graphml",
        "graphtask compile full.graphml --channels 11",
        "graphtask compile full.graphml --budget 853018 -o net.pt2",
    )
)
@click.argument("graph_file", type=click.Path(path_type=Path), metavar="GRAPH|RUN")
@click.option(
    "--channels",
    type=int,
    help=f"Channels of stage 0; stage s has 2^s times as many.  [default: {_CHANNELS}, or the run's]",
)
@click.option("--budget", type=int, help="Choose the channels whose parameter count is nearest to this.")
@click.option("--in-channels", type=int, help="Channels of the images.  [default: 3, or the run's]")
@click.option("--num-classes", type=int, help="Number of classes.  [default: 10, or the run's]")
@click.option(
    "--size", type=int, help="Height and width of the images, in pixels.  [default: 32, or the run's]"
)
@reading_options
@out_option(text="Write the network as a torch.export program (.pt2), which runs without graphtask.")
@format_option
def compile(  # noqa: A001 - the word the field uses
    graph_file: Path,
    *,
    channels: int | None,
    budget: int | None,
    in_channels: int | None,
    n_classes: int | None,
    size: int | None,
    out: Path | None,
    form: str,
    **reading: Any,
) -> None:
    """Print the size of a graph's network; export it with -o.

    Counting needs no PyTorch. The network of a run is the trained one, unless other channels or classes are asked
    for; that of a graph is new, but edges that have trained weights keep them.
    """
    import graphtask as gt

    if channels is not None and budget is not None:
        raise click.UsageError("--channels and --budget exclude each other; give one of them")
    graph = read_graph(graph_path(graph_file), **reading)
    known = run_config(graph_file) if is_run(graph_file) else {}
    trained = bool(known) and channels is budget is in_channels is n_classes is None
    n_in = known.get("in_channels", 3) if in_channels is None else in_channels
    n_out = known.get("n_classes", 10) if n_classes is None else n_classes
    if budget is not None:
        channels = gt.fit_channels(graph, budget=budget, in_channels=n_in, n_classes=n_out)
    elif channels is None:
        channels = known.get("channels", _CHANNELS)
    if size is None:
        size = known.get("size", _SIZE)
    with named(graph_file):
        record = _record(graph, channels=channels, size=size, in_channels=n_in, n_classes=n_out)
    if out is not None:
        from graphtask.compiler.export import export_program

        net = (
            gt.Run.open(graph_file).module()
            if trained
            else gt.compile(graph, channels=channels, in_channels=n_in, n_classes=n_out)
        )
        export_program(net, out, size=size)
        what = "the trained network" if trained else "the network"
        note(
            f"wrote {what} for images of {size}×{size} pixels to {out}; torch.export.load({str(out)!r}).module()(images) runs it"
        )
    show([record], form=form)


def _record(graph: "igraph.Graph", *, channels: int, size: int, **shape: Any) -> dict[str, Any]:
    import graphtask as gt
    from graphtask.graph import size_by_stage

    per_stage = size_by_stage(graph)["nodes_per_stage"]
    return {
        "channels": channels,
        "nodes": graph.vcount(),
        "edges": graph.ecount(),
        "stages": len(per_stage),
        "nodes_per_stage": per_stage,
        "channels_per_stage": [channels * 2**stage for stage in range(len(per_stage))],
        "parameters": gt.count_parameters(graph, channels=channels, **shape),
        f"macs_{size}x{size}": gt.count_macs(graph, channels=channels, size=size, **shape),
    }
