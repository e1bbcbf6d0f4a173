"""``graphtask metrics``: one row of numbers for each graph."""

import os
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
    engine_options,
    examples,
    format_option,
    graphs_argument,
    jobs_option,
    metrics_option,
    option,
    reading_options,
    relative_option,
    threshold_option,
)
from graphtask_cli.param_types import GRAPHS, PATH, Choice, Integer
from graphtask_cli.render import show, show_rows
from graphtask_cli.sources import labels, listed
from graphtask_cli.spool import Spool
from graphtask_cli.tables import check_table_path, write_rows

if TYPE_CHECKING:
    from graphtask.corpus.entries import Entry
    from graphtask.corpus.rows import Settings
    from graphtask.metrics.metric import Metric

_SHOWN_ROWS = 500
_HIDDEN = ("undefined", "reading", "error", "file", "sha256")  # columns after the metrics, not for people
_MOST_REASONS = 1_000


@command(
    epilog=examples(
        "graphtask metrics fixtures/graphs/*.graphml --channels 11",
        "graphtask metrics runs --threshold 0.006 -o features.csv",
        "graphtask metrics 'corpus/**/*.gml' more.zip --stages 3 --cache . -o features.parquet",
        "find . -name '*.graphml' | graphtask metrics - --jobs 2 --format csv",
        "graphtask metrics graphs.parquet --column edges --stages 1 --engine ray -o features/",
        "graphtask metrics - --scheme https --jobs 2 -o features/ < urls.txt",
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
@option(
    "--column",
    metavar="NAME",
    section="Reading graphs",
    help="Column of edge lists in .parquet files, a graph per row: text, or lists of pairs of nodes.",
)
@option(
    "--scheme",
    "schemes",
    multiple=True,
    metavar="NAME",
    section="Reading graphs",
    help="Open URLs of this scheme, such as https or s3, through fsspec (pip install 'graphtask-nn[urls]'); may be repeated.",
)
@engine_options(
    text="Measure in processes on this machine, or on a Ray cluster (pip install 'graphtask-nn[ray]'), with -o FOLDER/."
)
@jobs_option(default="the CPU cores for many graphs, else 1; all of a cluster", text="Processes in parallel.")
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
@option(
    "-o",
    "--out",
    type=GRAPHS,
    metavar="FILE|FOLDER/",
    section="Output",
    help="Write the table to a .csv, .json or .parquet file, or to a folder of Parquet files, which the same command resumes.",
)
@option(
    "--part-size",
    type=Integer(1),
    section="Output",
    show_default="1000",
    metavar="N",
    help="Graphs per file of a folder.",
)
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
    column: str | None,
    schemes: tuple[str, ...],
    engine_name: Any,
    address: str | None,
    strict: bool,
    out: str | None,
    part_size: int | None,
    form: str,
    **reading: Any,
) -> None:
    """Measure graphs: one row for each, in the order given.

    A folder stands for the graphs, archives and runs in it and in its subfolders, a run for its trained graph, an
    archive (.zip, .tar, .tar.gz) for its graphs, a quoted pattern ('graphs/**/*.gml') for the matching files, and -
    for the paths on standard input, one per line. Graph files are those of all formats in
    docs/formats.md, such as .graphml, .gexf, .dot, .json, .csv, .npz and .onnx.

    A table (.parquet) with --column stands for a graph per row, and a URL with --scheme for the file there.

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
    folder = _folder(out)
    _check_placement(
        folder, engine_name, part_size=part_size, address=address, cache=cache, null=n_nulls, form=form
    )
    file = Path(out) if out is not None and folder is None else None
    if file is not None:
        check_table_path(file)
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
    written = [path for path in (file, cache) if path is not None and not path.is_dir()]
    written += [folder] if folder is not None else []
    entries = find(listed(paths), exclude=written, column=column, schemes=schemes)
    if not entries:
        raise ArgumentError("no paths on standard input; pass one path per line")
    if folder is not None:
        n_errors = _measure_parts(
            entries, settings, folder, engine_name, address=address, n_jobs=n_jobs, part_size=part_size
        )
        if n_errors and (strict or n_errors == len(entries)):
            raise click.exceptions.Exit(1)
        return
    with Spool() as spool:
        rows = measure_entries(entries, settings, n_jobs=n_jobs, cache=cache, notify=note)
        n_errors = _collect(rows, spool, n_rows=len(entries))
        all_failed = n_errors == len(entries)
        # A table of errors alone must not replace a file with measurements.
        has_reasons = form != "table" if file is None else not all_failed
        is_written = has_reasons or not all_failed
        if is_written and settings.null_model is not None:
            publish_tests(spool, [entry.run or entry.file for entry in entries], out=file, form=form)
        elif is_written:
            _publish(spool, entries, settings, out=file, form=form)
        if n_errors > 1:
            _report_errors(n_errors, n_rows=len(entries), has_reasons=has_reasons)
        if file is not None and not is_written:
            problem(f"{file} is not written")
    if n_errors and (strict or all_failed):
        raise click.exceptions.Exit(1)


def _folder(out: str | None) -> Path | None:
    """Return the folder of ``-o FOLDER/``, or of a folder that exists; None for a file."""
    return Path(out) if out and (out.endswith(("/", os.sep)) or Path(out).is_dir()) else None


def _check_placement(folder: Path | None, engine_name: str, *, form: str, **options: Any) -> None:
    """Check the options that need a folder, and those that exclude it."""
    if folder is None and (engine_name != "local" or options["part_size"] is not None):
        name = "--part-size" if engine_name == "local" else f"--engine {engine_name}"
        raise click.UsageError(f"{name} needs a folder for its files; pass -o FOLDER/")
    if engine_name == "local" and options["address"] is not None:
        raise click.UsageError("--address excludes --engine local")
    if folder is None:
        return
    for name in ("cache", "null"):
        if options[name] is not None:
            raise click.UsageError(f"--{name} excludes a folder; pass -o FILE")
    if form != "table":
        raise click.UsageError("--format excludes a folder, whose files are in Parquet")


def _measure_parts(
    entries: Sequence["Entry"],
    settings: "Settings",
    folder: Path,
    engine_name: Any,
    *,
    address: str | None,
    n_jobs: int | None,
    part_size: int | None,
) -> int:
    """Measure the graphs into a folder, report about it, and return the number of errors.

    Raises:
        Exit: Parts are missing, because their processes died.
    """
    from graphtask.corpus.measure import report_kept
    from graphtask.corpus.partitioned import PART_SIZE, engine_factory, measure_parts

    with progress(visible=len(entries) > 1) as bar:
        task = bar.add_task("measuring", total=len(entries))
        report = measure_parts(
            entries,
            settings,
            out=folder,
            engine=engine_factory(engine_name, n_jobs=n_jobs, address=address),
            part_size=part_size or PART_SIZE,
            notify=note,
            watch=lambda n_graphs: bar.advance(task, n_graphs),
        )
    report_kept(report.n_kept, note)
    for error in report.errors[:SHOWN_MESSAGES]:
        problem(error)
    if report.n_errors > 1:
        _report_errors(report.n_errors, n_rows=len(entries), has_reasons=True)
    resumed = f", {report.n_resumed:,} of them kept" if report.n_resumed else ""
    if report.files:
        say(f"{folder}: {counted(len(entries), 'graph')} in {counted(len(report.files), 'part')}{resumed}")
    for name, reason in report.failed.items():
        problem(f"{folder / name}: {reason}")
    if report.failed:
        raise click.exceptions.Exit(1)
    return report.n_errors


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
    columns = ["graph", *ORIGINS, *measured, *_HIDDEN]
    named = zip(labels([entry.run or entry.file for entry in entries]), spool.rows(), strict=True)
    rows = ({"graph": label} | completed(row, measured) for label, row in named)
    if out is not None:
        write_rows(out, columns, rows, kinds={"graph": {str}, **spool.kinds})
        say(f"{out}: {counted(len(entries), 'graph')}")
    elif form == "table":
        shown = [column for column in columns if column not in _HIDDEN]
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
    """Return the first rows, and of all rows the reasons of undefined values and the options chosen for reading."""
    first = list(islice(rows, _SHOWN_ROWS))
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    for group in (first, rows):
        for row in group:
            changes = str(row.get("reading") or "").split("; ")
            undefined = filter(None, str(row.get("undefined") or "").split("; "))
            for reason in (*(change for change in changes if change.startswith("read with ")), *undefined):
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
