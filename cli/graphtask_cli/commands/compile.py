"""``graphtask compile``: size of the network of a graph, and its export."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.messages import note
from graphtask_cli.options import (
    command,
    examples,
    format_option,
    imports_option,
    option,
    out_option,
    reading_options,
)
from graphtask_cli.param_types import PATH, Integer
from graphtask_cli.render import show
from graphtask_cli.sources import graph_path, is_run, named, read_graph, run_blocks, run_config

if TYPE_CHECKING:
    import igraph

_CHANNELS = 11
_SIZE = 32


@command(
    epilog=examples(
        "graphtask new full --nodes 60 --stages 3 -o full.graphml",
        "graphtask compile full.graphml --channels 11",
        "graphtask compile full.graphml --budget 853018 -o net.pt2",
        "graphtask compile fixtures/graphs/trained_12.graphml --channels 4 -o net.onnx",
        "graphtask compile cell.txt --stages 1 --block operations --channels 16 -o cell.onnx",
    )
)
@click.argument("graph_file", type=PATH, metavar="GRAPH|RUN|-")
@option(
    "--channels",
    type=Integer(1),
    section="Model",
    show_default=f"{_CHANNELS}, or the run's",
    help="Channels of stage 0; stage s has 2^s times as many.",
)
@option(
    "--budget",
    type=Integer(1),
    section="Model",
    help="Choose the channels whose number of parameters is nearest to this.",
)
@option(
    "--in-channels",
    type=Integer(1),
    section="Model",
    show_default="3, or the run's",
    help="Channels of the images.",
)
@option(
    "--classes",
    "n_classes",
    type=Integer(1),
    section="Model",
    show_default="10, or the run's",
    help="Number of classes.",
)
@option(
    "--size",
    type=Integer(1),
    section="Model",
    show_default="32, or the run's",
    help="Height and width of the images, in pixels.",
)
@option(
    "--block",
    section="Model",
    metavar="NAME",
    show_default="standard, or the run's",
    help="Block of the nodes: a name, such as operations for cells, or package.module:name.",
)
@imports_option
@reading_options
@out_option(
    text="Write the network as a torch.export program (.pt2) or an ONNX model (.onnx); both run without graphtask."
)
@format_option
def compile(  # noqa: A001 - the word the field uses
    graph_file: Path,
    *,
    channels: int | None,
    budget: int | None,
    in_channels: int | None,
    n_classes: int | None,
    size: int | None,
    block: str | None,
    imports: tuple[str, ...],
    out: Path | None,
    form: str,
    **reading: Any,
) -> None:
    """Print the size of a graph's network; export it with -o.

    Counting standard blocks does not load PyTorch. The network of a run is the trained one, unless other channels, classes or
    blocks are given. The network of a graph is initialized; edges that have trained weights keep them.
    """
    import graphtask as gt

    if channels is not None and budget is not None:
        raise click.UsageError("--channels and --budget exclude each other; pass one of them")
    graph = read_graph(graph_path(graph_file), **reading)
    known = run_config(graph_file) if is_run(graph_file) else {}
    trained = bool(known) and all(
        value is None for value in (channels, budget, in_channels, n_classes, block)
    )
    n_in = known.get("in_channels", 3) if in_channels is None else in_channels
    n_out = known.get("n_classes", 10) if n_classes is None else n_classes
    blocks = run_blocks(graph_file, imports=imports) if known else {}
    if block is not None:
        blocks["block"] = block
    shape = {"in_channels": n_in, "n_classes": n_out, **blocks}
    if budget is not None:
        channels = gt.compiler.fit_channels(graph, budget=budget, **shape)
    elif channels is None:
        channels = known.get("channels", _CHANNELS)
    if size is None:
        size = known.get("size", _SIZE)
    with named(graph_file):
        record = _record(graph, channels=channels, size=size, **shape)
    if out is not None:
        changed = None if trained else {"channels": channels, **shape}
        _export(graph_file, graph, out, size=size, shape=changed, imports=imports)
    show([record], form=form)


def _export(
    graph_file: Path,
    graph: "igraph.Graph",
    out: Path,
    *,
    size: int,
    shape: dict[str, Any] | None,
    imports: tuple[str, ...],
) -> None:
    """Write the network of a graph, or the trained one of a run if ``shape`` is None."""
    import graphtask as gt
    from graphtask.compiler.export import export_program

    net = gt.Run.open(graph_file, imports=imports).module() if shape is None else gt.compile(graph, **shape)
    export_program(net, out, size=size)
    kind = "network" if shape else "trained network"
    call = (
        f"onnxruntime.InferenceSession({str(out)!r}).run(None, {{'images': images}})"
        if out.suffix == ".onnx"
        else f"torch.export.load({str(out)!r}).module()(images)"
    )
    note(f"wrote the {kind} for images of {size}×{size} pixels to {out}; {call} runs it")


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
        "parameters": gt.compiler.count_parameters(graph, channels=channels, **shape),
        f"macs_{size}x{size}": gt.compiler.count_macs(graph, channels=channels, size=size, **shape),
    }
