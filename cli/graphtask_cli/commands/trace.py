"""``graphtask trace``: the graph of any PyTorch model."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphtask_cli.options import examples, format_option, out_option
from graphtask_cli.output import note, show

if TYPE_CHECKING:
    from graphtask.tracing.trace import Granularity

Shape = tuple[list[int], bool]  # the sizes, and whether the values are whole numbers


def _read_shapes(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[Shape]:
    return [_read_shape(value) for value in values]


def _read_shape(value: str) -> Shape:
    shape, colon, kind = value.partition(":")
    try:
        sizes = [int(part) for part in shape.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1 or (colon and kind != "int"):
        raise click.BadParameter(f"{value!r} is not a shape such as 1,3,224,224 or 1,128:int")
    return sizes, bool(colon)


@click.command(
    epilog=examples(
        "graphtask trace torchvision:resnet18 -o resnet18.graphml",
        "graphtask trace torchvision:densenet121 --granularity block -o densenet121.graphml",
        "graphtask trace mypackage.models:make_net --input 1,1,28,28 -o net.graphml",
    )
)
@click.argument("source", metavar="SOURCE")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    callback=_read_shapes,
    default=("1,3,224,224",),
    show_default=True,
    metavar="SHAPE",
    help="Shape of an input tensor, batch first; with :int behind it for whole numbers. Repeat it for more inputs.",
)
@click.option(
    "--granularity",
    type=click.Choice(["leaf", "layer", "block"]),
    default="leaf",
    show_default=True,
    help="What a vertex is: leaf modules and joins, layers with weights alone, or blocks.",
)
@click.option(
    "--block",
    "blocks",
    multiple=True,
    metavar="CLASS",
    help="A class of modules that are blocks; repeat it for more.  [default: composite classes that occur repeatedly]",
)
@out_option(text="GraphML file to write; a file that is there already is replaced.", required=True)
@format_option
def trace(
    source: str,
    *,
    inputs: list[Shape],
    granularity: "Granularity",
    blocks: tuple[str, ...],
    out: Path,
    form: str,
) -> None:
    """Make the graph of a PyTorch model.

    SOURCE is torchvision:NAME, a model of torchvision (without pretrained weights: nothing is downloaded), or
    PACKAGE.MODULE:NAME, a torch.nn.Module, or a class or function that gives one when called without arguments.

    Vertices are computations, edges the tensors that flow; the stage counts how often the resolution was halved.
    """
    import torch

    import graphtask as gt
    from graphtask.graph import size_by_stage, with_provenance
    from graphtask.tracing.sources import load_module

    example = [torch.zeros(sizes, dtype=torch.int64 if whole else torch.float32) for sizes, whole in inputs]
    traced = gt.trace(load_module(source), example, granularity=granularity, blocks=blocks or None)
    graph = with_provenance(traced, source=source)
    gt.write(graph, out)
    note(f"wrote {out}")
    show([{"source": source, "granularity": granularity, **size_by_stage(graph)}], form=form)
