"""``graphtask train``: train the network of a graph."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.launch import process_rank
from graphtask_cli.options import (
    channels_option,
    cuda_graph_option,
    device_option,
    examples,
    read_numbers,
    reading_options,
    threads_option,
)
from graphtask_cli.output import proposal
from graphtask_cli.sources import graph_path, read_graph

if TYPE_CHECKING:
    from graphtask.training.run import Run

_FILES = {
    "trained.graphml": "the trained graph",
    "metrics.csv": "loss, accuracy and live edges of every epoch",
    "history.npz": "every edge weight at every epoch",
    "weights.safetensors": "the parameters of the network",
}


_regime_option = partial(click.option, show_default=True)

_REGIME_OPTIONS = (
    _regime_option("--epochs", type=int, default=100, help="Passes over the training images."),
    _regime_option("--batch-size", type=int, default=128, help="Images a step."),
    _regime_option("--learning-rate", type=float, default=0.1, help="Step size of SGD at the start."),
    _regime_option("--momentum", type=float, default=0.9, help="Momentum of SGD."),
    _regime_option("--weight-decay", type=float, default=1e-4, help="L2 penalty on every parameter."),
    _regime_option(
        "--milestones",
        callback=read_numbers,
        default="0.8,0.9",
        metavar="SHARES",
        help="Shares of the epochs after which the learning rate falls.",
    ),
    _regime_option(
        "--learning-rate-decay", type=float, default=0.1, help="What it is multiplied by at each milestone."
    ),
    _regime_option(
        "--edge-l1", type=float, default=1e-3, help="λ, the price of a connection of full strength."
    ),
    _regime_option(
        "--crop-padding",
        type=int,
        default=4,
        help="Pixels by which images are shifted at random; 0: not at all.",
    ),
    _regime_option("--flip/--no-flip", default=True, help="Whether images are mirrored at random."),
    _regime_option(
        "--threshold", type=float, default=0.006, help="Weight from which edges count as live in the reports."
    ),
)


def regime_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each field of `graphtask.Regime`, with its default."""
    for option in reversed(_REGIME_OPTIONS):
        function = option(function)
    return function


@click.command(
    epilog=examples(
        "graphtask new full --nodes 12 --stages 3 -o full.graphml",
        "graphtask train full.graphml --data cdigits --channels 4 --epochs 5 --seed 0 --out runs/full-0",
    )
)
@click.argument("graph_file", type=click.Path(path_type=Path), metavar="GRAPH")
@click.option(
    "--data",
    required=True,
    help="cdigits, cdigits_t8 (no download), cmnist, ckmnist, cfashionmnist, cifar10, cifar10_t8, a .npz file, or a "
    "folder of images.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Folder of the run; made if need be.",
)
@channels_option
@click.option(
    "--seed", type=int, default=0, help="Of the parameters, the order of the images, and their augmentation."
)
@click.option(
    "--transform",
    "transforms",
    multiple=True,
    metavar="NAME[:K]",
    help="Transform the images: color, pad:2, tiles:8, scale:2, resize:32, subset:1000. May be repeated; applied in the order given.",
)
@click.option("--data-seed", type=int, default=0, help="Of the random colors and tiles.")
@click.option(
    "--data-root", type=click.Path(path_type=Path), metavar="FOLDER", help="Where the named data sets lie."
)
@click.option(
    "--data-name", metavar="NAME", help="What to call the data set in tables, instead of by its file."
)
@click.option("--download", is_flag=True, help="Download a named data set that is not there.")
@device_option
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", help="Of the forward pass.")
@click.option(
    "--execution",
    type=click.Choice(["auto", "fused", "plain"]),
    default="auto",
    help="How the network is executed; all compute the same.",
)
@click.option(
    "--gate", type=click.Choice(["tanh", "sigmoid", "none"]), default="tanh", help="Of the edge weights."
)
@threads_option
@cuda_graph_option
@click.option(
    "--checkpoint-seconds", type=float, default=300.0, help="Time between checkpoints within an epoch."
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Start a trained graph anew, as from its prior; otherwise its edges start from their weights.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@reading_options
@regime_options
def train(
    graph_file: Path,
    *,
    out: Path,
    quiet: bool,
    **options: Any,
) -> None:
    """Train the network of a graph under a price on every connection.

    Stopped at any moment, by Ctrl-C or otherwise, the same command goes on where it was. The defaults are the
    regime of the paper, which takes hours on a CPU; for a first try use fewer epochs and channels.

    Several GPUs train one run together, with the result of one: torchrun --nproc-per-node 2 -m graphtask_cli train …
    """
    import graphtask as gt

    reading = {name: options.pop(name) for name in ("stages", "join", "merge", "order")}
    graph = read_graph(graph_path(graph_file), **reading)
    regime = gt.Regime(**{name: options.pop(name) for name in gt.Regime.__dataclass_fields__})
    run = gt.train(graph, out=out, regime=regime, progress=not quiet, **options)
    if process_rank() == 0:
        click.echo(_report(run, out, regime.threshold))


def _report(run: "Run", folder: Path, threshold: float) -> str:
    last = run.metrics.iloc[-1]
    width = max(map(len, _FILES))
    files = [f"  {name:<{width}}  {text}" for name, text in _FILES.items()]
    outcome = (
        f"{folder}: test accuracy {last['test_accuracy']:.2%} after {counted(int(last['epoch']), 'epoch')}, "
        f"{int(last['live_edges']):,} of {counted(run.graph.ecount(), 'edge')} live at {threshold:g}"
    )
    words = ("prune", folder, "--threshold", f"{threshold:g}", "--parity", "-o", "pruned.graphml")
    return "\n".join([outcome, *files, f"next: {proposal(*words)}"])
