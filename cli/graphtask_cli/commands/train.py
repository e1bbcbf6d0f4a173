"""``graphtask train``: training of the network of a graph."""

from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from graphtask.validation import counted
from graphtask_cli.launch import process_rank
from graphtask_cli.messages import is_quiet, note, proposal, say, warn
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
    import igraph

    from graphtask.training.config import TrainConfig
    from graphtask.training.run import Run

_FILES = {
    "trained.graphml": "trained graph",
    "metrics.csv": "loss, score and live edges of every epoch",
    "history.npz": "every edge weight at every epoch",
    "weights.safetensors": "parameters of the network",
}

_option = partial(option, section="Optimization")

optimization_options = in_turn(
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
    _option(
        "--edge-penalty",
        type=Choice(["l1", "relative", "hoyer"]),
        default="l1",
        help="Penalty on the edges, with the factor --edge-l1: L1 as in the paper, or one that does not depend on the scale "
        "of a node's edges.",
    ),
    _option(
        "--edge-update",
        type=Choice(["gradient", "proximal"]),
        default="gradient",
        help="Treatment of the L1 penalty: part of the loss, or a step that makes unwanted edges exactly zero.",
    ),
    _option(
        "--edge-learning-rate",
        type=Number(0, least_open=True),
        show_default="--learning-rate",
        help="Initial learning rate of the edge weights.",
    ),
    _option(
        "--edge-weight-decay",
        type=Number(0),
        show_default="--weight-decay",
        help="L2 penalty on the edge weights.",
    ),
    _option(
        "--loss",
        metavar="NAME",
        show_default="that of the task",
        help="Loss: a function of torch.nn.functional, such as smooth_l1_loss, or package.module:name (imports it).",
    ),
    _option(
        "--score",
        metavar="NAME",
        show_default="that of the task",
        help="Score in all tables: accuracy, r2, mae, rmse, f1, label_accuracy, iou, pixel_accuracy, or package.module:name "
        "(imports it).",
    ),
    _option(
        "--optimizer",
        default="SGD",
        metavar="NAME",
        help="Optimizer: a class of torch.optim, such as AdamW, or package.module:name (imports it).",
    ),
    _option(
        "--schedule",
        default="steps",
        metavar="NAME",
        help="Schedule of the learning rate: steps, a class of torch.optim.lr_scheduler such as CosineAnnealingLR, or package.module:name.",
    ),
    _option(
        "--warm-up",
        type=Number(0),
        show_default="0",
        help="Epochs in which the learning rate rises linearly, step by step, to that of the schedule.",
    ),
    _option(
        "--gradient-clip",
        type=Number(0, least_open=True),
        show_default="no limit",
        help="Largest norm of the gradient; a larger one is scaled down.",
    ),
    _option(
        "--ema",
        type=Number(0, 1),
        show_default="no average",
        help="Decay, such as 0.999, of an exponential moving average of the weights, which is stored as the result.",
    ),
    _option(
        "--early-stopping",
        type=Integer(0),
        default=0,
        help="Stop after this many epochs without a lower validation loss; 0 for never.",
    ),
    threshold_option(default=PAPER_THRESHOLD, text="Count edges from this weight as live in the reports."),
)
"""Options of `graphtask.OptimizationConfig`."""

augmentation_options = in_turn(
    option(
        "--validation",
        type=Number(0, 0.5),
        section="Data",
        show_default="the data set's own split, if any",
        help="Share of the training images held out for early stopping and the choice of τ and λ.",
    ),
    option(
        "--crop-padding",
        type=Integer(0),
        default=4,
        section="Data",
        help="Largest random shift of images, in pixels.",
    ),
    option("--flip/--no-flip", default=True, section="Data", help="Mirror images at random."),
)


training_options = in_turn(
    option(
        "--config",
        "config_file",
        type=PATH,
        metavar="FILE",
        help="Read options from a TOML file; those on the command line have priority.",
    ),
    option(
        "--data",
        type=DataSource(),
        section="Data",
        help="Data set: cdigits, cdigits_t8 (no download), cmnist, ckmnist, cfashionmnist, cifar10, cifar10_t8, a .npz "
        "file, a folder of images, or package.module:name (imports it).",
    ),
    option(
        "--transform",
        "transforms",
        type=TRANSFORM,
        multiple=True,
        section="Data",
        help="Transform the images: color, pad:2, tiles:8, scale:2, resize:32, subset:1000. May be repeated; applied in "
        "the order given.",
    ),
    option(
        "--data-seed", type=Integer(0), default=0, section="Data", help="Seed of random colors and tiles."
    ),
    data_root_option,
    option(
        "--data-name",
        metavar="NAME",
        section="Data",
        show_default="its file name",
        help="Name of the data set in tables.",
    ),
    option("--download", is_flag=True, section="Data", help="Download a named data set if missing."),
    option(
        "--task",
        show_default="classification",
        metavar="NAME",
        section="Data",
        help="Task: classification, regression, multilabel, segmentation, or package.module:name (imports it).",
    ),
    augmentation_options,
    channels_option,
    option(
        "--gate",
        metavar="NAME",
        default="tanh",
        section="Model",
        help="Activation of the edge weights: tanh, sigmoid, none, or package.module:name (imports it).",
    ),
    option(
        "--block",
        metavar="NAME",
        section="Model",
        show_default="standard",
        help="Block of the nodes: standard, simple, residual, separable, depthwise, bottleneck, mlp, conv1d, transformer, or "
        "package.module:name (imports it) of a function of (in_channels, out_channels, stride).",
    ),
    option(
        "--head",
        metavar="NAME",
        section="Model",
        show_default="that of the task",
        help="Head: pooled (one prediction for an image), dense (one for every pixel), or package.module:name (imports it).",
    ),
    option(
        "--reset-weights",
        is_flag=True,
        section="Model",
        help="Reset the weights of a trained graph to those of its initial graph.",
    ),
    option(
        "--seed",
        type=Integer(0),
        default=0,
        section="Optimization",
        help="Random seed for initialization, data order and augmentation.",
    ),
    optimization_options,
    device_option,
    option(
        "--precision",
        type=Choice(["fp32", "bf16"]),
        default="fp32",
        section="Runtime",
        help="Floating-point format of the forward pass.",
    ),
    option(
        "--execution",
        type=Choice(["auto", "fused", "plain"]),
        default="auto",
        section="Runtime",
        help="Execution of the network; all compute the same function.",
    ),
    threads_option(),
    cuda_graph_option,
    option(
        "--checkpoint-seconds",
        type=Number(0),
        default=300,
        section="Runtime",
        help="Seconds between checkpoints within an epoch.",
    ),
)
"""Options of `graphtask.TrainConfig`."""


@command(
    epilog=examples(
        "graphtask new full --nodes 12 --stages 3 -o full.graphml",
        "graphtask train full.graphml --data cdigits --channels 5 --epochs 16 --batch-size 32 --edge-l1 0.02 -o runs/full-0",
        "graphtask train full.graphml --data cdigits --channels 8 --epochs 16 --batch-size 32 --edge-l1 0.02 --block separable "
        "-o runs/separable-0",
        "graphtask train flat.graphml --data houses.npz --task regression --block mlp --learning-rate 0.01 -o runs/houses",
    )
)
@click.argument("graph_file", type=PATH, metavar="GRAPH")
@training_options
@reading_options
@out_option(folder=True, required=True, text="Folder of the run; created if missing.")
@click.pass_context
def train(
    ctx: click.Context,
    /,
    graph_file: Path,
    *,
    config_file: Path | None,
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

    graph, config = read_inputs(ctx, graph_file, config_file, options)
    before = _stamp(out / TRAINED)
    run = gt.train(graph, config, out=out, progress=not is_quiet())
    if process_rank() == 0:
        if before is not None and before == _stamp(out / TRAINED):
            note(f"{out}: already finished; nothing was trained")
        for line in _report(run, out, config.optimization.threshold):
            say(line)
        for hint in run.hints():
            warn(hint)


def read_inputs(
    ctx: click.Context, graph_file: Path, config_file: Path | None, options: dict[str, Any]
) -> "tuple[igraph.Graph, TrainConfig]":
    """Return the graph, and the configuration of a file with the options that were given.

    Raises:
        GraphtaskError: The graph or the file cannot be read, or an option is invalid.
    """
    import graphtask as gt
    from graphtask.reading import ReadOptions
    from graphtask.training.config import read_config_file

    reading = {item.name: options.pop(item.name) for item in fields(ReadOptions)}
    graph = read_graph(graph_path(graph_file), **reading)
    config = gt.TrainConfig() if config_file is None else gt.TrainConfig(**read_config_file(config_file))
    given = [name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    return graph, config.replace(**{name: options[name] for name in given})


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None


def _report(run: "Run", folder: Path, threshold: float) -> list[str]:
    from graphtask.columns import shown_score, words

    last = run.metrics.iloc[-1]
    width = max(map(len, _FILES))
    files = [f"  {name:<{width}}  {text}" for name, text in _FILES.items()]
    outcome = (
        f"{folder}: test {words(run.score)} {shown_score(run.test_score, run.score, digits=2)} after {counted(int(last['epoch']), 'epoch')}, "
        f"{int(last['live_edges']):,} of {counted(run.graph.ecount(), 'edge')} live at {threshold:g}"
    )
    call = ("prune", folder, "--threshold", f"{threshold:g}", "--parity", "-o", "pruned.graphml")
    return [outcome, *files, f"next: {proposal(*call)}"]
