"""``graphtask retrain``: pruned graphs trained again from scratch, beside the networks they come from."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import (
    cuda_graph_option,
    data_root_option,
    device_option,
    examples,
    format_option,
    gpu_options,
    jobs_option,
    plot_option,
    runs_argument,
    threshold_option,
)
from graphtask_cli.output import (
    check_figure_path,
    check_table_path,
    mean_and_spread,
    note,
    records_of,
    save_plot,
    show,
    write_table,
)
from graphtask_cli.sources import run_folders

if TYPE_CHECKING:
    import pandas as pd

_REGIME = ("epochs", "batch_size", "learning_rate", "edge_l1")
_HIDDEN = ["run", "undefined"]
_SHOWN = {
    "accuracy": "test accuracy",
    "seconds_per_epoch": "seconds per epoch",
    "parameters": "parameters",
    "channels": "channels",
}


@click.command(
    epilog=examples(
        "graphtask retrain runs/full-0 --out retrained --fit-channels",
        "graphtask retrain runs --out retrained --fit-channels --table retrained.csv --plot retrained.svg",
        "graphtask retrain runs/digits/cdigits runs/banded --out retrained --fit-channels --jobs 4",
    )
)
@runs_argument
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Folder for the new runs: DATA/PRIOR/seed-SEED/retrained and …/retrained_fit in it.",
)
@threshold_option(default=0.006, text="Connections of smaller weight are not in the new networks.")
@click.option(
    "--fit-channels",
    is_flag=True,
    help="Train another network too, with the channels that bring it nearest to the full one's number of parameters.",
)
@click.option(
    "--budget", type=click.IntRange(min=1), help="The same, but with this number of parameters in mind."
)
@click.option(
    "--same-channels/--no-same-channels", default=True, help="Whether to train one with the same channels."
)
@click.option("--seed", type=int, help="Of the new networks.  [default: that of each run + 1000]")
@click.option("--epochs", type=int, help="Passes over the training images.  [default: as in each run]")
@click.option("--batch-size", type=int, help="Images a step.  [default: as in each run]")
@click.option("--learning-rate", type=float, help="Step size of SGD at the start.  [default: as in each run]")
@click.option(
    "--edge-l1", type=float, help="λ, the price of a connection; 0: none.  [default: as in each run]"
)
@click.option(
    "--table",
    "out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write one row for each network to a .csv, .json or .parquet file.",
)
@plot_option
@device_option
@click.option(
    "--threads", type=click.IntRange(min=1), help="CPU threads of each new run.  [default: as each run had]"
)
@cuda_graph_option
@jobs_option
@gpu_options
@data_root_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@format_option
def retrain(
    paths: tuple[Path, ...],
    *,
    folder: Path,
    fit_channels: bool,
    same_channels: bool,
    out: Path | None,
    plot: Path | None,
    form: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Prune finished runs, train their graphs again from scratch, and compare.

    A folder stands for the runs in it. The new networks start from new parameters and equal edges, and are trained as
    the run was, with the same price of connections; several at a time, as a study does (`graphtask study status` tells
    from another terminal how far they are). Stopped or killed at any moment, the same command goes on where it was. A
    run that fails costs only itself, and is listed at the end; the exit code is then 1.

    Prints test accuracy, seconds per epoch and parameters of the full network, of the thresholded one (not trained
    further), and of those trained again: means and deviations by data set and prior, if there are several runs.
    Seconds are comparable where as many runs were trained side by side on the same machine.
    """
    import graphtask as gt

    if out is not None:
        check_table_path(out)
    if plot is not None:
        check_figure_path(plot)
    channels = ["same"] * same_channels + ["fit"] * (fit_channels or options["budget"] is not None)
    if not channels:
        raise click.UsageError("nothing to train: --no-same-channels needs --fit-channels or --budget")
    regime = {name: value for name in _REGIME if (value := options.pop(name)) is not None}
    folders = run_folders(paths)
    table, failed = gt.retrain_runs(
        folders, out=folder, channels=channels, regime=regime, progress=not quiet, **options
    )
    for name, reason in failed.items():
        note(f"error: {reason if name in reason else f'{name}: {reason}'}")
    if out is not None:
        write_table(records_of(table), out)
        note(f"wrote {out}")
    if plot is not None:
        save_plot(gt.draw_retraining(table), plot, table)
    for line in _remarks(table[~table["undefined"].isin(failed.values())], folders):
        note(line)
    _print(table, form=form)
    if failed or table.loc[table["network"].str.startswith("retrained"), "accuracy"].isna().all():
        raise click.exceptions.Exit(1)


def _remarks(table: "pd.DataFrame", folders: Mapping[str, Path]) -> list[str]:
    """Why values are missing, each line once; a network that cannot be is an error of its run."""
    lines = []
    for _, row in table.iterrows():
        reason = row["undefined"]
        if reason and "not trained" not in reason:
            missing = math.isnan(row["accuracy"])
            lines.append(f"error: {folders[row['run']]}: {reason}" if missing else reason)
    return list(dict.fromkeys(lines))


def _print(table: "pd.DataFrame", *, form: str) -> None:
    import graphtask as gt

    if len(table["run"].unique()) == 1:
        if form == "table":
            table = table.drop(columns=[*_HIDDEN, "dataset", "prior", "seed", "threshold"])
        show(records_of(table), form=form)
    elif form == "table":
        show([row for name in _SHOWN for row in _rows(table, name)], form=form)
    else:
        show(records_of(gt.summarize_retrained(table)), form=form)


def _rows(table: "pd.DataFrame", name: str) -> list[dict[str, Any]]:
    """One value of all networks, side by side, for each data set and prior."""
    import graphtask as gt

    networks = list(dict.fromkeys(table["network"]))
    rows = []
    for _, row in gt.retraining_table(table, name).iterrows():
        cells = {
            network: mean_and_spread(row[f"{network}_mean"], row[f"{network}_std"]) for network in networks
        }
        counts = {int(row[f"{network}_n"]) for network in networks} - {0}
        runs = " to ".join(map(str, sorted({min(counts), max(counts)}))) if counts else "0"
        rows.append(
            {"": _SHOWN[name], "dataset": row["dataset"], "prior": row["prior"], **cells, "runs": runs}
        )
    return rows
