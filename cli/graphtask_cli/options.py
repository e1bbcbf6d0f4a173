"""Options and arguments that several commands share; each is written once, and means the same everywhere."""

from collections.abc import Callable
from typing import Any

import click

from graphtask_cli.command import OPTIONS, Command, Group, Option
from graphtask_cli.param_types import (
    FOLDER,
    GPUS,
    GRAPHS,
    METRICS,
    PATH,
    STAGES,
    Choice,
    Integer,
    Number,
)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return the decorator of a command; see `graphtask_cli.command.Command`."""
    return click.command(name, cls=Command, **attributes)


def group(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Return the decorator of a group; see `graphtask_cli.command.Group`."""
    return click.group(name, cls=Group, **attributes)


def option(*names: str, **attributes: Any) -> Decorator:
    """Return the decorator of an option; see `graphtask_cli.command.Option`."""
    if attributes.get("default", ...) is None:  # click takes None for a default
        del attributes["default"]
    return click.option(*names, cls=Option, **attributes)


PAPER_THRESHOLD = 0.006
"""`graphtask.types.PAPER_THRESHOLD`, whose module imports NumPy; a test compares the two."""

ORDERS = ("ids", "x", "radius", "bifocal")

_READING = "Reading graphs"


def examples(*lines: str) -> str:
    """Return the end of a command's help: examples that can be pasted as they are."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", title, *(f"  {line}" for line in lines)])


def in_turn(*decorators: Decorator) -> Decorator:
    """Return a decorator that adds several options in this order."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return add


def stages_option(*, default: str | None = None, section: str = OPTIONS) -> Decorator:
    """Return ``--stages``: for a new graph if there is a default, else for files without stages."""
    text = (
        "Number of stages of equal size, or the sizes, such as 30,20,10."
        if default
        else "Number of stages of equal size, or the sizes, such as 30,20,10, for graphs that have no stages."
    )
    return option("--stages", type=STAGES, default=default, section=section, help=text)


join_option = option(
    "--join",
    is_flag=True,
    section=_READING,
    help="Add one node before several inputs and one behind several outputs.",
)

merge_option = option(
    "--merge",
    is_flag=True,
    section=_READING,
    help="Merge parallel edges into one with the largest weight.",
)


def order_option(*, default: str | None = None, section: str = _READING) -> Decorator:
    """Return ``--order``: the node order along which undirected edges, or edges in cycles, are directed."""
    return option(
        "--order",
        type=Choice(ORDERS),
        default=default,
        section=section,
        help="Direct edges along this node order: by number, or by a Kamada-Kawai layout.",
    )


drop_isolated_option = option(
    "--drop-isolated",
    is_flag=True,
    section=_READING,
    help="Remove nodes without edges.",
)

reading_option = option(
    "--reading",
    type=Choice(["strict", "auto"]),
    default="strict",
    section=_READING,
    help="Report the options that a graph needs as an error (strict), or choose them (auto).",
)

reading_options = in_turn(
    stages_option(section=_READING),
    join_option,
    merge_option,
    order_option(),
    drop_isolated_option,
    reading_option,
)
"""Options for files of other programs."""


def threshold_option(
    *, default: float | None = None, text: str = "", show_default: str | bool = True
) -> Decorator:
    """Return ``--threshold``; ``text`` replaces the sentence about pruning."""
    return option(
        "--threshold",
        type=Number(0),
        default=default,
        show_default=show_default,
        section="Pruning",
        help=text or "Prune edges below this weight, and the dead paths that remain.",
    )


paper_threshold_option = threshold_option(default=PAPER_THRESHOLD)

relative_option = option(
    "--relative",
    is_flag=True,
    section="Pruning",
    help="Compare the weight of an edge relative to the strongest edge into the same node with the threshold.",
)

imports_option = option(
    "--allow-import",
    "imports",
    multiple=True,
    metavar="MODULE:NAME",
    section="Model",
    help="Import this code if the folder of a run or study names it, such as a custom block; may be repeated.",
)

format_option = option(
    "--format",
    "form",
    type=Choice(["table", "csv", "json"]),
    default="table",
    section="Output",
    help="Format of the result on standard output; csv and json have full precision.",
)

picture_type_option = option(
    "--type",
    "suffix",
    type=Choice(["svg", "pdf", "png"]),
    default="svg",
    section="Output",
    help="File format of pictures that have no name of their own.",
)

metrics_option = option(
    "--metrics",
    type=METRICS,
    default="paper",
    help="Set of metrics, or names separated by commas; `graphtask metrics --list` lists them.",
)

channels_option = option(
    "--channels",
    type=Integer(1),
    default=11,
    section="Model",
    help="Channels of stage 0; stage s has 2^s times as many.",
)


def threads_option(*, default: str = "PyTorch's choice") -> Decorator:
    """Return ``--threads``; ``default`` describes its default."""
    return option(
        "--threads",
        type=Integer(1),
        section="Runtime",
        show_default=default,
        help="CPU threads of each process.",
    )


device_option = option(
    "--device",
    default="auto",
    section="Runtime",
    help="Device: auto (CUDA, else MPS, else CPU), cpu, cuda, cuda:1 or mps.",
)

cuda_graph_option = option(
    "--cuda-graph/--no-cuda-graph",
    default=True,
    section="Runtime",
    help="Capture training steps on a GPU as a CUDA graph; the results are the same.",
)

data_root_option = option(
    "--data-root",
    type=FOLDER,
    metavar="FOLDER",
    section="Data",
    show_default="$GRAPHTASK_DATA, else ~/.cache/graphtask; for a run, its own",
    help="Folder of the downloaded data sets.",
)


def jobs_option(
    *, text: str = "Processes in parallel on the CPU.", default: str = "CPU cores / threads of each"
) -> Decorator:
    """Return ``--jobs``: the number of processes that work in parallel; ``default`` describes its default."""
    return option(
        "--jobs",
        "n_jobs",
        type=Integer(1),
        show_default=default,
        section="Runtime",
        help=text,
    )


def engine_options(*, text: str) -> Decorator:
    """Return the decorator of the options that select an engine."""
    return in_turn(
        option(
            "--engine",
            "engine_name",
            type=Choice(["local", "ray"]),
            default="local",
            section="Runtime",
            help=text,
        ),
        option(
            "--address",
            metavar="auto|HOST:PORT|ray://HOST:10001",
            section="Runtime",
            show_default="auto, the cluster of this machine",
            help="Address of the Ray cluster.",
        ),
    )


gpu_options = in_turn(
    option(
        "--gpus",
        type=GPUS,
        section="Runtime",
        show_default="all, none if the device is cpu",
        help="Indices of the GPUs of this machine to use.",
    ),
    option(
        "--jobs-per-gpu",
        type=Integer(1),
        section="Runtime",
        show_default="1",
        help="Processes in parallel on each GPU.",
    ),
)

seed_option = option("--seed", type=Integer(0), default=0, help="Seed of the random generator.")

graphs_argument = click.argument("paths", type=GRAPHS, nargs=-1, metavar="GRAPH|RUN|FOLDER|ARCHIVE|-...")

runs_argument = click.argument("paths", type=PATH, metavar="RUN|FOLDER...", nargs=-1, required=True)

plot_option = option(
    "--plot",
    type=PATH,
    metavar="FILE",
    section="Output",
    help="Draw a picture (.svg, .pdf, .png); its data go to FILE-data.csv next to it.",
)

table_option = option(
    "--table",
    type=PATH,
    metavar="FILE",
    section="Output",
    help="Write the table of results (.csv, .json, .parquet).",
)


def out_option(
    *,
    text: str,
    folder: bool = False,
    required: bool = False,
    default: str | None = None,
    show_default: str | bool = True,
) -> Decorator:
    """Return ``-o/--out``, a file or a folder."""
    return option(
        "-o",
        "--out",
        type=FOLDER if folder else PATH,
        metavar="FOLDER" if folder else "FILE",
        required=required,
        default=default,
        show_default=show_default,
        section="Output",
        help=text,
    )
