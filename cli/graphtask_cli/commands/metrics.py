"""``graphtask metrics``: one row of numbers for each graph."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.messages import SHOWN_MESSAGES, note, problem, progress, say, warn
from graphtask_cli.null_tables import publish_tests
from graphtask_cli.options import (
    command,
    examples,
    format_option,
    graphs_argument,
    jobs_option,
    metrics_option,
    option,
    out_option,
    reading_options,
    relative_option,
    threshold_option,
)
from graphtask_cli.param_types import PATH, Choice, Integer
from graphtask_cli.render import show, show_rows
from graphtask_cli.sources import labels, listed
from graphtask_cli.spool import Spool
from graphtask_cli.tables import check_table_path, write_rows

if TYPE_CHECKING:
    from graphtask.corpus.entries import Entry
    from graphtask.corpus.rows import Settings
    from graphtask.metrics.metric import Metric

_SHOWN_ROWS = 500
_MOST_REASONS = 1_000


@command(
    epilog=examples(
        "graphtask metrics fixtures/graphs/*.graphml --channels 11",
        "graphtask metrics runs --threshold 0.006 -o features.csv",
        "graphtask metrics 'corpus/**/*.gml' more.zip --stages 3 --cache . -o features.parquet",
        "find . -name '*.graphml' | graphtask metrics - --jobs 2 --format csv",
        "graphtask metrics fixtures/graphs/trained_12.graphml --metrics motifs --null 99 --seed 0",
        "graphtask metrics --list",
    )
)
@graphs_argument
@option("--list", "list_metrics", is_flag=True, help="Print all metrics with their formulas, and exit.")
@metrics_option
@option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import a Python module first, such as one in this folder that registers custom metrics; may be repeated.",
)
@option(
    "--channels",
    type=Integer(1),
    section="Model",
    show_default="those of the training, if known",
    help="Channels of stage 0; the metric parameters depends on them.",
)
@option(
    "--layout-starts",
    type=Integer(1),
    default=1,
    help="Starting positions of the layout for pca_elongation; the best result counts.",
)
@option(
    "--layout-order",
    type=Choice(["topological", "canonical"]),
    default="topological",
    help="Initial node order of the layout: as numbered (published values), or independent of the numbering.",
)
@threshold_option(text="Prune the graphs at this threshold first.")
@relative_option
@option(
    "--null",
    "n_nulls",
    type=Integer(2),
    section="Null model",
    metavar="N",
    help="Compare each metric with its values in N random graphs: z-scores and corrected p-values, a row per metric.",
)
@option(
    "--preserve",
    type=Choice(["degree", "stage"]),
    default="degree",
    section="Null model",
    help="Random graphs keep degrees and node order; with stage, also the edges of each node to and from each stage.",
)
@option("--seed", type=Integer(0), default=0, section="Null model", help="Seed of the random graphs.")
@reading_options
@jobs_option(default="the CPU cores for many graphs, else 1", text="Processes in parallel.")
@option(
    "--cache",
    type=PATH,
    metavar="FILE|FOLDER",
    section="Runtime",
    help="Store rows here, and measure only graphs that are new or have changed.",
)
@option(
    "--strict",
    is_flag=True,
    section="Output",
    help="Exit with status 1 if any graph cannot be measured, not only if all cannot.",
)
@out_option(text="Write the table to a .csv, .json or .parquet file, not to standard output.")
@format_option
def metrics(
    paths: tuple[str, ...],
    *,
    list_metrics: bool,
    metrics: str | list[str],
    modules: tuple[str, ...],
    channels: int | None,
    layout_starts: int,
    layout_order: Any,
    threshold: float | None,
    relative: bool,
    n_nulls: int | None,
    preserve: Any,
    seed: int,
    n_jobs: int | None,
    cache: Path | None,
    strict: bool,
    out: Path | None,
    form: str,
    **reading: Any,
) -> None:
    """Measure graphs: one row for each, in the order given.

    A folder stands for the graphs, archives and runs in it and in its subfolders, a run for its trained graph, an
    archive (.zip, .tar, .tar.gz) for its graphs, a quoted pattern ('graphs/**/*.gml') for the matching files, and -
    for the paths on standard input, one per line. Graph files are .graphml, .gml, node-link .json, adjacency .npz, and
    edge lists or adjacency matrices as .csv, .tsv, .txt or .edges.

    A graph that cannot be read gets a row with the reason. Tables are rounded; --format csv and json, and files, have
    every digit, and the path and SHA-256 of every file. In CSV, text that a spreadsheet would evaluate as a formula
    gets a leading apostrophe.
    """
    _prepare(modules)
    if list_metrics:
        show(_known_metrics(whole=form != "table"), form=form, wrapped=True)
        return
    if not paths:
        raise click.UsageError("missing graph files, runs or folders; or pass --list")
    if out is not None:
        check_table_path(out)
    _check_paths(paths)
    from graphtask.corpus.entries import find
    from graphtask.corpus.measure import measure_entries
    from graphtask.corpus.rows import NullModel, Settings
    from graphtask.errors import ArgumentError
    from graphtask.metrics.view import Options
    from graphtask.reading import ReadOptions

    settings = Settings(
        metrics=metrics,
        options=Options(channels=channels, layout_starts=layout_starts, layout_order=layout_order),
        reading=ReadOptions(**reading),
        threshold=threshold,
        relative=relative,
        null_model=None if n_nulls is None else NullModel(n_nulls, preserve, seed),
    )
    written = [path for path in (out, cache) if path is not None and not path.is_dir()]
    entries = find(listed(paths), exclude=written)
    if not entries:
        raise ArgumentError("no paths on standard input; pass one path per line")
    with Spool() as spool:
        rows = measure_entries(entries, settings, n_jobs=n_jobs, cache=cache, notify=note)
        n_errors = _collect(rows, spool, n_rows=len(entries))
        all_failed = n_errors == len(entries)
        # A table of errors alone must not replace a file with measurements.
        has_reasons = form != "table" if out is None else not all_failed
        is_written = has_reasons or not all_failed
        if is_written and settings.null_model is not None:
            publish_tests(spool, [entry.run or entry.file for entry in entries], out=out, form=form)
        elif is_written:
            _publish(spool, entries, settings, out=out, form=form)
        if n_errors > 1:
            _report_errors(n_errors, n_rows=len(entries), has_reasons=has_reasons)
        if out is not None and not is_written:
            problem(f"{out} is not written")
    if n_errors and (strict or all_failed):
        raise click.exceptions.Exit(1)


def _check_paths(paths: Sequence[str]) -> None:
    """Check that no path is the name of a metric: ``--metrics nodes edges`` is meant as ``--metrics nodes,edges``."""
    from graphtask.metrics.registry import all_metrics

    known = {metric.name for metric in all_metrics()}
    for path in paths:
        if path in known and not Path(path).exists():
            raise click.UsageError(
                f"file not found: {path!r}; separate metrics by commas, --metrics …,{path}"
            )


def _prepare(modules: Iterable[str]) -> None:
    from graphtask.named import import_named
    from graphtask.workers import prepare

    if "numpy" not in sys.modules:  # else a Python program calls the command, and it is too late
        prepare()
    for module in modules:
        import_named(module.removesuffix(".py"))


def _collect(rows: Iterable[dict[str, Any]], spool: Spool, *, n_rows: int) -> int:
    """Put the rows into the spool, report the first errors, and return the number of errors."""
    n_errors = 0
    with progress(visible=n_rows > 1) as bar:
        for row in bar.track(rows, total=n_rows, description="measuring"):
            spool.add(row)
            if row["error"]:
                n_errors += 1
                if n_errors <= SHOWN_MESSAGES:
                    problem(row["error"])
    return n_errors


def _report_errors(n_errors: int, *, n_rows: int, has_reasons: bool) -> None:
    """Report the number of errors, and the place of their reasons, which the table for people does not have."""
    where = "; see the column error" if has_reasons else ""
    if not has_reasons and n_errors > SHOWN_MESSAGES:
        where = "; see the column error of --format csv"
    warn(f"{n_errors:,} of {n_rows:,} graphs cannot be measured{where}")


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
        say(f"{out}: {counted(len(entries), 'graph')}")
    elif form == "table":
        shown = [column for column in columns if column not in {"undefined", "error", "file", "sha256"}]
        shown = [column for column in shown if column not in ORIGINS or spool.kinds.get(column)]
        first, reasons = _for_people(rows)
        show([{column: row.get(column) for column in shown} for row in first], form=form)
        if len(entries) > _SHOWN_ROWS:
            warn(
                f"… and {counted(len(entries) - _SHOWN_ROWS, 'more graph')}; -o features.csv has all of them"
            )
        for reason in reasons:
            warn(reason)
    else:
        show_rows(columns, rows, form=form)


def _for_people(rows: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the first rows, and the reasons of undefined values in all rows."""
    first = list(islice(rows, _SHOWN_ROWS))
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    for group in (first, rows):
        for row in group:
            for reason in filter(None, str(row.get("undefined") or "").split("; ")):
                if reason in example or len(example) < _MOST_REASONS:
                    counts[reason] += 1
                    example.setdefault(reason, row["graph"])
    reasons = [
        f"{reason} ({graph if counts[reason] == 1 else f'{counts[reason]:,} graphs'})"
        for reason, graph in islice(example.items(), SHOWN_MESSAGES)
    ]
    if len(example) > SHOWN_MESSAGES:
        reasons.append(
            f"… and {len(example) - SHOWN_MESSAGES:,} more; see the column undefined of --format csv"
        )
    return first, reasons


def _known_metrics(*, whole: bool) -> list[dict[str, Any]]:
    """Return the registry; for people, the columns that fit side by side."""
    from graphtask.metrics.registry import all_metrics

    columns: tuple[str, ...] = ("formula", "range", "sets")
    if whole:
        columns = ("formula", "range", "meaning", "reads_weights", "defined_when", "cost", "sets", "source")
    else:
        note("--format json has more columns: source, meaning, domain, cost, use of weights")
    return [
        {"name": metric.name} | {column: _described(metric, column) for column in columns}
        for metric in all_metrics()
    ]


def _described(metric: "Metric", column: str) -> Any:
    if column == "range":
        return f"{metric.low:g} … {metric.high:g}"
    return ", ".join(metric.sets) if column == "sets" else getattr(metric, column)
