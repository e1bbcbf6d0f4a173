"""``graphtask study``: many runs from one file, their progress and their results."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.messages import (
    SHOWN_MESSAGES,
    is_quiet,
    note,
    problem,
    progress,
    proposal,
    say,
    warn,
    warn_of_each,
)
from graphtask_cli.options import (
    data_root_option,
    engine_options,
    examples,
    format_option,
    gpu_options,
    group,
    imports_option,
    in_turn,
    jobs_option,
    option,
    out_option,
    threshold_option,
)
from graphtask_cli.param_types import FOLDER, PATH, Integer, Number
from graphtask_cli.render import mean_and_spread, missing_as_none, rounded, show
from graphtask_cli.tables import check_table_path, records_of, write_table

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.engines.protocol import Engine
    from graphtask.study.job import Job
    from graphtask.study.study import Study

_HIDDEN = ("error", "undefined", "run", "threshold")  # printed as messages, or the same in all rows


place_options = in_turn(
    option(
        "--runs",
        type=FOLDER,
        metavar="FOLDER",
        section="Data",
        show_default="as in the study",
        help="Folder of all runs.",
    ),
    data_root_option,
    imports_option,
)
study_options = in_turn(click.argument("source", type=PATH, metavar="FILE|FOLDER"), place_options)


@group(
    epilog=examples(
        "graphtask study run studies/digits.toml --dry-run",
        "graphtask study run studies/digits.toml",
        "graphtask study status studies/digits.toml",
        "graphtask study results studies/digits.toml -o digits.csv",
    )
)
def study() -> None:
    """Run many trainings from one file: data sets × priors × seeds.

    A study is a TOML file, or the folder of its runs. The run of a data set, an initial graph (prior) and a seed is
    the folder <runs>/<data>/<prior>/seed-<seed>, as `graphtask train` makes it.
    """


@study.command(
    epilog=examples(
        "graphtask study run studies/digits.toml --jobs 2",
        "graphtask study run studies/paper.toml --gpus 0,1 --jobs-per-gpu 2",
        "graphtask study run studies/ladder.toml --data-root ~/data --dry-run",
        "graphtask study run studies/paper.toml --engine ray --gpus-per-run 0.25 --cpus-per-run 2",
    )
)
@study_options
@engine_options(
    text="Run in processes on this machine, or on a Ray cluster (pip install 'graphtask-nn[ray]')."
)
@jobs_option()
@option(
    "--threads",
    "--cpus-per-run",
    "threads",
    type=Integer(1),
    section="Runtime",
    show_default="as in the study",
    help="CPU threads of each process; on a cluster also its CPUs.",
)
@gpu_options
@option(
    "--gpus-per-run",
    type=Number(0),
    section="Runtime",
    show_default="1, or 0 if the device is cpu",
    help="GPUs of a run on the cluster, or a share of one.",
)
@option(
    "--retries",
    type=Integer(0),
    default=2,
    section="Runtime",
    help="Retries of a run whose process was killed, before each new checkpoint.",
)
@option(
    "--dry-run",
    is_flag=True,
    help="Print the runs that remain and an estimate of their time, from a few steps of each network.",
)
def run(
    source: Path,
    *,
    runs: Path | None,
    data_root: Path | None,
    imports: tuple[str, ...],
    threads: int | None,
    retries: int,
    dry_run: bool,
    **runtime: Any,
) -> None:
    """Train every unfinished run of a study.

    Failed runs are listed at the end, with exit status 1; the others finish. If interrupted, run the same command
    again to resume. The command may run several times in parallel, also on machines that share the folder: no run is
    trained twice.
    """
    import graphtask as gt

    plan = gt.Study.read(source, out=runs, data_root=data_root, threads=threads, imports=imports)
    engine = _engine(plan, **runtime)
    if dry_run:
        plan.check_out()
        _show_cost(plan, slots=engine.slots())
        return
    report = plan.run(engine=engine, retries=retries, progress=not is_quiet())
    for name, reason in report.failed.items():
        problem(f"{name}: {reason}")
    say(f"{plan.out}: {report.n_finished} of {counted(len(plan.jobs), 'run')} finished")
    if report.n_finished:
        code = dict.fromkeys(name for job in plan.jobs for name in job.code.values())
        repeated = [word for name in code for word in ("--allow-import", name)]
        say(f"next: {proposal('study', 'results', plan.out, *repeated)}")
    if report.failed:
        raise click.exceptions.Exit(1)


_OTHER = {
    "local": ("address", "gpus_per_run"),
    "ray": ("gpus", "jobs_per_gpu"),
}  # options of the other engine


def _engine(plan: "Study", *, engine_name: str, n_jobs: int | None, **options: Any) -> "Engine":
    """Return the engine that trains the runs."""
    from graphtask.engines.ray import RayEngine
    from graphtask.study.local import local_engine

    for name in _OTHER[engine_name]:
        if options[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} excludes --engine {engine_name}")
    if engine_name == "local":
        return local_engine(
            plan.jobs, n_jobs=n_jobs, gpus=options["gpus"], jobs_per_gpu=options["jobs_per_gpu"] or 1
        )
    address = options["address"] or "auto"
    return RayEngine(plan, address=address, gpus_per_run=options["gpus_per_run"], n_jobs=n_jobs)


@study.command(epilog=examples("graphtask study status studies/digits.toml"))
@study_options
@format_option
def status(
    source: Path, *, runs: Path | None, data_root: Path | None, imports: tuple[str, ...], form: str
) -> None:
    """Print the progress of every run; running ones are not disturbed.

    An interrupted run is waiting, with the epochs that it finished. The remaining time of a run is estimated from its
    own epochs, else from those of similar runs.
    """
    import graphtask as gt

    _show_status(gt.Study.read(source, out=runs, data_root=data_root, imports=imports), form=form)


@study.command(
    epilog=examples(
        "graphtask study watch studies/digits.toml",
        "graphtask study watch runs/digits --html digits.html",
        "graphtask study watch runs/digits --once",
    )
)
@study_options
@option("--every", type=Number(0.1), default=2.0, metavar="SECONDS", help="Seconds between two looks.")
@option("--once", is_flag=True, help="Print the table once, and exit; also without a terminal.")
@option(
    "--html",
    "page",
    type=PATH,
    metavar="FILE",
    section="Output",
    help="Write a page too, with curves and the newest graphs; it reloads itself.",
)
def watch(
    source: Path,
    *,
    runs: Path | None,
    data_root: Path | None,
    imports: tuple[str, ...],
    every: float,
    once: bool,
    page: Path | None,
) -> None:
    """Show the progress of a running study until its last run has ended; Ctrl-C stops looking, not the study.

    Below the table are the adjacency matrices of the newest graphs, in the colors of their stages. The runs may be trained by other processes and on other machines that share the folder; they are not disturbed.
    """
    import graphtask as gt
    from graphtask_cli.watching import watch_study

    if page is not None and page.suffix.lower() not in {".html", ".htm"}:
        raise click.BadParameter(f"must end in .html, got {page.name}", param_hint="--html")
    plan = gt.Study.read(source, out=runs, data_root=data_root, imports=imports)
    watch_study(plan, every=every, once=once, page=page)


@study.command(
    epilog=examples(
        "graphtask study results studies/digits.toml",
        "graphtask study results runs/digits --summary",
        "graphtask study results studies/paper.toml studies/paper-banded.toml --summary",
        "graphtask study results studies/digits.toml --threshold 0.01 -o digits.parquet",
    )
)
@click.argument("sources", type=PATH, nargs=-1, required=True, metavar="FILE|FOLDER...")
@place_options
@threshold_option(text="Pruning threshold.", show_default="as in the study")
@option(
    "--summary",
    is_flag=True,
    section="Output",
    help="Print mean and standard deviation over seeds, in the rows of the paper's tables.",
)
@out_option(text="Write the table to a .csv, .json or .parquet file, not to standard output.")
@format_option
def results(
    sources: tuple[Path, ...],
    *,
    runs: Path | None,
    out: Path | None,
    data_root: Path | None,
    imports: tuple[str, ...],
    threshold: float | None,
    summary: bool,
    form: str,
) -> None:
    """Print one row per run: accuracies, time, graph metrics.

    Results are stored in the run folders, so that a second call is fast. A run that pruning disconnects has the status
    `disconnected`, a failed one its error. Several studies make one table, and one summary with data sets and priors
    side by side.
    """
    import pandas as pd

    import graphtask as gt
    from graphtask.study.summary import summarize_results

    if out is not None:
        check_table_path(out)
    if runs is not None and len(sources) > 1:
        raise click.UsageError(
            "--runs applies to one study; pass the folders of several studies as arguments"
        )
    loaded = [gt.Study.read(source, out=runs, data_root=data_root, imports=imports) for source in sources]
    plans = list({plan.out: plan for plan in loaded}.values())
    tables = [plan.results(threshold=threshold, watch=_watched) for plan in plans]
    if len(plans) > 1:
        for plan, rows in zip(plans, tables, strict=True):
            rows.insert(0, "study", plan.name)
    table = pd.concat(tables, ignore_index=True)
    if summary:
        _publish(summarize_results(table), out=out, form=form, people=_mean_and_spread)
    else:
        _publish(table, out=out, form=form, people=_for_people)


def _watched(jobs: "Iterable[Job]") -> "Iterator[Job]":
    everything = list(jobs)
    with progress(visible=len(everything) > 1) as bar:
        yield from bar.track(everything, description="measuring")


def _publish(
    table: "pd.DataFrame",
    *,
    out: Path | None,
    form: str,
    people: "Callable[[pd.DataFrame], list[dict[str, Any]]]",
) -> None:
    records = records_of(table)
    if out is not None:
        write_table(records, out)
        say(f"{out}: {counted(len(records), 'row')}")
    elif form == "table":
        show(people(table), form=form)
    else:
        show(records, form=form)


def _for_people(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the rows without their texts, which are printed as messages."""
    reasons = [reason for text in table["undefined"] for reason in text.split("; ") if reason]
    errors = [f"error: {row['run']}: {row['error']}" for _, row in table.iterrows() if row["error"]]
    counts = Counter(reasons)
    messages = [*errors, *(f"{reason} ({counted(count, 'run')})" for reason, count in counts.items())]
    warn_of_each(messages, rest="; --format csv lists all")
    shown = records_of(table.drop(columns=list(_HIDDEN)).dropna(axis=1, how="all"))
    return [{name: missing_as_none(value) for name, value in record.items()} for record in shown]


def _mean_and_spread(table: "pd.DataFrame") -> list[dict[str, Any]]:
    names = [column.removesuffix("_mean") for column in table.columns if column.endswith("_mean")]
    records: list[dict[str, Any]] = []
    for _, row in table.iterrows():
        cells = {name: mean_and_spread(row[f"{name}_mean"], row[f"{name}_std"]) for name in names}
        records.append({"feature": row["feature"], **cells})
    counts = {name: int(table[f"{name}_n"].max()) for name in names}
    return [{"feature": "runs", **counts}, *records]


def _show_cost(plan: "Study", *, slots: int) -> None:
    from graphtask.study.cost import hours_in_all
    from graphtask.terminal import duration

    def watched(kinds: Iterable[Any]) -> Iterator[Any]:
        everything = list(kinds)
        with progress() as bar:
            yield from bar.track(everything, description="timing steps")

    cost = plan.cost(watch=watched)
    show([_cost_for_people(record) for record in records_of(cost)], form="table")
    n_left = int(cost["left"].sum())
    note(f"{plan.out}: {counted(len(plan.jobs), 'run')}, {n_left} of them to do")
    unknown = cost[cost["undefined"] != ""]
    for _, row in unknown[:SHOWN_MESSAGES].iterrows():
        warn(f"not in the sums: {row['dataset']}/{row['prior']}: {row['undefined'].partition(';')[0]}")
    known = cost[cost["hours_left"].notna() & (cost["left"] > 0)]
    if known.empty:
        return
    sums = [
        f"{rounded(hours)} {unit}"
        for unit, hours in known.groupby(_units(known), sort=False)["hours_left"].sum().items()
    ]
    left = duration(hours_in_all(known, slots=slots) * 3600)
    note(f"about {' and '.join(sums)}; {left} with {slots} in parallel")
    if known["source"].str.contains("step").any():
        note(
            "estimated from a few training steps on random images on the idle machine; runs that share its memory or a "
            "GPU take longer"
        )


def _units(cost: "pd.DataFrame") -> "pd.Series[str]":
    on_cpu = cost["place"].str.contains("CPU thread")
    return on_cpu.map({True: "core-hours", False: "GPU-hours"})


def _cost_for_people(record: dict[str, Any]) -> dict[str, Any]:
    from graphtask.terminal import duration

    def lasting(value: float, *, unit: float) -> str:
        return duration(value * unit) if value == value else ""  # noqa: PLR0124 - NaN

    kept = ("dataset", "prior", "runs", "left", "epochs", "images")
    return {name: missing_as_none(record[name]) for name in kept} | {
        "per epoch": lasting(record["seconds_per_epoch"], unit=1),
        "per run": lasting(record["hours_per_run"], unit=3600),
        "time left": lasting(record["hours_left"], unit=3600),
        "on": record["place"],
        "from": record["source"],
    }


def _show_status(plan: "Study", *, form: str) -> None:
    from graphtask.study.status import seconds_left, state_of
    from graphtask.terminal import duration

    table = plan.status()
    records = records_of(table)
    if form != "table":
        show(records, form=form)
        return
    show([_state_for_people(record) for record in records], form=form)
    reasons = [f"error: {row['run']}: {row['error']}" for row in records if row["error"]]
    warn_of_each(reasons, rest="; --format csv lists all")
    counts = Counter(table["status"])
    words = ", ".join(
        f"{counts[word]} {word}" for word in ("finished", "running", "waiting", "failed") if counts[word]
    )
    total = seconds_left([state_of(job) for job in plan.jobs], slots=max(counts["running"], 1))
    left = (
        "remaining time unknown before the first epoch (`study run --dry-run` estimates it)"
        if total is None
        else f"about {duration(total)} left"
    )
    note(f"{plan.out}: {counted(len(plan.jobs), 'run')}: {words}" + (f"; {left}" if total != 0 else ""))


def _settled(record: dict[str, Any]) -> str:
    """Return yes, or the change of the edges in the last epoch."""
    if record["settled"] is None:
        return ""
    return "yes" if record["settled"] else f"no, {record['edge_change']:.1%} per epoch"


def _state_for_people(record: dict[str, Any]) -> dict[str, Any]:
    from graphtask.columns import score_of, words
    from graphtask.terminal import duration

    score = score_of(record)
    left, seconds = record["seconds_left"], record["seconds_per_epoch"]
    return {
        "run": record["run"],
        "status": record["status"],
        "epoch": f"{record['epoch']}/{record['epochs']}",
        words(score): missing_as_none(record[f"test_{score}"]),
        "edges": missing_as_none(record["live_edges"]),
        "settled": _settled(record),
        "per epoch": duration(seconds) if seconds == seconds else "",  # noqa: PLR0124 - NaN
        "left": duration(left) if left > 0 else "",
    }
