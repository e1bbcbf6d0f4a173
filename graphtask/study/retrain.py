"""Retrain the pruned graphs of many runs, as a study of its own."""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.errors import ArgumentError, DisconnectedError, GraphtaskError
from graphtask.runs.labels import provenance_labels
from graphtask.runs.provenance import read_environments
from graphtask.storage.graphml import dumps
from graphtask.storage.names import file_stem
from graphtask.storage.regular import read_regular
from graphtask.study.job import Job, Prior
from graphtask.study.study import Study
from graphtask.training.config import TrainConfig
from graphtask.validation import invalid

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.training.retrain import RetrainResult
    from graphtask.training.run import Run
    from graphtask.training.run_data import RunDataCache

NAME = "retrained"

VARIANTS: Mapping[str, str] = {"same": "retrained", "fit": "retrained_fit"}
"""Name of a network that was retrained with these channels, and of its folder."""


def retrain_runs(
    runs: Iterable[str | Path] | Mapping[str, str | Path],
    *,
    out: str | Path,
    channels: Sequence[str] = ("same", "fit"),
    budget: int | None = None,
    threshold: float = 0.006,
    data_root: str | Path | None = None,
    imports: Collection[str] = (),
    n_jobs: int | None = None,
    gpus: Sequence[int] | None = None,
    jobs_per_gpu: int = 1,
    progress: bool = True,
    **options: Any,
) -> "RetrainResult":
    """Train the pruned graphs of many runs from scratch, in parallel, and compare.

    The new runs are a study in the folder ``out``: that of a run is ``<out>/<dataset>/<prior>/seed-<seed>/retrained``,
    or ``retrained_fit`` (omitted if the fitted channels are the same); the pruned graph is next to it. If the call is
    interrupted or killed, repeat it to resume. A run that cannot be opened or retrained is reported, and does not stop
    the others. A call with other runs and the same ``out`` keeps the new runs that are there, but ``study.json`` then
    lists its own only.

    Args:
        runs: Folders of finished runs; a mapping provides their names in the table.
        out: Folder of the new runs.
        channels: One or both of ``"same"`` and ``"fit"``; see `retrain`.
        budget: As in `retrain`.
        threshold: As in `retrain`.
        data_root: Folder of the named data sets now; None is that of training.
        imports: As in `Run.open`.
        n_jobs: As in `Study.run`.
        gpus: As in `Study.run`.
        jobs_per_gpu: As in `Study.run`.
        progress: Report on standard error.
        options: Options of `TrainConfig` that differ from those of the runs, by keyword. ``seed`` is that of each run
            + 1000 unless it is given, ``device`` is ``auto``, and ``threads`` is the number that the run had, so that
            times can be compared.

    Raises:
        ArgumentError: An option is out of range, or there is a budget but no ``"fit"``.
        RunError: The folder holds another study.
        RunInterruptedError: Ctrl-C or SIGTERM; the state of all runs is saved.
        GraphtaskError: No run can be used; the error of the first one.

    Example:
        >>> found = retrain_runs(["runs/full-0", "runs/full-1"], out="retrained")  # doctest: +SKIP
        >>> found.side_by_side()  # doctest: +SKIP
    """
    from graphtask.training.device import choose_device
    from graphtask.training.retrain import FIT, RetrainResult
    from graphtask.training.run_data import RunDataCache

    named = dict(runs) if isinstance(runs, Mapping) else {str(path): path for path in runs}
    unknown = [word for word in channels if word not in VARIANTS]
    if unknown or not channels:
        raise invalid("channels", '"same", "fit", or both', list(channels))
    if budget is not None and FIT not in channels:
        raise ArgumentError('budget requires "fit" among the channels')
    # Invalid options fail before anything is written.
    choose_device(TrainConfig(**options).runtime.device)
    settings = _Settings(
        channels=tuple(channels),
        budget=budget,
        threshold=threshold,
        imports=frozenset(imports),
        options={"device": "auto"} | options,
    )
    originals = RunDataCache(data_root)
    plan = _planned(named, Path(out).absolute(), settings, originals)
    failed = dict(plan.failed)
    if plan.jobs:
        study = Study(name=NAME, out=Path(out).absolute(), threshold=threshold, jobs=tuple(plan.jobs))
        report = study.run(n_jobs=n_jobs, gpus=gpus, jobs_per_gpu=jobs_per_gpu, progress=progress)
        failed |= report.failed
    table, damaged = _compared(plan, failed, settings, originals)
    return RetrainResult(table, failed | damaged)


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """Settings of all new runs."""

    channels: tuple[str, ...]
    budget: int | None
    threshold: float
    imports: frozenset[str]
    options: Mapping[str, Any]


class _Entry(NamedTuple):
    """One run, with the job of each of its new networks."""

    label: str
    folder: Path
    jobs: dict[str, Job]
    problems: dict[str, str]
    """Reasons why a network is impossible."""


@dataclass
class _Plan:
    """Jobs of all runs, and the reasons why others are impossible."""

    entries: list[_Entry] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        named = {job.name: job for entry in self.entries for job in entry.jobs.values()}
        return list(named.values())


def _planned(
    runs: Mapping[str, str | Path], out: Path, settings: _Settings, originals: "RunDataCache"
) -> _Plan:
    from graphtask.training.run import Run

    plan = _Plan()
    places: dict[Path, str] = {}
    first: GraphtaskError | None = None
    for label, folder in runs.items():
        try:
            run = Run.open(folder, imports=settings.imports)
            place = _place(run, out)
            if place in places:
                raise ArgumentError(
                    f"{folder}: its new runs would be in {place}, as those of {places[place]}; use another out"
                )
            originals.of(run)  # raises if the data are missing or have changed
            entry = _entry(label, run, place, settings, originals.root)
        except GraphtaskError as error:
            first = first or error
            plan.failed[label] = str(error)
        else:
            places[place] = str(folder)
            plan.entries.append(entry)
    if not plan.entries and first is not None:
        raise first
    return plan


def _place(run: "Run", out: Path) -> Path:
    """Return the folder of the new runs of a run; the same for any number of runs."""
    known = provenance_labels(run.graph)
    return out / file_stem(known.dataset) / file_stem(known.prior) / f"seed-{run.seed}"


def _entry(label: str, run: "Run", place: Path, settings: _Settings, data_root: str | Path | None) -> _Entry:
    from graphtask.training.retrain import channels_of, pruned_again
    from graphtask.training.run_data import with_data_root

    assert run.folder is not None
    names = [VARIANTS[word] for word in settings.channels]
    if run.config.data.source is None:
        raise ArgumentError(f"{run.folder}: was trained on arrays in memory; use retrain with data")
    try:
        pruned = pruned_again(run, threshold=settings.threshold)
    except DisconnectedError as error:
        return _Entry(label, run.folder, {}, dict.fromkeys(names, str(error)))
    path = place / f"pruned-{settings.threshold:g}.graphml"
    _write_once(path, dumps(pruned))
    jobs: dict[str, Job] = {}
    for word, name in zip(settings.channels, names, strict=True):
        channels = channels_of(run, pruned, word, budget=settings.budget if word == "fit" else None)
        # If the fitted channels are the same, so is the network: it is not trained twice.
        twin = next((job for job in jobs.values() if job.config.model.channels == channels), None)
        jobs[name] = twin or _job(
            with_data_root(run, data_root), settings, graph=path, name=name, channels=channels
        )
    return _Entry(label, run.folder, jobs, {})


def _job(run: "Run", settings: _Settings, *, graph: Path, name: str, channels: int) -> Job:
    from graphtask.training.retrain import retrain_config

    place, out = graph.parent, graph.parents[3]
    config = retrain_config(
        run, channels=channels, options={"threads": _threads_of(run)} | dict(settings.options)
    )
    return Job(
        out=out,
        label=str((place / name).relative_to(out)),
        prior=Prior(
            name=f"{provenance_labels(run.graph).prior}-{name}", kind="file", arguments={"path": str(graph)}
        ),
        config=config.replace(data_name=run.data_name),
        threshold=settings.threshold,
    )


def _write_once(path: Path, content: bytes) -> None:
    from graphtask.storage.atomic import write_atomically

    with contextlib.suppress(OSError):  # missing or larger: it is another one
        if read_regular(path, limit=len(content)) == content:
            return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(
            f"{path.parent}: cannot be created ({error.strerror}); choose another out"
        ) from error
    with write_atomically(path) as file:
        file.write(content)


def _threads_of(run: "Run") -> int:
    """Return the number of threads that the run had when it ended."""
    assert run.folder is not None
    places = read_environments(run.folder)
    return int(places[-1].get("threads", 1)) if places else 1


def _compared(
    plan: _Plan, failed: Mapping[str, str], settings: _Settings, originals: "RunDataCache"
) -> tuple["pd.DataFrame", dict[str, str]]:
    """Return the table of all networks, and the reasons for those that are damaged."""
    import pandas as pd

    tables = []
    damaged: dict[str, str] = {}
    first: GraphtaskError | None = None
    for entry in plan.entries:
        try:
            tables.append(_table(entry, {**failed, **damaged}, damaged, settings, originals))
        except GraphtaskError as error:
            first = first or error
            damaged[entry.label] = str(error)
    if not tables and first is not None:
        raise first
    return pd.concat(tables, ignore_index=True), damaged


def _table(
    entry: _Entry,
    failed: Mapping[str, str],
    damaged: dict[str, str],
    settings: _Settings,
    originals: "RunDataCache",
) -> "pd.DataFrame":
    """Return the rows of one run; new networks that cannot be opened are added to ``damaged``."""
    from graphtask.training.retrain import compare_retrained
    from graphtask.training.run import Run

    run = Run.open(entry.folder, imports=settings.imports)
    problems, found = dict(entry.problems), {}
    for name, job in entry.jobs.items():
        if job.name in failed:
            problems[name] = failed[job.name]
            continue
        try:
            found[name] = Run.open(job.folder, imports=settings.imports)
        except GraphtaskError as error:
            problems[name] = damaged[job.name] = str(error)
    table = compare_retrained(
        run,
        found,
        threshold=settings.threshold,
        data=originals.of(run),
        device=str(settings.options["device"]),
        failures=problems,
    ).table
    return table.assign(run=entry.label)
