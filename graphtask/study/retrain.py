"""Many runs pruned and trained again: a study of its own, whose initial graphs are what pruning left."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.errors import ArgumentError, DisconnectedError, GraphtaskError
from graphtask.runs.labels import origin
from graphtask.runs.provenance import read_environments
from graphtask.storage.graphml import dumps
from graphtask.study.job import Data, Job, Prior
from graphtask.study.run import local_engine, run_study
from graphtask.study.spec import Study
from graphtask.training.config import Regime

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.training.run import Run
    from graphtask.training.run_data import RunDataCache

NAME = "retrained"

VARIANTS: Mapping[str, str] = {"same": "retrained", "fit": "retrained_fit"}
"""What a network is called that was retrained with these channels; also the name of its folder."""


class Retrained(NamedTuple):
    """What came of retraining many runs."""

    table: "pd.DataFrame"
    """What `graphtask.compare_retrained` gives, for all of them."""
    failed: dict[str, str]
    """What is missing from it, run or new network, and why, in one line."""


def retrain_runs(
    runs: Iterable[str | Path] | Mapping[str, str | Path],
    *,
    out: str | Path,
    channels: Sequence[str] = ("same", "fit"),
    budget: int | None = None,
    threshold: float = 0.006,
    regime: Mapping[str, Any] | None = None,
    seed: int | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    cuda_graph: bool = True,
    jobs: int | None = None,
    gpus: Sequence[int] | None = None,
    jobs_per_gpu: int = 1,
    progress: bool = True,
) -> Retrained:
    """Train the pruned graphs of many runs again, several at a time, and compare.

    The new runs are a study in the folder ``out``: that of a run is ``<out>/<data>/<prior>/seed-<seed>/retrained``, or
    ``retrained_fit`` (unless the fitted channels are the same, which makes it the same network); beside it is the
    pruned graph. Stopped or killed, the same call goes on where everything was, and
    what is finished is opened. A run that cannot be opened or retrained costs only itself. A call with other runs and
    the same ``out`` leaves the new runs that are there, but ``study.json`` and `study_status` then know its own only.

    Args:
        runs: The folders of finished runs; as a mapping, with the names that they have in the table.
        out: Folder of the new runs.
        channels: Which networks, one or both of ``"same"`` and ``"fit"``; see `retrain`.
        budget: As in `retrain`.
        threshold: As in `retrain`.
        regime: What is to be another than in the runs, as names and values of `Regime`; None is nothing.
        seed: Of all new runs; None is that of each run + 1000.
        data_root: As in `retrain`.
        device: As in `train`.
        threads: CPU threads of each new run; None is as many as the run had, so that times can be compared.
        cuda_graph: As in `train`.
        jobs: As in `run_study`.
        gpus: As in `run_study`.
        jobs_per_gpu: As in `run_study`.
        progress: Whether to report on standard error.

    Raises:
        ArgumentError: An option is outside its range, or a budget is given and no channels are fitted to it.
        RunError: The folder holds another study.
        RunInterruptedError: Ctrl-C or SIGTERM; the state of all runs is saved.
        GraphtaskError: What was wrong with the first run, if none can be used.

    Example:
        >>> import graphtask as gt
        >>> found = gt.retrain_runs(["runs/full-0", "runs/full-1"], out="retrained")  # doctest: +SKIP
        >>> gt.retraining_table(found.table)  # doctest: +SKIP
    """
    from graphtask.training.device import choose_device
    from graphtask.training.retrain import FIT
    from graphtask.training.run_data import RunDataCache

    named = dict(runs) if isinstance(runs, Mapping) else {str(path): path for path in runs}
    unknown = [word for word in channels if word not in VARIANTS]
    if unknown or not channels:
        raise ArgumentError(
            f"channels are {', '.join(map(repr, channels)) or 'none'}; use same, fit, or both"
        )
    if budget is not None and FIT not in channels:
        raise ArgumentError('a budget needs "fit" among the channels: they follow from it')
    # What cannot be is said before anything is written.
    Regime(**(regime or {}))
    choose_device(device)
    options = _Options(
        channels=tuple(channels),
        budget=budget,
        threshold=threshold,
        regime=regime or {},
        seed=seed,
        device=device,
        threads=threads,
        cuda_graph=cuda_graph,
    )
    originals = RunDataCache(data_root)
    plan = _planned(named, Path(out).absolute(), options, originals)
    failed = dict(plan.failed)
    if plan.jobs:
        study = Study(name=NAME, out=Path(out).absolute(), threshold=threshold, jobs=tuple(plan.jobs))
        engine = local_engine(study, jobs=jobs, gpus=gpus, jobs_per_gpu=jobs_per_gpu)
        failed |= run_study(study, engine=engine, progress=progress).failed
    table, damaged = _compared(plan, failed, options, originals)
    return Retrained(table, failed | damaged)


@dataclass(frozen=True, kw_only=True)
class _Options:
    """How all runs are retrained."""

    channels: tuple[str, ...]
    budget: int | None
    threshold: float
    regime: Mapping[str, Any]
    seed: int | None
    device: str
    threads: int | None
    cuda_graph: bool


class _Entry(NamedTuple):
    """One run, with the job of each of its new networks."""

    label: str
    folder: Path
    jobs: dict[str, Job]
    problems: dict[str, str]
    """Networks that cannot be, and why."""


@dataclass
class _Plan:
    """What is to be done for all runs, and what cannot be."""

    entries: list[_Entry] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        named = {job.name: job for entry in self.entries for job in entry.jobs.values()}
        return list(named.values())


def _planned(
    runs: Mapping[str, str | Path], out: Path, options: _Options, originals: "RunDataCache"
) -> _Plan:
    from graphtask.training.run import open_run

    plan = _Plan()
    places: dict[Path, str] = {}
    first: GraphtaskError | None = None
    for label, folder in runs.items():
        try:
            run = open_run(folder)
            place = _place(run, out)
            if place in places:
                raise ArgumentError(
                    f"{folder}: its new runs would be in {place}, as those of {places[place]}; use another out"
                )
            originals.of(run)  # complains if the data are not there, or not what they were
            entry = _entry(label, run, place, options, originals.root)
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
    """The folder of the new runs of a run; the same however many runs are asked for."""
    known = origin(run.graph)
    parts = [str(part).replace("/", "-") or "unknown" for part in (known.data, known.prior)]
    return out.joinpath(*parts, f"seed-{known.seed}")


def _entry(label: str, run: "Run", place: Path, options: _Options, data_root: str | Path | None) -> _Entry:
    from graphtask.training.retrain import channels_of, pruned_again
    from graphtask.training.run_data import with_data_root

    assert run.folder is not None
    names = [VARIANTS[word] for word in options.channels]
    source = with_data_root(run, data_root).config["data"]
    if source["source"] is None:
        raise ArgumentError(f"{run.folder}: was trained on arrays in memory; use retrain with data")
    try:
        pruned = pruned_again(run, threshold=options.threshold)
    except DisconnectedError as error:
        return _Entry(label, run.folder, {}, dict.fromkeys(names, str(error)))
    path = place / f"pruned-{options.threshold:g}.graphml"
    _write_once(path, dumps(pruned))
    jobs: dict[str, Job] = {}
    for word, name in zip(options.channels, names, strict=True):
        channels = channels_of(run, pruned, word, budget=options.budget if word == "fit" else None)
        # The fitted channels may be the same ones, and the network, too: it is not trained twice.
        twin = next((job for job in jobs.values() if job.channels == channels), None)
        jobs[name] = twin or _job(run, source, options, graph=path, name=name, channels=channels)
    return _Entry(label, run.folder, jobs, {})


def _job(
    run: "Run", source: Mapping[str, Any], options: _Options, *, graph: Path, name: str, channels: int
) -> Job:
    from graphtask.training.retrain import another_seed

    place, out = graph.parent, graph.parents[3]
    return Job(
        out=out,
        label=str((place / name).relative_to(out)),
        data=Data(
            name=source["name"],
            source=source["source"],
            root=source["root"],
            transforms=tuple(source["transforms"]),
            seed=source["seed"],
        ),
        prior=Prior(name=f"{origin(run.graph).prior}-{name}", kind="file", arguments={"path": str(graph)}),
        seed=another_seed(run) if options.seed is None else options.seed,
        channels=channels,
        regime=replace(Regime(**run.config["regime"]), **options.regime),
        gate=run.config["gate"],
        precision=run.config["precision"],
        execution=run.config["execution"],
        cuda_graph=options.cuda_graph,
        device=options.device,
        fresh=True,
        threads=options.threads or _threads_of(run),
        threshold=options.threshold,
    )


def _write_once(path: Path, content: bytes) -> None:
    from graphtask.storage.atomic import write_atomically

    if path.is_file() and path.read_bytes() == content:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(
            f"{path.parent}: cannot be made ({error.strerror}); choose another out"
        ) from error
    with write_atomically(path) as file:
        file.write(content)


def _threads_of(run: "Run") -> int:
    """As many threads as the run had when it ended."""
    assert run.folder is not None
    places = read_environments(run.folder)
    return int(places[-1].get("threads", 1)) if places else 1


def _compared(
    plan: _Plan, failed: Mapping[str, str], options: _Options, originals: "RunDataCache"
) -> tuple["pd.DataFrame", dict[str, str]]:
    """The table of all networks, and which of them, run or new network, are damaged by now, and why."""
    import pandas as pd

    tables = []
    damaged: dict[str, str] = {}
    first: GraphtaskError | None = None
    for entry in plan.entries:
        try:
            tables.append(_table(entry, {**failed, **damaged}, damaged, options, originals))
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
    options: _Options,
    originals: "RunDataCache",
) -> "pd.DataFrame":
    """The rows of one run; new networks that cannot be opened any more are added to ``damaged``."""
    from graphtask.training.retrained import compare_retrained
    from graphtask.training.run import open_run

    run = open_run(entry.folder)
    problems, found = dict(entry.problems), {}
    for name, job in entry.jobs.items():
        if job.name in failed:
            problems[name] = failed[job.name]
            continue
        try:
            found[name] = open_run(job.folder)
        except GraphtaskError as error:
            problems[name] = damaged[job.name] = str(error)
    table = compare_retrained(
        run,
        found,
        threshold=options.threshold,
        data=originals.of(run),
        device=options.device,
        failures=problems,
    )
    return table.assign(run=entry.label)
