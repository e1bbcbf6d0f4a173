"""``graphtask report``: runs or graphs as one HTML file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphtask_cli.messages import note, progress
from graphtask_cli.options import (
    PAPER_THRESHOLD,
    command,
    examples,
    imports_option,
    option,
    out_option,
    threshold_option,
)

if TYPE_CHECKING:
    import pandas as pd


@command(
    epilog=examples(
        "graphtask report runs -o report.html",
        "graphtask report runs --sweep -o report.html",
        "graphtask report studies/digits.toml -o report.html",
        "graphtask report graphs/*.graphml -o report.html",
    )
)
@click.argument("paths", nargs=-1, required=True, metavar="RUN|STUDY|GRAPH|FOLDER|ARCHIVE...")
@threshold_option(default=PAPER_THRESHOLD, text="Threshold at which trained graphs are pruned.")
@option(
    "--sweep",
    "with_sweep",
    is_flag=True,
    section="Output",
    help="Test the pruned networks over thresholds (needs the data of the runs).",
)
@imports_option
@option("--title", default="graphtask report", section="Output", help="Heading of the page.")
@out_option(text="Path of the .html file.", required=True)
def report(
    paths: tuple[str, ...],
    *,
    threshold: float,
    with_sweep: bool,
    imports: tuple[str, ...],
    title: str,
    out: Path,
) -> None:
    """Write a report of runs, studies or graphs as one HTML file that needs no network.

    Progress of a study, features and edge dynamics next to the paper's, distributions and tests by data set, similarity,
    embedding, and an explorer: every graph with a threshold slider, details of nodes and edges, and the difference of
    two graphs.
    """
    import graphtask as gt

    sweeps = _sweeps(paths, imports) if with_sweep else {}
    gt.report(paths, out=out, threshold=threshold, sweeps=sweeps, title=title)
    note(f"wrote {out}")


def _sweeps(paths: tuple[str, ...], imports: tuple[str, ...]) -> "dict[str, pd.DataFrame]":
    import graphtask as gt
    from graphtask_cli.sources import run_folders

    folders = run_folders([Path(path) for path in paths]).values()
    with progress(visible=True) as bar:
        tracked = bar.track(folders, total=len(folders), description="sweeping")
        return {
            str(folder): gt.sweep(gt.Run.open(folder, imports=imports), progress=False).table
            for folder in tracked
        }
