"""What came of a study: one table with a row for each run, and one of how far the runs are."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.errors import DataError, GraphtaskError
from graphtask.metrics.registry import select
from graphtask.metrics.table import UNDEFINED
from graphtask.metrics.view import Options
from graphtask.runs.outcome import Row
from graphtask.study.job import Job
from graphtask.study.outcome import known_outcome, record_outcome
from graphtask.study.spec import Study, load_study
from graphtask.study.status import State, seconds_left, state_of
from graphtask.training.config import DataConfig

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.data.dataset import ImageData

ORIGINS = ("data", "prior", "seed", "status", "error", "threshold")
TRAINING = (
    "test_accuracy",
    "accuracy_pruned",
    "seconds_per_epoch",
    "epochs",
    "live_edges",
    "critical_threshold",
)
RUN = "run"
DISCONNECTED = "disconnected"


def study_results(
    study: Study | str | Path | Mapping[str, Any],
    *,
    threshold: float | None = None,
    watch: Callable[[Iterable[Job]], Iterable[Job]] = iter,
) -> "pd.DataFrame":
    """One row for each run of a study, in the order of data sets, priors and seeds.

    ==========================  ====================================================================================
    column                      content
    ==========================  ====================================================================================
    data, prior, seed           which run it is
    status                      ``finished``; ``disconnected``: finished, but pruning leaves no path; ``running``,
                                ``waiting``, ``failed``
    error                       why it failed
    threshold                   at which it was pruned
    test_accuracy               of the trained network, in [0, 1]
    accuracy_pruned             of the pruned network, as `parity` gives it
    seconds_per_epoch           median
    epochs, live_edges          of training
    critical_threshold          the largest threshold that leaves input and output connected
    sparsity … q1d              the metrics of the paper, of the pruned graph
    undefined                   why values are missing
    run                         the run folder, relative to that of the study
    ==========================  ====================================================================================

    A run that is not finished has no results. What is computed is remembered in the run folders (``outcome.json``).

    Args:
        study: A study, or what `load_study` makes one of.
        threshold: Another threshold than that of the study.
        watch: Is handed the jobs, and hands them on as they are dealt with; for progress.

    Example:
        >>> import graphtask as gt
        >>> study = gt.load_study(
        ...     {"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": "no/such"}
        ... )
        >>> gt.study_results(study)[["data", "prior", "seed", "status"]].values.tolist()
        [['cdigits', 'full', 0, 'waiting']]
    """
    if not isinstance(study, Study):
        study = load_study(study)
    level = study.threshold if threshold is None else float(threshold)
    jobs = [replace(job, threshold=level) for job in _by_name(study.jobs)]
    images = lru_cache(maxsize=1)(_images)
    return _frame([_row(job, images) for job in watch(jobs)])


def study_status(study: Study | str | Path | Mapping[str, Any]) -> "pd.DataFrame":
    """How far every run of a study is, as the run folders tell: one row for each, in the order of their turn.

    The columns are ``run``, ``state`` (waiting, running, finished, failed), ``epoch`` (complete ones), ``epochs``,
    ``test_accuracy``, ``live_edges``, ``seconds_per_epoch``, ``seconds_left`` (NaN if nothing tells) and ``reason``
    (why it failed). A run that was stopped half-way is waiting.

    Example:
        >>> import graphtask as gt
        >>> study = gt.load_study(
        ...     {"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": "no/such"}
        ... )
        >>> gt.study_status(study)[["run", "state", "epoch", "epochs"]].values.tolist()
        [['cdigits/full/seed-0', 'waiting', 0, 100]]
    """
    import pandas as pd

    if not isinstance(study, Study):
        study = load_study(study)
    states = [state_of(job) for job in study.jobs]
    return pd.DataFrame([_status(state, states) for state in states])


def _status(state: State, states: Sequence[State]) -> Row:
    # The others only tell how long an epoch is.
    left = seconds_left([state, *(other._replace(word="finished") for other in states)], slots=1)
    return {
        RUN: state.job.name,
        "state": state.word,
        "epoch": state.epoch,
        "epochs": state.job.config.optimization.epochs,
        "test_accuracy": math.nan if state.test_accuracy is None else state.test_accuracy,
        "live_edges": math.nan if state.live_edges is None else state.live_edges,
        "seconds_per_epoch": math.nan if state.seconds_per_epoch is None else state.seconds_per_epoch,
        "seconds_left": math.nan if left is None or state.word == "failed" else left,
        "reason": state.reason,
    }


def _by_name(jobs: Sequence[Job]) -> list[Job]:
    """All seeds of a prior on a data set together; data sets and priors in the order of the study."""
    data = list(dict.fromkeys(job.data_name for job in jobs))
    priors = list(dict.fromkeys(job.prior.name for job in jobs))
    return sorted(jobs, key=lambda job: (data.index(job.data_name), priors.index(job.prior.name), job.seed))


def _row(job: Job, images: Callable[[DataConfig], "ImageData"]) -> Row:
    state = state_of(job)
    row: Row = {"data": job.data_name, "prior": job.prior.name, "seed": job.seed, "status": state.word}
    row |= {"error": state.reason, "threshold": job.threshold}
    if state.word == "finished":
        try:
            row |= _outcome(job, images)
        except (GraphtaskError, OSError) as error:
            row |= {"status": "failed", "error": " ".join(str(error).split())}
        if "edges" not in row and row["status"] == "finished":
            row["status"] = DISCONNECTED
    return row | {RUN: job.name}


def _outcome(job: Job, images: Callable[[DataConfig], "ImageData"]) -> Row:
    known = known_outcome(job)
    if known is not None:
        return known
    from graphtask.training.run import Run

    run = Run.open(job.folder)
    found = images(job.data)
    if found.fingerprint != run.record["data_fingerprint"]:
        raise DataError(f"{job.folder}: was trained on other data than {job.data_source} holds now")
    return record_outcome(run, job, images=found)


def _images(data: DataConfig) -> "ImageData":
    from graphtask.data.catalog import load_data

    return load_data(
        data.source, root=data.root, download=data.download, transforms=data.transforms, seed=data.seed
    )


def _frame(rows: list[Row]) -> "pd.DataFrame":
    import pandas as pd

    selection = select("paper", options=Options())
    named = {name for row in rows for name in row}
    stages = {int(name.rpartition("_")[2]) for name in named if name.startswith("nodes_stage_")}
    metrics = (
        [name for name in selection.columns(stages) if name in named] if stages else selection.columns([])
    )
    for row in rows:
        missing = [name for name in metrics if "edges" in row and name not in row]
        reasons = [row.get(UNDEFINED, ""), *(f"{name}: the graph has no such stage" for name in missing)]
        row[UNDEFINED] = "; ".join(filter(None, reasons))
    columns = [*ORIGINS, *TRAINING, *metrics, UNDEFINED, RUN]
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in columns}, columns=columns)


def _column(values: list[Any]) -> list[Any]:
    """Whole numbers and flags stay what they are unless some are missing; then they become floats with NaN."""
    if all(value is not None for value in values) and not any(isinstance(value, float) for value in values):
        return values
    return [math.nan if value is None else float(value) for value in values]
