"""Options and arguments that several commands share; each is written once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def examples(*lines: str) -> str:
    """The end of a command's help: examples that can be pasted as they are."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])


def read_stages(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | list[int] | None:
    """A number of stages, such as 3, or their sizes, such as 30,20,10."""
    if value is None:
        return None
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a number of stages (3) nor their sizes (30,20,10)"
        ) from None
    return numbers if "," in value else numbers[0]


def read_numbers(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[float, ...]:
    """Numbers with commas between them, such as 0.8,0.9."""
    try:
        return tuple(float(part) for part in value.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 0.8,0.9") from None


def stages_option(*, foreign: bool = False) -> Decorator:
    """``--stages``: of a new graph, or of a file that has none."""
    what = (
        "For graphs without stages (others keep theirs): their number"
        if foreign
        else "Number of stages (equal parts)"
    )
    default = "" if foreign else "  [default: 3]"
    return click.option(
        "--stages",
        callback=read_stages,
        metavar="K|SIZES",
        help=f"{what}, or their sizes, such as 30,20,10.{default}",
    )


join_option = click.option(
    "--join",
    is_flag=True,
    help="Give a graph with several inputs or outputs one new node before or after them.",
)

merge_option = click.option(
    "--merge",
    is_flag=True,
    help="Let edges between the same two nodes become one, that with the largest weight.",
)

order_option = click.option(
    "--order",
    type=click.Choice(["ids", "x", "radius", "bifocal"]),
    help="Let every edge of a graph that is undirected or has cycles lead forward in this order of its nodes.",
)


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--stages``, ``--join``, ``--merge`` and ``--order``: how the file of another program is read."""
    for option in (order_option, merge_option, join_option, stages_option(foreign=True)):
        function = option(function)
    return function


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How the result is printed: for people, or in full precision for programs.",
)

channels_option = click.option(
    "--channels",
    type=int,
    default=11,
    show_default=True,
    help="Channels of stage 0; stage s has 2^s times as many.",
)

threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="CPU threads to use.  [default: PyTorch's choice]"
)

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Runs at a time on the CPU.  [default: as many as there are cores for their threads]",
)


def read_gpus(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[int] | None:
    """Numbers of GPUs, such as 0,1."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers such as 0,1") from None


def gpu_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--gpus`` and ``--jobs-per-gpu``."""
    for decorator in (
        click.option(
            "--jobs-per-gpu",
            type=click.IntRange(min=1),
            default=1,
            help="Runs at a time on a GPU.  [default: 1]",
        ),
        click.option(
            "--gpus",
            callback=read_gpus,
            metavar="0,1…",
            help="GPUs of this machine to use.  [default: all, unless --device says cpu]",
        ),
    ):
        command = decorator(command)
    return command


device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto (CUDA, else MPS, else the CPU), cpu, cuda, cuda:1 or mps.",
)


cuda_graph_option = click.option(
    "--cuda-graph/--no-cuda-graph",
    default=True,
    help="Whether a training step on a GPU is captured as a CUDA graph; the results are the same.",
)


data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the named data sets lie now, if not where they were at training.",
)

runs_argument = click.argument(
    "paths", type=click.Path(path_type=Path), metavar="RUN|FOLDER...", nargs=-1, required=True
)

plot_option = click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw a picture (.svg, .pdf, .png); what it shows is written beside it, as FILE-data.csv.",
)


def threshold_option(*, default: float | None, text: str) -> Decorator:
    """``--threshold``, with what it means for this command."""
    return click.option(
        "--threshold", type=float, default=default, show_default=default is not None, help=text
    )


def out_option(*, text: str, required: bool = False) -> Decorator:
    """``-o/--out`` FILE."""
    return click.option(
        "-o", "--out", type=click.Path(path_type=Path), metavar="FILE", required=required, help=text
    )
