"""``graphtask train``: training of the network of a graph."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.launch import process_rank
from graphtask_cli.messages import is_quiet, note, proposal, say
from graphtask_cli.options import (
    PAPER_THRESHOLD,
    channels_option,
    command,
    cuda_graph_option,
    data_root_option,
    device_option,
    examples,
    in_turn,
    option,
    out_option,
    reading_options,
    threads_option,
    threshold_option,
)
from graphtask_cli.param_types import NUMBERS, PATH, TRANSFORM, Choice, DataSource, Integer, Number
from graphtask_cli.sources import graph_path, read_graph

if TYPE_CHECKING:
    from graphtask.training.run import Run

_FILES = {
    "trained.graphml": "trained graph",
    "metrics.csv": "loss, accuracy and live edges of every epoch",
    "history.npz": "every edge weight at every epoch",
    "weights.safetensors": "parameters of the network",
}

_option = partial(option, section="Optimization")

regime_options = in_turn(
    _option("--epochs", type=Integer(1), default=100, help="Number of epochs."),
    _option("--batch-size", type=Integer(1), default=128, help="Batch size."),
    _option("--learning-rate", type=Number(0, least_open=True), default=0.1, help="Initial learning rate."),
    _option("--momentum", type=Number(0, 1), default=0.9, help="Momentum of SGD."),
    _option("--weight-decay", type=Number(0), default=1e-4, help="L2 penalty on all parameters."),
    _option(
        "--milestones",
        type=NUMBERS,
        default="0.8,0.9",
        help="Fractions of the epochs after which the learning rate decays.",
    ),
    _option(
        "--learning-rate-decay",
        type=Number(0, 1),
        default=0.1,
        help="Factor of the learning rate at each milestone.",
    ),
    _option("--edge-l1", type=Number(0), default=1e-3, help="L1 penalty λ on the edges."),
    _option("--crop-padding", type=Integer(0), default=4, help="Largest random shift of images, in pixels."),
    _option("--flip/--no-flip", default=True, help="Mirror images at random."),
    threshold_option(default=PAPER_THRESHOLD, text="Count edges from this weight as live in the reports."),
)
"""One option for each field of the training configuration."""


@command(
    epilog=examples(
        "graphtask new full --nodes 12 --stages 3 -o full.graphml",
        "graphtask train full.graphml --data cdigits --channels 5 --epochs 16 --batch-size 32 --edge-l1 0.02 -o runs/full-0",
    )
)
@click.argument("graph_file", type=PATH, metavar="GRAPH")
@option(
    "--data",
    type=DataSource(),
    required=True,
    section="Data",
    help="Data set: cdigits, cdigits_t8 (no download), cmnist, ckmnist, cfashionmnist, cifar10, cifar10_t8, a .npz "
    "file, or a folder of images.",
)
@option(
    "--transform",
    "transforms",
    type=TRANSFORM,
    multiple=True,
    section="Data",
    help="Transform the images: color, pad:2, tiles:8, scale:2, resize:32, subset:1000. May be repeated; applied in "
    "the order given.",
)
@option("--data-seed", type=Integer(0), default=0, section="Data", help="Seed of random colors and tiles.")
@data_root_option
@option(
    "--data-name",
    metavar="NAME",
    section="Data",
    show_default="its file name",
    help="Name of the data set in tables.",
)
@option("--download", is_flag=True, section="Data", help="Download a named data set if missing.")
@channels_option
@option(
    "--gate",
    type=Choice(["tanh", "sigmoid", "none"]),
    default="tanh",
    section="Model",
    help="Activation applied to the edge weights.",
)
@option(
    "--fresh",
    is_flag=True,
    section="Model",
    help="Reset the weights of a trained graph to those of its prior.",
)
@option(
    "--seed",
    type=Integer(0),
    default=0,
    section="Optimization",
    help="Random seed for initialization, data order and augmentation.",
)
@regime_options
@device_option
@option(
    "--precision",
    type=Choice(["fp32", "bf16"]),
    default="fp32",
    section="Runtime",
    help="Floating-point format of the forward pass.",
)
@option(
    "--execution",
    type=Choice(["auto", "fast", "plain"]),
    default="auto",
    section="Runtime",
    help="Execution of the network; all compute the same function.",
)
@threads_option()
@cuda_graph_option
@option(
    "--checkpoint-seconds",
    type=Number(0),
    default=300,
    section="Runtime",
    help="Seconds between checkpoints within an epoch.",
)
@reading_options
@out_option(folder=True, required=True, text="Folder of the run; created if missing.")
def train(
    graph_file: Path,
    *,
    out: Path,
    **options: Any,
) -> None:
    """Train the network of a graph with an L1 penalty on the edges.

    If interrupted, run the same command again to resume; on a CPU the result is bit-for-bit identical. The defaults
    are the paper's training configuration, which takes hours on a CPU; for a first run use fewer epochs and channels.

    Several GPUs train one run together, with the same result as one:
    torchrun --nproc-per-node 2 -m graphtask train …
    """
    import graphtask as gt
    from graphtask.runs.layout import TRAINED

    reading = {name: options.pop(name) for name in ("stages", "join", "merge", "order")}
    graph = read_graph(graph_path(graph_file), **reading)
    regime = gt.Regime(**{name: options.pop(name) for name in gt.Regime.__dataclass_fields__})
    was_finished = (out / TRAINED).is_file()
    run = gt.train(graph, out=out, regime=regime, progress=not is_quiet(), **options)
    if process_rank() == 0:
        if was_finished:
            note(f"{out}: already finished; nothing was trained")
        for line in _report(run, out, regime.threshold):
            say(line)


def _report(run: "Run", folder: Path, threshold: float) -> list[str]:
    last = run.metrics.iloc[-1]
    width = max(map(len, _FILES))
    files = [f"  {name:<{width}}  {text}" for name, text in _FILES.items()]
    outcome = (
        f"{folder}: test accuracy {last['test_accuracy']:.2%} after {counted(int(last['epoch']), 'epoch')}, "
        f"{int(last['live_edges']):,} of {counted(run.graph.ecount(), 'edge')} live at {threshold:g}"
    )
    words = ("prune", folder, "--threshold", f"{threshold:g}", "--parity", "-o", "pruned.graphml")
    return [outcome, *files, f"next: {proposal(*words)}"]
