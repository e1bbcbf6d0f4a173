"""``graphtask dynamics``: trajectories of edge weights during training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from graphtask.validation import counted
from graphtask_cli.figures import check_figure_path, save_plot
from graphtask_cli.messages import note, progress, warn
from graphtask_cli.options import (
    PAPER_THRESHOLD,
    command,
    examples,
    format_option,
    option,
    out_option,
    plot_option,
    runs_argument,
    threshold_option,
)
from graphtask_cli.param_types import FOLDER, PATH
from graphtask_cli.render import show, with_spreads
from graphtask_cli.sources import opened, run_folders
from graphtask_cli.tables import check_table_path, records_of, write_table

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.dynamics.table import Recording


@command(
    epilog=examples(
        "graphtask dynamics runs/full-0",
        "graphtask dynamics runs -o dynamics.csv --plot dynamics.svg",
        "graphtask dynamics runs --top-k top-k",
        "graphtask dynamics runs --stability stable.graphml",
    )
)
@runs_argument
@threshold_option(
    default=PAPER_THRESHOLD, text="Threshold; the edges of the graph pruned at it are the retained ones."
)
@out_option(text="Write one row per run to a .csv, .json or .parquet file.")
@plot_option
@option(
    "--top-k",
    "graphs",
    type=FOLDER,
    metavar="FOLDER",
    section="Output",
    help="Write the graph of the largest edges after the first epoch of each run to this folder.",
)
@option(
    "--stability",
    type=PATH,
    metavar="FILE",
    section="Output",
    help="Write the initial graph with the share of the runs in which each edge survives pruning, as edge attribute "
    "stability, for runs of one initial graph; its table is next to it.",
)
@option("--each", is_flag=True, section="Output", help="Print one row per run, not means over runs.")
@format_option
def dynamics(
    paths: tuple[Path, ...],
    *,
    threshold: float,
    out: Path | None,
    plot: Path | None,
    graphs: Path | None,
    stability: Path | None,
    each: bool,
    form: str,
) -> None:
    """Summarize the edge weights of finished runs over training.

    A folder stands for the runs in it. Several runs are summarized by mean and standard deviation, by data set and
    prior. Weights at the ends of epochs are used.

    A: percentage of the retained edges that were below the threshold at least once. B: number of epochs at which
    they were. C: percentage of the eliminated edges that, after first falling below it, rose above ten times the
    threshold. D: number of epochs at which they were above it after that. dsc_largest_first (dsc_smallest_first):
    overlap, 2|A∩B|/(|A|+|B|), of the retained edges with as many that were largest (smallest) after the first epoch;
    dsc_top_k: with the smallest connected graph of the largest ones.

    --stability counts how often each edge survives over the runs, which differ in their seeds, or in random subsets of
    the images (--transform subset:N with other --data-seed).
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
        table = gt.dynamics.dynamics_table(runs, threshold=threshold)
    if out is not None:
        write_table(records_of(table), out)
        note(f"wrote {out}")
    if plot is not None:
        _draw(runs, table, plot, threshold=threshold)
    if graphs is not None:
        _write_graphs(runs, graphs, threshold=threshold)
    if stability is not None:
        _write_stability(runs, stability, threshold=threshold)
    _print(table, each=each, form=form)


def _print(table: "pd.DataFrame", *, each: bool, form: str) -> None:
    import graphtask as gt

    alone = each or len(table) == 1
    for run, reasons in zip(table["run"], table["undefined"], strict=True):
        if reasons:
            warn(f"{run}: {reasons}")
    if alone:
        show(records_of(table.drop(columns="undefined") if form == "table" else table), form=form)
    elif form == "table":
        show(with_spreads(records_of(gt.dynamics.dynamics_summary(table))), form=form)
    else:
        show(records_of(gt.dynamics.dynamics_summary(table)), form=form)


def _draw(runs: Mapping[str, "Recording"], table: "pd.DataFrame", plot: Path, *, threshold: float) -> None:
    import graphtask as gt
    from graphtask.dynamics.categories import retained_edges
    from graphtask.dynamics.table import overlap_table

    label, first = next(iter(runs.items()))
    try:
        kept = retained_edges(first.history, retained=gt.prune(first.graph, threshold=threshold))
    except gt.errors.DisconnectedError:
        kept = retained_edges(first.history, retained=())
    overlap = overlap_table(runs, threshold=threshold)
    figure = gt.plot.draw_dynamics(table, overlap, first.history, threshold=threshold, kept=kept, title=label)
    save_plot(figure, plot, overlap)


def _write_stability(runs: Mapping[str, "Recording"], path: Path, *, threshold: float) -> None:
    import graphtask as gt

    found = gt.dynamics.edge_stability([run.graph for run in runs.values()], threshold=threshold)
    gt.write(found.graph, path)
    table = path.with_name(f"{path.stem}-data.csv")
    write_table(records_of(found.table), table)
    n_stable = int((found.table["stability"] == 1).sum())
    note(
        f"wrote {path} and {table}: {n_stable} of {counted(len(found.table), 'edge')} survive in all of "
        f"{counted(len(runs), 'run')}"
    )


def _write_graphs(runs: Mapping[str, "Recording"], folder: Path, *, threshold: float) -> None:
    import graphtask as gt
    from graphtask.dynamics.table import top_k_graphs
    from graphtask.storage.names import distinct_stems, file_stem

    found = top_k_graphs(runs, threshold=threshold)
    for (label, top), stem in zip(found.items(), distinct_stems(map(file_stem, found)), strict=True):
        if top.live is None:
            warn(f"{label}: no graph written; its {top.k} largest edges do not connect input and output")
            continue
        path = folder / f"{stem}.graphml"
        path.parent.mkdir(parents=True, exist_ok=True)
        gt.write(top.live, path)
        if top.live.ecount() < top.k:
            note(f"{path}: {counted(top.k - top.live.ecount(), 'edge')} of {top.k} on dead paths left out")
