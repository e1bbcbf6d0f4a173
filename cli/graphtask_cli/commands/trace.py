"""``graphtask trace``: graphs of PyTorch models."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphtask_cli.messages import progress
from graphtask_cli.options import command, examples, format_option, option, out_option
from graphtask_cli.param_types import SHAPE, Choice
from graphtask_cli.render import show
from graphtask_cli.streams import is_stream, write_graph

if TYPE_CHECKING:
    import igraph

    from graphtask.tracing.trace import Granularity


@command(
    epilog=examples(
        "graphtask trace torchvision:resnet18 -o resnet18.graphml",
        "graphtask trace torchvision:densenet121 --granularity block -o densenet121.graphml",
        "graphtask trace mypackage.models:make_net --input 1,1,28,28 -o net.graphml",
    )
)
@click.argument("source", metavar="SOURCE")
@option(
    "--input",
    "inputs",
    type=SHAPE,
    multiple=True,
    default=("1,3,224,224",),
    help="Shape of an input tensor, batch first, followed by :int for integers; may be repeated.",
)
@option(
    "--granularity",
    type=Choice(["leaf", "layer", "block"]),
    default="leaf",
    help="Vertices of the graph: leaf modules and joins, layers with weights only, or blocks.",
)
@option(
    "--block-class",
    "blocks",
    multiple=True,
    metavar="CLASS",
    show_default="composite classes that occur repeatedly",
    help="Class of modules that are blocks; may be repeated.",
)
@out_option(text="GraphML file to write; - for standard output, in the place of the sizes.", required=True)
@format_option
def trace(
    source: str,
    *,
    inputs: tuple[tuple[list[int], bool], ...],
    granularity: "Granularity",
    blocks: tuple[str, ...],
    out: Path,
    form: str,
) -> None:
    """Make the graph of a PyTorch model.

    SOURCE is torchvision:NAME, a torchvision model (without pretrained weights; nothing is downloaded), or
    PACKAGE.MODULE:NAME, a torch.nn.Module, or a class or function that returns one without arguments.

    Vertices are computations, edges the tensors between them; the stage counts the halvings of the resolution.
    """
    with progress() as bar:
        bar.add_task("loading and tracing", total=None)
        graph = _traced(source, inputs, granularity=granularity, blocks=blocks)
    from graphtask.graph import size_by_stage

    write_graph(graph, out)
    if is_stream(out):
        return
    show([{"source": source, "granularity": granularity, **size_by_stage(graph)}], form=form)


def _traced(
    source: str,
    inputs: tuple[tuple[list[int], bool], ...],
    *,
    granularity: "Granularity",
    blocks: tuple[str, ...],
) -> "igraph.Graph":
    import torch

    import graphtask as gt
    from graphtask.graph import with_provenance
    from graphtask.tracing.sources import load_module

    example = [torch.zeros(sizes, dtype=torch.int64 if whole else torch.float32) for sizes, whole in inputs]
    traced = gt.trace(load_module(source), example, granularity=granularity, blocks=blocks or None)
    return with_provenance(traced, source=source)
