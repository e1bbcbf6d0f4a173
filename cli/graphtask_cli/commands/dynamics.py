"""``graphtask dynamics``: what the edge weights did during training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphtask.validation import counted
from graphtask_cli.options import (
    examples,
    format_option,
    out_option,
    plot_option,
    runs_argument,
    threshold_option,
)
from graphtask_cli.output import (
    check_figure_path,
    check_table_path,
    note,
    progress,
    records_of,
    save_plot,
    show,
    with_spreads,
    write_table,
)
from graphtask_cli.sources import opened, run_folders

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.dynamics.table import Recording


@click.command(
    epilog=examples(
        "graphtask dynamics runs/full-0",
        "graphtask dynamics runs -o dynamics.csv --plot dynamics.svg",
        "graphtask dynamics runs --top-k top-k",
    )
)
@runs_argument
@threshold_option(default=0.006, text="Edges of the graph that is pruned with it count as retained.")
@out_option(text="Write one row for each run to a .csv, .json or .parquet file.")
@plot_option
@click.option(
    "--top-k",
    "graphs",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write the graph of the largest edges after the first epoch of each run here.",
)
@click.option("--each", is_flag=True, help="Print a row for each run, also if there are several.")
@format_option
def dynamics(
    paths: tuple[Path, ...],
    *,
    threshold: float,
    out: Path | None,
    plot: Path | None,
    graphs: Path | None,
    each: bool,
    form: str,
) -> None:
    """What edge weights did during training, from the edge histories of finished runs.

    A folder stands for the runs in it. Of several runs the means and deviations are printed, by data set and prior;
    only the ends of epochs count.

    A: percentage of the retained edges that were below the threshold at least once. B: number of epochs at which
    they were. C: percentage of the eliminated edges that after first falling below it rose above ten times the
    threshold. D: number of epochs at which they were above it after that. dsc_largest_first (dsc_smallest_first):
    overlap, 2|A∩B|/(|A|+|B|), of the retained edges with as many that were largest (smallest) after the first epoch;
    dsc_top_k: with the smallest connected graph of the largest ones.
    """
    import graphtask as gt
    from graphtask.dynamics.table import open_recording

    if out is not None:
        check_table_path(out)
    if plot is not None:
        check_figure_path(plot)
    folders = run_folders(paths)
    with progress(visible=len(folders) > 1) as bar:
        found = bar.track(opened(folders, open_recording), total=len(folders), description="reading")
        runs = dict(found)
        table = gt.dynamics_table(runs, threshold=threshold)
    if out is not None:
        write_table(records_of(table), out)
        note(f"wrote {out}")
    if plot is not None:
        _draw(runs, table, plot, threshold=threshold)
    if graphs is not None:
        _write_graphs(runs, graphs, threshold=threshold)
    _print(table, each=each, form=form)


def _print(table: "pd.DataFrame", *, each: bool, form: str) -> None:
    import graphtask as gt

    alone = each or len(table) == 1
    for run, reasons in zip(table["run"], table["undefined"], strict=True):
        if reasons:
            note(f"{run}: {reasons}")
    if alone:
        show(records_of(table.drop(columns="undefined") if form == "table" else table), form=form)
    elif form == "table":
        show(with_spreads(records_of(gt.dynamics_summary(table))), form=form)
    else:
        show(records_of(gt.dynamics_summary(table)), form=form)


def _draw(runs: Mapping[str, "Recording"], table: "pd.DataFrame", plot: Path, *, threshold: float) -> None:
    import graphtask as gt
    from graphtask.dynamics.categories import retained_edges
    from graphtask.dynamics.table import overlap_table

    label, first = next(iter(runs.items()))
    try:
        kept = retained_edges(first.history, retained=gt.prune(first.graph, threshold=threshold))
    except gt.DisconnectedError:
        kept = retained_edges(first.history, retained=())
    overlap = overlap_table(runs, threshold=threshold)
    figure = gt.draw_dynamics(table, overlap, first.history, threshold=threshold, kept=kept, title=label)
    save_plot(figure, plot, overlap)


def _write_graphs(runs: Mapping[str, "Recording"], folder: Path, *, threshold: float) -> None:
    import graphtask as gt
    from graphtask.dynamics.table import top_k_graphs

    for label, top in top_k_graphs(runs, threshold=threshold).items():
        if top.live is None:
            note(f"{label}: its {top.k} largest edges make no path from input to output; no graph written")
            continue
        path = folder / f"{label}.graphml"
        path.parent.mkdir(parents=True, exist_ok=True)
        gt.write(top.live, path)
        if top.live.ecount() < top.k:
            note(f"{path}: without {counted(top.k - top.live.ecount(), 'edge')} of {top.k}, on dead paths")
