"""``graphtask retrain``: training of pruned graphs from scratch, compared with the original networks."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.figures import check_figure_path, save_plot
from graphtask_cli.messages import is_quiet, note, problem, warn
from graphtask_cli.options import (
    command,
    cuda_graph_option,
    data_root_option,
    device_option,
    examples,
    format_option,
    gpu_options,
    imports_option,
    jobs_option,
    option,
    out_option,
    paper_threshold_option,
    plot_option,
    runs_argument,
    table_option,
    threads_option,
)
from graphtask_cli.param_types import Integer, Number
from graphtask_cli.render import mean_and_spread, show
from graphtask_cli.sources import run_folders
from graphtask_cli.tables import check_table_path, records_of, write_table

if TYPE_CHECKING:
    import pandas as pd

_OPTIONS = ("seed", "epochs", "batch_size", "learning_rate", "edge_l1", "threads")  # None: as in the run
_HIDDEN = ["run", "undefined"]
_SHOWN = {
    "seconds_per_epoch": "seconds per epoch",
    "parameters": "parameters",
    "channels": "channels",
}


@command(
    epilog=examples(
        "graphtask retrain runs/full-0 -o retrained --fit-channels",
        "graphtask retrain runs/digits -o retrained --fit-channels --table retrained.csv --plot retrained.svg",
        "graphtask retrain runs/digits/cdigits -o retrained --fit-channels --jobs 4",
    )
)
@runs_argument
@option(
    "--fit-channels",
    is_flag=True,
    section="Model",
    help="Train another network, with the channels whose number of parameters is nearest to the full network's.",
)
@option(
    "--budget",
    type=Integer(1),
    section="Model",
    help="Choose the channels whose number of parameters is nearest to this.",
)
@option(
    "--same-channels/--no-same-channels",
    default=True,
    section="Model",
    help="Train a network with the channels of the run.",
)
@option(
    "--seed",
    type=Integer(0),
    section="Optimization",
    show_default="seed of each run + 1000",
    help="Seed of the new networks.",
)
@option(
    "--epochs",
    type=Integer(1),
    section="Optimization",
    show_default="as in each run",
    help="Number of epochs.",
)
@option(
    "--batch-size", type=Integer(1), section="Optimization", show_default="as in each run", help="Batch size."
)
@option(
    "--learning-rate",
    type=Number(0, least_open=True),
    section="Optimization",
    show_default="as in each run",
    help="Initial learning rate.",
)
@option(
    "--edge-l1",
    type=Number(0),
    section="Optimization",
    show_default="as in each run",
    help="L1 penalty λ on the edges.",
)
@paper_threshold_option
@imports_option
@data_root_option
@device_option
@threads_option(default="as in each run")
@cuda_graph_option
@jobs_option()
@gpu_options
@out_option(
    folder=True,
    required=True,
    text="Folder of the new runs, DATA/PRIOR/seed-SEED/retrained and …/retrained_fit; created if missing.",
)
@table_option
@plot_option
@format_option
def retrain(
    paths: tuple[Path, ...],
    *,
    out: Path,
    fit_channels: bool,
    same_channels: bool,
    table: Path | None,
    plot: Path | None,
    form: str,
    jobs_per_gpu: int | None,
    n_jobs: int | None,
    **options: Any,
) -> None:
    """Prune finished runs, and train their graphs from scratch.

    A folder stands for the runs in it. The new networks have new parameters and equal edge weights, and the training
    configuration of the run, with the same L1 penalty. Several train in parallel; `graphtask study status` reports
    their progress from another terminal. If interrupted, run the same command again to resume. Failed runs are listed
    at the end, with exit status 1.

    Prints test accuracy, seconds per epoch and parameters of the full network, of the thresholded one (not trained
    further), and of the retrained ones; for several runs, means and standard deviations by data set and prior.
    Seconds are comparable only if equally many runs trained in parallel on the same machine.
    """
    import graphtask as gt
    from graphtask.study.retrain import retrain_runs

    if table is not None:
        check_table_path(table)
    if plot is not None:
        check_figure_path(plot)
    channels = ["same"] * same_channels + ["fit"] * (fit_channels or options["budget"] is not None)
    if not channels:
        raise click.UsageError("--no-same-channels requires --fit-channels or --budget")
    options = {name: value for name, value in options.items() if value is not None or name not in _OPTIONS}
    folders = run_folders(paths)
    result = retrain_runs(
        folders,
        out=out,
        channels=channels,
        progress=not is_quiet(),
        n_jobs=n_jobs,
        jobs_per_gpu=jobs_per_gpu or 1,
        **options,
    )
    found, failed = result.table, result.failed
    for name, reason in failed.items():
        problem(reason if name in reason else f"{name}: {reason}")
    if table is not None:
        write_table(records_of(found), table)
        note(f"wrote {table}")
    if plot is not None:
        save_plot(gt.plot.draw_retraining(found), plot, found)
    for line in _remarks(found[~found["undefined"].isin(failed.values())], folders):
        warn(line)
    _print(found, form=form)
    if failed or found.loc[found["network"].str.startswith("retrained"), _score(found)].isna().all():
        raise click.exceptions.Exit(1)


def _remarks(table: "pd.DataFrame", folders: Mapping[str, Path]) -> list[str]:
    """Return the reasons of missing values, each once; an impossible network is an error of its run."""
    lines = []
    for _, row in table.iterrows():
        reason = row["undefined"]
        if reason and "not trained" not in reason:
            missing = math.isnan(row[_score(table)])
            lines.append(f"error: {folders[row['run']]}: {reason}" if missing else reason)
    return list(dict.fromkeys(lines))


def _print(table: "pd.DataFrame", *, form: str) -> None:
    import graphtask as gt

    if len(table["run"].unique()) == 1:
        if form == "table":
            table = table.drop(columns=[*_HIDDEN, "dataset", "prior", "seed", "threshold"])
        show(records_of(table), form=form)
    elif form == "table":
        score = _score(table)
        shown = {score: score.replace("_", " "), **_SHOWN}
        show([row for name, title in shown.items() for row in _rows(table, name, title)], form=form)
    else:
        show(records_of(gt.training.RetrainResult(table).summary()), form=form)


def _score(table: "pd.DataFrame") -> str:
    from graphtask.columns import score_of

    return f"test_{score_of(table.columns)}"


def _rows(table: "pd.DataFrame", name: str, title: str) -> list[dict[str, Any]]:
    """Return one value of all networks, side by side, for each data set and prior."""
    import graphtask as gt

    networks = list(dict.fromkeys(table["network"]))
    rows = []
    for _, row in gt.training.RetrainResult(table).side_by_side(name).iterrows():
        cells = {
            network: mean_and_spread(row[f"{network}_mean"], row[f"{network}_std"]) for network in networks
        }
        counts = {int(row[f"{network}_n"]) for network in networks} - {0}
        runs = " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "0"
        rows.append({"": title, "dataset": row["dataset"], "prior": row["prior"], **cells, "runs": runs})
    return rows
