"""A running study in the terminal: a table that is updated in place, and a page that reloads itself."""

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.columns import score_of, shown_score, words
from graphtask.terminal import duration, shown
from graphtask_cli.render import missing_as_none, rounded
from graphtask_cli.tables import records_of

if TYPE_CHECKING:
    import igraph
    import pandas as pd
    from rich.console import RenderableType

    from graphtask.study.study import Study

_BLOCKS = "▁▂▃▄▅▆▇█"
_POINTS = 16  # of a curve
_ORDER = ("running", "failed", "waiting", "finished")
_ERRORS = 3  # that are printed
_MARGIN = 9  # lines of the terminal without runs
_LEAST_PAGE_SECONDS = 10.0
_HEIGHT = 15  # lines of a picture, enough for a dot per node of 60 nodes
_GRAPHS = 4
_GAP = 3  # columns between pictures


def watch_study(study: "Study", *, every: float, once: bool, page: Path | None) -> None:
    """Show a study until no run is left, or once.

    Args:
        study: The study.
        every: Seconds between two looks.
        once: Print the table once, on standard output.
        page: File for the page; None for none.
    """
    from rich.console import Console
    from rich.live import Live

    reload = round(max(every, _LEAST_PAGE_SECONDS))
    if once or not sys.stdout.isatty():
        _write_page(study, page, refresh=reload)
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
        console.print(frame(study, n_rows=len(study.jobs)))
        return
    written = 0.0
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            table = study.status()
            live.update(_fitting_frame(study), refresh=True)
            is_over = bool(table["status"].isin(["finished", "failed"]).all())
            if page is not None and (is_over or time.monotonic() - written > reload):
                _write_page(study, page, refresh=None if is_over else reload)
                written = time.monotonic()
            if is_over:
                return
            time.sleep(every)


def _fitting_frame(study: "Study") -> "RenderableType":
    """Return the frame for the height of the terminal: a third of it for pictures, if that is enough for one."""
    lines = shutil.get_terminal_size().lines - _MARGIN
    height = min(lines // 3, _HEIGHT)
    return frame(study, n_rows=max(lines - height - 3, 3), height=height if height > 3 else 0)


def frame(study: "Study", *, n_rows: int, height: int = _HEIGHT) -> "RenderableType":
    """Return the table of a study and its newest graphs.

    Args:
        study: The study.
        n_rows: Largest number of runs in the table; running ones come first.
        height: Lines of the pictures; 0 for none.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from graphtask.reporting.study_page import progress_table, status_line

    table = study.status()
    score = score_of(table.columns)
    curves = _curves(progress_table(study))
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    for name in ("run", "status", "epoch", words(score), "over epochs", "edges", "over epochs", "left"):
        grid.add_column(Text(name), no_wrap=True, justify="right" if name in {"epoch", "edges"} else "left")
    records = sorted(records_of(table), key=lambda record: _ORDER.index(record["status"]))
    for record in records[:n_rows]:
        grid.add_row(*(Text(shown(cell)) for cell in _cells(record, curves.get(record["run"], ("", "")))))
    errors = [f"error: {record['run']}: {record['error']}" for record in records if record["error"]]
    more = len(table) - n_rows
    rest = [Text(f"… and {more} more")] if more > 0 else []
    problems = [Text(shown(error)) for error in errors[:_ERRORS]]
    pictures = [_pictures(study, height)] if height else []
    return Group(
        Text(shown(f"{study.name}: {status_line(table)}")), Text(""), grid, *rest, *problems, *pictures
    )


def _pictures(study: "Study", height: int) -> "RenderableType":
    """Return the newest graphs side by side, as many as fit the width."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    from graphtask.reporting.study_page import newest_graphs
    from graphtask_cli.braille import adjacency_picture

    return Columns(
        [
            Group(
                Text(shown(f"{found.run}, epoch {found.epoch}"), no_wrap=True, overflow="ellipsis"),
                Text(_sizes(found.pruned)),
                adjacency_picture(found.initial, found.pruned, height=height),
            )
            for found in newest_graphs(study, _GRAPHS)
        ],
        padding=(0, _GAP),
    )


def _sizes(graph: "igraph.Graph") -> str:
    """Return the numbers of edges inside each stage, and between stages.

    >>> import graphtask as gt
    >>> _sizes(gt.full_dag(5, stages=2))
    'edges 3 + 1, between 6'
    """
    from collections import Counter

    from graphtask.graph import edge_array, stages

    stage = stages(graph)
    pairs = Counter((int(stage[source]), int(stage[target])) for source, target in edge_array(graph).tolist())
    inside = [pairs.pop((s, s), 0) for s in range(int(stage.max()) + 1)]
    return f"edges {' + '.join(map(str, inside))}, between {pairs.total()}"


def _cells(record: dict[str, Any], curves: tuple[str, str]) -> list[str]:
    name = score_of(record)
    score, left = missing_as_none(record[f"test_{name}"]), missing_as_none(record["seconds_left"])
    return [
        record["run"],
        record["status"],
        f"{record['epoch']}/{record['epochs']}",
        "" if score is None else shown_score(score, name),
        curves[0],
        rounded(missing_as_none(record["live_edges"])),
        curves[1],
        duration(left) if left else "",
    ]


def _curves(metrics: "pd.DataFrame") -> dict[str, tuple[str, str]]:
    if metrics.empty:
        return {}
    score = f"test_{score_of(metrics.columns)}"
    return {
        str(run): (
            sparkline(rows[score].tolist(), low=0.0, high=1.0),
            sparkline(rows["live_edges"].tolist(), low=0.0),
        )
        for run, rows in metrics.groupby("run", sort=False)
    }


def sparkline(values: "list[float]", *, low: float | None = None, high: float | None = None) -> str:
    """Return values as at most 16 block characters; gaps where a value is missing.

    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7]), sparkline([0.5, float("nan")], low=0, high=1)
    ('▁▂▃▄▅▆▇█', '▅ ')
    """
    step = max(len(values) / _POINTS, 1)
    chosen = [values[int(place * step)] for place in range(min(len(values), _POINTS) - 1)] + values[-1:]
    known = [value for value in values if value == value]  # noqa: PLR0124 - NaN
    if not known:
        return ""
    least = min(known) if low is None else low
    span = ((max(known) if high is None else high) - least) or 1.0
    return "".join(
        _BLOCKS[min(int((value - least) / span * len(_BLOCKS)), len(_BLOCKS) - 1)] if value == value else " "  # noqa: PLR0124
        for value in chosen
    )


def _write_page(study: "Study", path: Path | None, *, refresh: int | None) -> None:
    if path is None:
        return
    from graphtask.reporting.study_page import study_page
    from graphtask.storage.atomic import write_atomically

    with write_atomically(path) as file:
        file.write(study_page(study, refresh=refresh).encode("utf-8", errors="backslashreplace"))
    if not sys.stdout.isatty():
        click.echo(f"graphtask: wrote {shown(path)}", err=True)
