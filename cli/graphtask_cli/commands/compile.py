"""``graphtask compile``: what the network of a graph costs, and the network as a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import examples, format_option, join_option, out_option, stages_option
from graphtask_cli.output import note, show

if TYPE_CHECKING:
    import igraph

_CHANNELS = 11


@click.command(
    epilog=examples(
        "graphtask new full --nodes 60 --stages 3 -o full.graphml",
        "graphtask compile full.graphml --channels 11",
        "graphtask compile full.graphml --budget 853018 -o net.pt2",
    )
)
@click.argument("graph_file", type=click.Path(path_type=Path), metavar="GRAPH")
@click.option(
    "--channels",
    type=int,
    help=f"Channels of stage 0; stage s has 2^s times as many.  [default: {_CHANNELS}]",
)
@click.option("--budget", type=int, help="Choose the channels whose parameter count is nearest to this.")
@click.option("--in-channels", type=int, default=3, show_default=True, help="Channels of the images.")
@click.option("--num-classes", type=int, default=10, show_default=True, help="Number of classes.")
@click.option(
    "--size", type=int, default=32, show_default=True, help="Height and width of the images, in pixels."
)
@stages_option(foreign=True)
@join_option
@out_option(text="Write the network as a torch.export program (.pt2), which runs without graphtask.")
@format_option
def compile(  # noqa: A001 - the word the field uses
    graph_file: Path,
    *,
    channels: int | None,
    budget: int | None,
    in_channels: int,
    num_classes: int,
    size: int,
    stages: int | Sequence[int] | None,
    join: bool,
    out: Path | None,
    form: str,
) -> None:
    """Print the size of the network of a graph; write it to a file with -o.

    Counting needs no PyTorch. The network that -o writes has new parameters; edges with trained weights keep them.
    """
    import graphtask as gt

    if channels is not None and budget is not None:
        raise click.UsageError("--channels and --budget exclude each other; give one of them")
    graph = gt.read(graph_file, stages=stages, join=join)
    shape: dict[str, Any] = {"in_channels": in_channels, "num_classes": num_classes}
    if budget is not None:
        channels = gt.fit_channels(graph, budget=budget, **shape)
    channels = _CHANNELS if channels is None else channels
    record = _record(graph, channels=channels, size=size, **shape)
    if out is not None:
        from graphtask.compiler.export import export_program

        export_program(gt.compile(graph, channels=channels, **shape), out, size=size)
        note(f"wrote {out}; torch.export.load({str(out)!r}).module()(images) runs it")
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
