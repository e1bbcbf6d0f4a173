"""``graphtask metrics``: one row of numbers for each graph."""

import importlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.options import (
    examples,
    format_option,
    out_option,
    reading_options,
    threshold_option,
)
from graphtask_cli.output import TEXTS, check_table_path, note, progress, show
from graphtask_cli.sources import labels, listed
from graphtask_cli.spool import Spool, write_rows

if TYPE_CHECKING:
    from graphtask.corpus.entries import Entry
    from graphtask.corpus.rows import Settings
    from graphtask.metrics.metric import Metric

_SHOWN_ROWS = 500
_SHOWN_NOTES = 10
_MANY_REASONS = 1_000


@click.command(
    epilog=examples(
        "graphtask metrics fixtures/graphs/*.graphml --channels 11",
        "graphtask metrics runs --threshold 0.006 -o features.csv",
        "graphtask metrics 'corpus/**/*.gml' more.zip --stages 3 --cache . -o features.parquet",
        "find . -name '*.graphml' | graphtask metrics - --jobs 2 --format csv",
        "graphtask metrics --list",
    )
)
@click.argument("paths", metavar="GRAPH|RUN|FOLDER|ARCHIVE|-...", nargs=-1)
@click.option(
    "--list", "list_metrics", is_flag=True, help="Print what can be measured, and its formulas, and stop."
)
@click.option(
    "--metrics",
    "names",
    default="paper",
    show_default=True,
    metavar="SET|NAMES",
    help="What is measured: a set, or names of metrics and sets with commas between them; see --list.",
)
@click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="A Python module to import first, such as one in this folder that registers metrics of your own.",
)
@click.option(
    "--channels",
    type=int,
    help="Channels of stage 0, for the parameters.  [default: those it was trained with]",
)
@click.option(
    "--layout-starts",
    type=int,
    default=1,
    show_default=True,
    help="Starts of the layout behind pca_elongation.",
)
@click.option(
    "--layout-order",
    type=click.Choice(["topological", "canonical"]),
    default="topological",
    show_default=True,
    help="Order of the nodes at the start of the layout: as numbered (published values), or independent of the numbering.",
)
@threshold_option(default=None, text="Prune the graphs with this threshold first.")
@reading_options
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes.  [default: one a core if there are many graphs, else 1]",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="Remember rows here, and measure only what is new or has changed.",
)
@click.option(
    "--strict", is_flag=True, help="Exit with 1 if any graph cannot be measured, not only if all cannot."
)
@out_option(text="Write the table to a .csv, .json or .parquet file instead of printing it.")
@format_option
def metrics(
    paths: tuple[str, ...],
    *,
    list_metrics: bool,
    names: str,
    modules: tuple[str, ...],
    channels: int | None,
    layout_starts: int,
    layout_order: Any,
    threshold: float | None,
    jobs: int | None,
    cache: Path | None,
    strict: bool,
    out: Path | None,
    form: str,
    **reading: Any,
) -> None:
    """Measure graphs: one row for each, in the order given.

    A folder stands for the graphs, archives and runs in it and in its folders, a run for its trained graph, an
    archive (.zip, .tar, .tar.gz) for the graphs in it, a quoted pattern ('graphs/**/*.gml') for what matches it, and
    - for the paths on standard input, one a line. Graphs are .graphml, .gml, node-link .json, adjacency .npz, and
    edge lists or adjacency matrices as .csv, .tsv, .txt or .edges.

    A graph that cannot be read gets a row that says why. Tables are rounded for people; --format csv and json, and
    files, have every digit, and the path and SHA-256 of every file.
    """
    _prepare(modules)
    if list_metrics:
        show(_known_metrics(whole=form != "table"), form=form, wrapped=True)
        return
    if not paths:
        raise click.UsageError("name at least one graph file, run or folder; or ask for --list")
    if out is not None:
        check_table_path(out)
    from graphtask.corpus.entries import find
    from graphtask.corpus.measure import measure_entries
    from graphtask.corpus.rows import Settings
    from graphtask.errors import ArgumentError
    from graphtask.metrics.view import Options
    from graphtask.reading import ReadOptions

    settings = Settings(
        metrics=[name.strip() for name in names.split(",") if name.strip()] if "," in names else names,
        options=Options(channels=channels, layout_starts=layout_starts, layout_order=layout_order),
        reading=ReadOptions(**reading),
        threshold=threshold,
    )
    written = [path for path in (out, cache) if path is not None and not path.is_dir()]
    entries = find(listed(paths), exclude=written)
    if not entries:
        raise ArgumentError("standard input names no graph; give it paths, one a line")
    with Spool() as spool:
        rows = measure_entries(entries, settings, jobs=jobs, cache=cache, notify=note)
        n_errors = _collect(rows, spool, n_rows=len(entries))
        all_failed = n_errors == len(entries)
        # A table of errors alone replaces no file: it may be what was measured before.
        has_reasons = form != "table" if out is None else not all_failed
        if n_errors > 1:
            _say_how_many(n_errors, n_rows=len(entries), has_reasons=has_reasons)
        if has_reasons or not all_failed:
            _publish(spool, entries, settings, out=out, form=form)
        elif out is not None:
            note(f"{out} is not written")
    if n_errors and (strict or all_failed):
        raise click.exceptions.Exit(1)


def _prepare(modules: Iterable[str]) -> None:
    from graphtask.corpus.startup import prepare

    if (
        "numpy" not in sys.modules
    ):  # else it is too late, and this is not the program but somebody who calls it
        prepare()
    for module in modules:
        _import(module)


def _import(module: str) -> None:
    """Import a module from the current folder or from where Python finds others; so will other processes."""
    from graphtask.errors import ArgumentError

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        importlib.import_module(module.removesuffix(".py"))
    except Exception as error:
        raise ArgumentError(f"--import {module}: {type(error).__name__}: {error}") from error


def _collect(rows: Iterable[dict[str, Any]], spool: Spool, *, n_rows: int) -> int:
    """Put the rows into the spool, and say which of the first graphs cannot be measured; the number of those."""
    n_errors = 0
    with progress(visible=n_rows > 1) as bar:
        for row in bar.track(rows, total=n_rows, description="measuring"):
            spool.add(row)
            if row["error"]:
                n_errors += 1
                if n_errors <= _SHOWN_NOTES:
                    note(f"error: {row['error']}")
    return n_errors


def _say_how_many(n_errors: int, *, n_rows: int, has_reasons: bool) -> None:
    """Say how many graphs cannot be measured, and where the reasons are; the table for people has none."""
    where = "; the column error says why" if has_reasons else ""
    if not has_reasons and n_errors > _SHOWN_NOTES:
        where = "; --format csv says why in the column error"
    note(f"{n_errors} of {n_rows} graphs cannot be measured{where}")


def _publish(
    spool: Spool, entries: Sequence["Entry"], settings: "Settings", *, out: Path | None, form: str
) -> None:
    """Write or print the table."""
    from graphtask.corpus.rows import ORIGINS, completed, ordered_columns

    measured = ordered_columns(spool.kinds, settings)
    columns = ["graph", *ORIGINS, *measured, "undefined", "error", "file", "sha256"]
    named = zip(labels([entry.run or entry.file for entry in entries]), spool.rows(), strict=True)
    rows = ({"graph": label} | completed(row, measured) for label, row in named)
    if out is not None:
        write_rows(out, columns, rows, kinds={"graph": {str}, **spool.kinds})
        click.echo(f"{out}: {counted(len(entries), 'graph')}")
    elif form == "table":
        shown = [column for column in columns if column not in {"undefined", "error", "file", "sha256"}]
        shown = [column for column in shown if column not in ORIGINS or spool.kinds.get(column)]
        show([{column: row.get(column) for column in shown} for row in _for_people(rows)], form=form)
        if len(entries) > _SHOWN_ROWS:
            note(
                f"… and {counted(len(entries) - _SHOWN_ROWS, 'more graph')}; -o features.csv has all of them"
            )
    else:
        for text in TEXTS[form](columns, rows):
            click.echo(text, nl=False)


def _for_people(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first rows; why values are undefined is said beside the table, for all of them."""
    first = list(islice(rows, _SHOWN_ROWS))
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    for group in (first, rows):
        for row in group:
            for reason in filter(None, str(row.get("undefined") or "").split("; ")):
                if reason in example or len(example) < _MANY_REASONS:
                    counts[reason] += 1
                    example.setdefault(reason, row["graph"])
    for reason, graph in islice(example.items(), _SHOWN_NOTES):
        note(f"{reason} ({graph if counts[reason] == 1 else f'{counts[reason]} graphs'})")
    if len(example) > _SHOWN_NOTES:
        note(f"… and {len(example) - _SHOWN_NOTES} more; --format csv lists them in the column undefined")
    return first


def _known_metrics(*, whole: bool) -> list[dict[str, Any]]:
    """What the registry says; for people, what fits beside each other."""
    from graphtask.metrics.registry import all_metrics

    columns: tuple[str, ...] = ("formula", "range", "sets")
    if whole:
        columns = ("formula", "range", "meaning", "reads_weights", "defined_when", "cost", "sets", "source")
    else:
        note(
            "--format json has more: source, what a larger value says, for which graphs it is defined, cost, weights"
        )
    return [
        {"name": metric.name} | {column: _described(metric, column) for column in columns}
        for metric in all_metrics()
    ]


def _described(metric: "Metric", column: str) -> Any:
    if column == "range":
        return f"{metric.low:g} … {metric.high:g}"
    return ", ".join(metric.sets) if column == "sets" else getattr(metric, column)
