"""What a study will cost, told before its first epoch: a few steps of each of its networks are tried out."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.data.extent import Extent, extent_of
from graphtask.errors import GraphtaskError
from graphtask.study.job import Job
from graphtask.study.spec import Study, load_study
from graphtask.study.status import State, state_of
from graphtask.validation import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

_TEST_SHARE = 1 / 3  # of the time of a training image that a test image takes: forwards only


class _Length(NamedTuple):
    """How long an epoch takes, and how that is known."""

    seconds: float
    source: str
    problem: str = ""


def study_cost(
    study: "Study | str | Path | Mapping[str, Any]",
    *,
    watch: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> "pd.DataFrame":
    """How long what is left of a study will take: one row for each data set and prior.

    ==========================  ====================================================================================
    column                      content
    ==========================  ====================================================================================
    data, prior                 which runs
    runs, left                  how many there are, and how many are not finished
    epochs                      of each
    images                      training images, NaN if not known
    seconds_per_epoch           of training, without the test
    hours_per_run               tests included
    hours_left                  of all runs that are left, one after the other; begun ones count with the rest of them
    longest                     hours that the longest of them takes
    threads, place              CPU threads of a run, and where it would run here
    source                      what tells: ``epochs of its runs``, or so many ``steps`` on made-up images
    undefined                   why values are missing
    ==========================  ====================================================================================

    Where runs have epochs behind them, the mean over the runs of their medians tells. Otherwise a few training steps of
    each different network are timed, on this machine, one after the other, with nothing else beside them: that takes a
    few seconds each. The data need not be there, if they are of the catalog. A test image is taken to cost a third of
    a training image.

    Args:
        study: A study, or what `load_study` makes one of.
        watch: Is handed the kinds of runs, and hands them on as they are dealt with; for progress.

    Example:
        >>> import graphtask as gt
        >>> study = {
        ...     "priors": {"full": {"nodes": 3}},
        ...     "data": {"cdigits": {}},
        ...     "channels": 1,
        ...     "epochs": 2,
        ...     "batch_size": 719,
        ... }
        >>> cost = gt.study_cost(study)
        >>> cost[["data", "prior", "runs", "left", "epochs", "images"]].values.tolist()
        [['cdigits', 'full', 1, 1, 2, 1438]]
    """
    import pandas as pd

    if not isinstance(study, Study):
        study = load_study(study)
    groups: dict[tuple[str, str], list[State]] = {}
    for job in study.jobs:
        groups.setdefault((job.data_name, job.prior.name), []).append(state_of(job))
    tried: dict[str, _Length] = {}
    return pd.DataFrame([_row(states, tried) for states in watch(list(groups.values()))])


def hours_in_all(cost: "pd.DataFrame", *, slots: int) -> float:
    """Hours until everything is done, ``slots`` runs at a time; NaN if a row is not known.

    Args:
        cost: What `study_cost` gave.
        slots: Runs at a time, at least 1; taken not to slow each other down.
    """
    left = cost[cost["left"] > 0]
    if left["hours_left"].isna().any():
        return math.nan
    # Runs are not divided: the longest one bounds the end, too.
    return max(float(left["hours_left"].sum()) / slots, float(left["longest"].max()) if len(left) else 0.0)


def _row(states: Sequence[State], tried: dict[str, _Length]) -> dict[str, Any]:
    job = states[0].job
    ahead = [job.config.optimization.epochs - state.epoch for state in states if state.word != "finished"]
    extent, problem = _extent(job)
    length = _known(states) or _tried(job, extent, problem, tried)
    test = _TEST_SHARE * extent.n_test / extent.n_train if extent else 0.0
    hours = length.seconds * (1 + test) / 3600
    return {
        "data": job.data_name,
        "prior": job.prior.name,
        "runs": len(states),
        "left": len(ahead),
        "epochs": job.config.optimization.epochs,
        "images": extent.n_train if extent else math.nan,
        "seconds_per_epoch": length.seconds,
        "hours_per_run": hours * job.config.optimization.epochs,
        "hours_left": hours * sum(ahead) if ahead else 0.0,
        "longest": hours * max(ahead) if ahead else 0.0,
        "threads": job.threads,
        "place": _place(job),
        "source": length.source,
        "undefined": length.problem,
    }


def _extent(job: Job) -> tuple[Extent | None, str]:
    try:
        return extent_of(job.data_source, transforms=job.data.transforms), ""
    except GraphtaskError as error:
        return None, str(error)


def _known(states: Sequence[State]) -> _Length | None:
    """What the epochs tell that the runs have behind them."""
    seconds = [state.seconds_per_epoch for state in states if state.seconds_per_epoch is not None]
    return _Length(math.fsum(seconds) / len(seconds), "epochs of its runs") if seconds else None


def _tried(job: Job, extent: Extent | None, problem: str, tried: dict[str, _Length]) -> _Length:
    """What a few steps tell; those of the same network are not tried out twice."""
    from graphtask.study.probe import seconds_per_step

    if extent is None:
        return _Length(math.nan, "", problem)
    key = _network(job, extent)
    if key not in tried:
        try:
            seconds, n_steps = seconds_per_step(job, extent)
        except (
            GraphtaskError,
            RuntimeError,
            MemoryError,
        ) as error:  # PyTorch's, of a memory that is too small
            tried[key] = _Length(math.nan, "", " ".join(str(error).split())[:200])
        else:
            tried[key] = _Length(seconds, counted(n_steps, "step"))
    step = tried[key]
    return step._replace(seconds=step.seconds * extent.n_train / job.config.optimization.batch_size)


def _network(job: Job, extent: Extent) -> str:
    """What two jobs have in common whose steps take the same time."""
    options = (
        job.config.model, job.config.runtime
    )  # fmt: skip
    shape = (extent.size, extent.in_channels, extent.n_classes, job.config.optimization.batch_size)
    return repr((sorted(asdict(job.prior).items()), options, shape))


def _place(job: Job) -> str:
    from graphtask.study.probe import place_of

    try:
        return place_of(job)
    except GraphtaskError as error:
        return str(error)
