"""``graphtask study``: many runs from one file, how far they are, and what came of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask.validation import counted
from graphtask_cli.options import examples, format_option, out_option, read_gpus, threshold_option
from graphtask_cli.output import (
    check_table_path,
    mean_and_spread,
    note,
    progress,
    proposal,
    records_of,
    rounded,
    show,
    write_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.study.engines.protocol import Engine
    from graphtask.study.job import Job
    from graphtask.study.spec import Study

_HIDDEN = ("error", "undefined", "run", "threshold")  # said beside the table, or known to whoever reads it
_SHOWN_NOTES = 10


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the runs and the data of a study are."""
    for decorator in (
        click.option(
            "--data-root", type=click.Path(path_type=Path), metavar="FOLDER", help="Where the data sets lie."
        ),
        click.option("--runs", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of all runs."),
    ):
        command = decorator(command)
    return command


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The study, and where its runs and its data are."""
    source = click.argument("source", type=click.Path(path_type=Path), metavar="FILE|FOLDER")
    return source(place_options(command))


@click.group(
    epilog=examples(
        "graphtask study run studies/digits.toml --dry-run",
        "graphtask study run studies/digits.toml",
        "graphtask study status studies/digits.toml",
        "graphtask study results studies/digits.toml -o digits.csv",
    )
)
def study() -> None:
    """Many runs from one file: data sets × priors × seeds.

    A study is a TOML file, or the folder that its runs are in. The run of a data set, a prior and a seed is the folder
    <runs>/<data>/<prior>/seed-<seed>, the same as `graphtask train` makes.
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
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Processes on this machine, or a Ray cluster (pip install 'graphtask-nn[ray]').",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Runs at a time on the CPU, or on the cluster.  [default: as many as there are cores for their threads, or as "
    "fit on the cluster]",
)
@click.option(
    "--threads",
    "--cpus-per-run",
    "threads",
    type=click.IntRange(min=1),
    help="CPU threads of a run; on a cluster also the CPUs that it takes.  [default: as the study says]",
)
@click.option(
    "--gpus",
    callback=read_gpus,
    metavar="0,1…",
    help="GPUs of this machine to use.  [default: all, unless the study says cpu]",
)
@click.option("--jobs-per-gpu", type=click.IntRange(min=1), help="Runs at a time on a GPU.  [default: 1]")
@click.option(
    "--address",
    metavar="auto|HOST:PORT|ray://HOST:10001",
    help="Of the Ray cluster.  [default: auto, the one that this machine belongs to]",
)
@click.option(
    "--gpus-per-run",
    type=click.FloatRange(min=0),
    help="GPUs, or the share of one, that a run takes on the cluster.  [default: 1, unless the study says cpu]",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="How often in a row a run is begun again, at most, whose process was killed before it had a new checkpoint.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what there is to do and how long it will take, from a few steps of each network.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def run(
    source: Path,
    *,
    runs: Path | None,
    data_root: Path | None,
    threads: int | None,
    retries: int,
    dry_run: bool,
    quiet: bool,
    **places: Any,
) -> None:
    """Train every run of a study that is not finished.

    A run that fails costs only itself, and is listed at the end; the exit code is then 1. Stopped at any moment, by
    Ctrl-C or otherwise, the same command goes on where everything was. The command may be started several times, on
    machines that share the folder too: no run is trained twice.
    """
    import graphtask as gt

    plan = gt.load_study(source, out=runs, data_root=data_root, threads=threads)
    engine = _engine(plan, **places)
    if dry_run:
        plan.check_out()
        _show_cost(plan, slots=engine.slots())
        return
    report = gt.run_study(plan, engine=engine, retries=retries, progress=not quiet)
    for name, reason in report.failed.items():
        note(f"error: {name}: {reason}")
    click.echo(f"{plan.out}: {report.n_finished} of {counted(len(plan.jobs), 'run')} finished")
    if report.n_finished:
        click.echo(f"next: {proposal('study', 'results', plan.out)}")
    if report.failed:
        raise click.exceptions.Exit(1)


_OTHER = {
    "local": ("address", "gpus_per_run"),
    "ray": ("gpus", "jobs_per_gpu"),
}  # options of the other engine


def _engine(plan: "Study", *, engine_name: str, jobs: int | None, **options: Any) -> "Engine":
    """Where the runs are done."""
    from graphtask.study.engines.ray import RayEngine
    from graphtask.study.run import local_engine

    for name in _OTHER[engine_name]:
        if options[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with --engine {engine_name}")
    if engine_name == "local":
        return local_engine(plan, jobs=jobs, gpus=options["gpus"], jobs_per_gpu=options["jobs_per_gpu"] or 1)
    address = options["address"] or "auto"
    return RayEngine(plan, address=address, gpus_per_run=options["gpus_per_run"], jobs=jobs)


@study.command(epilog=examples("graphtask study status studies/digits.toml"))
@study_options
@format_option
def status(source: Path, *, runs: Path | None, data_root: Path | None, form: str) -> None:
    """How far every run is, without disturbing any.

    A run that was stopped half-way is waiting, with the epochs that it has behind it. Times left are those of one run
    alone: by its own epochs so far, else by those of runs like it.
    """
    import graphtask as gt

    _show_status(gt.load_study(source, out=runs, data_root=data_root), form=form)


@study.command(
    epilog=examples(
        "graphtask study results studies/digits.toml",
        "graphtask study results runs/digits --summary",
        "graphtask study results studies/paper.toml studies/paper-banded.toml --summary",
        "graphtask study results studies/digits.toml --threshold 0.01 -o digits.parquet",
    )
)
@click.argument("sources", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE|FOLDER…")
@place_options
@threshold_option(default=None, text="Prune at this threshold instead of that of the study.")
@click.option(
    "--summary",
    is_flag=True,
    help="Mean and standard deviation over seeds, in the rows of the paper's tables.",
)
@out_option(text="Write the table to a .csv, .json or .parquet file instead of printing it.")
@format_option
def results(
    sources: tuple[Path, ...],
    *,
    runs: Path | None,
    out: Path | None,
    data_root: Path | None,
    threshold: float | None,
    summary: bool,
    form: str,
) -> None:
    """One row for each run: accuracies, time, and the metrics of the pruned graph.

    What is computed is remembered in the run folders, so that the second time is fast. A run that pruning disconnects
    has the status `disconnected`, and a failed one its error. Several studies make one table, and one summary: data
    sets and priors side by side.
    """
    import pandas as pd

    import graphtask as gt

    if out is not None:
        check_table_path(out)
    if runs is not None and len(sources) > 1:
        raise click.UsageError("--runs is the folder of one study; name the folders of several in its place")
    loaded = [gt.load_study(source, out=runs, data_root=data_root) for source in sources]
    plans = list({plan.out: plan for plan in loaded}.values())
    tables = [gt.study_results(plan, threshold=threshold, watch=_watched) for plan in plans]
    if len(plans) > 1:
        for plan, rows in zip(plans, tables, strict=True):
            rows.insert(0, "study", plan.name)
    table = pd.concat(tables, ignore_index=True)
    if summary:
        _publish(gt.study_summary(table), out=out, form=form, people=_mean_and_spread)
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
        click.echo(f"{out}: {counted(len(records), 'row')}")
    elif form == "table":
        show(people(table), form=form)
    else:
        show(records, form=form)


def _for_people(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """The table without its texts, which are said beside it."""
    reasons = [reason for text in table["undefined"] for reason in text.split("; ") if reason]
    errors = [f"error: {row['run']}: {row['error']}" for _, row in table.iterrows() if row["error"]]
    counts = Counter(reasons)
    messages = [*errors, *(f"{reason} ({counted(count, 'run')})" for reason, count in counts.items())]
    _say_some(messages)
    shown = records_of(table.drop(columns=list(_HIDDEN)).dropna(axis=1, how="all"))
    return [{name: _or_nothing(value) for name, value in record.items()} for record in shown]


def _say_some(messages: list[str]) -> None:
    for message in messages[:_SHOWN_NOTES]:
        note(message)
    if len(messages) > _SHOWN_NOTES:
        note(f"… and {len(messages) - _SHOWN_NOTES} more; --format csv has them all")


def _mean_and_spread(table: "pd.DataFrame") -> list[dict[str, Any]]:
    names = [column.removesuffix("_mean") for column in table.columns if column.endswith("_mean")]
    records: list[dict[str, Any]] = []
    for _, row in table.iterrows():
        cells = {name: mean_and_spread(row[f"{name}_mean"], row[f"{name}_std"]) for name in names}
        records.append({"feature": row["feature"], **cells})
    counts = {name: int(table[f"{name}_n"].max()) for name in names}
    return [{"feature": "runs", **counts}, *records]


def _show_cost(plan: "Study", *, slots: int) -> None:
    import graphtask as gt
    from graphtask.study.cost import hours_in_all
    from graphtask.study.progress import duration

    def watched(kinds: Iterable[Any]) -> Iterator[Any]:
        everything = list(kinds)
        with progress() as bar:
            yield from bar.track(everything, description="trying out steps")

    cost = gt.study_cost(plan, watch=watched)
    show([_cost_for_people(record) for record in records_of(cost)], form="table")
    n_left = int(cost["left"].sum())
    note(f"{plan.out}: {counted(len(plan.jobs), 'run')}, {n_left} of them to do")
    unknown = cost[cost["undefined"] != ""]
    for _, row in unknown[:_SHOWN_NOTES].iterrows():
        note(f"not in the sums: {row['data']}/{row['prior']}: {row['undefined'].partition(';')[0]}")
    known = cost[cost["hours_left"].notna() & (cost["left"] > 0)]
    if known.empty:
        return
    sums = [
        f"{rounded(hours)} {unit}"
        for unit, hours in known.groupby(_units(known), sort=False)["hours_left"].sum().items()
    ]
    left = duration(hours_in_all(known, slots=slots) * 3600)
    note(f"about {' and '.join(sums)}; {left} with {slots} at a time")
    if known["source"].str.contains("step").any():
        note(
            "an estimate from a few training steps on made-up images, with nothing else beside them on this machine; "
            "runs that share its memory or a GPU take longer"
        )


def _units(cost: "pd.DataFrame") -> "pd.Series[str]":
    on_cpu = cost["place"].str.contains("CPU thread")
    return on_cpu.map({True: "core-hours", False: "GPU-hours"})


def _cost_for_people(record: dict[str, Any]) -> dict[str, Any]:
    kept = ("data", "prior", "runs", "left", "epochs", "images")
    short = {"seconds_per_epoch": "s/epoch", "hours_per_run": "h/run", "hours_left": "h left"}
    shown = {name: _or_nothing(record[name]) for name in kept}
    shown |= {words: _or_nothing(record[name]) for name, words in short.items()}
    return shown | {"on": record["place"], "from": record["source"]}


def _show_status(plan: "Study", *, form: str) -> None:
    import graphtask as gt
    from graphtask.study.progress import duration
    from graphtask.study.status import seconds_left, state_of

    table = gt.study_status(plan)
    records = records_of(table)
    if form != "table":
        show(records, form=form)
        return
    show([_state_for_people(record) for record in records], form=form)
    _say_some([f"error: {row['run']}: {row['reason']}" for row in records if row["reason"]])
    counts = Counter(table["state"])
    words = ", ".join(
        f"{counts[word]} {word}" for word in ("finished", "running", "waiting", "failed") if counts[word]
    )
    total = seconds_left([state_of(job) for job in plan.jobs], slots=max(counts["running"], 1))
    left = (
        "no epoch tells how long the rest will take (study run --dry-run tries a few steps)"
        if total is None
        else f"about {duration(total)} left"
    )
    note(f"{plan.out}: {counted(len(plan.jobs), 'run')}: {words}" + (f"; {left}" if total != 0 else ""))


def _state_for_people(record: dict[str, Any]) -> dict[str, Any]:
    from graphtask.study.progress import duration

    left = record["seconds_left"]
    return {
        "run": record["run"],
        "state": record["state"],
        "epoch": f"{record['epoch']}/{record['epochs']}",
        "accuracy": _or_nothing(record["test_accuracy"]),
        "edges": _or_nothing(record["live_edges"]),
        "s/epoch": _or_nothing(record["seconds_per_epoch"]),
        "left": duration(left) if left > 0 else "",
    }


def _or_nothing(value: Any) -> Any:
    """The value; None if it is NaN."""
    return value if value == value else None  # noqa: PLR0124
