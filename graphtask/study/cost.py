"""Estimate the time of a study; before its first epoch, from a few steps of each of its networks."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.columns import typed_table
from graphtask.data.extent import Extent, extent_of
from graphtask.errors import GraphtaskError
from graphtask.study.job import Job
from graphtask.study.status import State, state_of
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd

_TEST_SHARE = 1 / 3  # of the time of a training image: forward pass only
_COLUMNS = (
    *(
        "dataset",
        "prior",
        "runs",
        "left",
        "epochs",
        "images",
        "seconds_per_epoch",
        "hours_per_run",
        "hours_left",
    ),
    *("longest", "threads", "place", "source", "undefined"),
)


class _Length(NamedTuple):
    """Length of an epoch, and its source."""

    seconds: float
    source: str
    problem: str = ""


def cost_table(
    jobs: Sequence[Job], *, watch: Callable[[Iterable[Any]], Iterable[Any]] = iter
) -> "pd.DataFrame":
    """Return one row per data set and prior; see `graphtask.Study.cost`."""
    groups: dict[tuple[str, str], list[State]] = {}
    for job in jobs:
        groups.setdefault((job.data_name, job.prior.name), []).append(state_of(job))
    timed: dict[str, _Length] = {}
    rows = [_row(states, timed) for states in watch(list(groups.values()))]
    return typed_table(rows, columns=_COLUMNS)


def hours_in_all(cost: "pd.DataFrame", *, slots: int) -> float:
    """Return the hours until all runs are finished, ``slots`` in parallel; NaN if a row is unknown.

    Args:
        cost: Result of `cost_table`.
        slots: Runs in parallel, at least 1; assumed not to slow each other down.
    """
    left = cost[cost["left"] > 0]
    if left["hours_left"].isna().any():
        return math.nan
    # Runs are not divided: the longest one bounds the end, too.
    return max(float(left["hours_left"].sum()) / slots, float(left["longest"].max()) if len(left) else 0.0)


def _row(states: Sequence[State], timed: dict[str, _Length]) -> dict[str, Any]:
    job = states[0].job
    ahead = [job.config.optimization.epochs - state.epoch for state in states if state.word != "finished"]
    extent, problem = _extent(job)
    length = _known(states) or _from_steps(job, extent, problem, timed)
    test = _TEST_SHARE * extent.n_test / extent.n_train if extent else 0.0
    hours = length.seconds * (1 + test) / 3600
    return {
        "dataset": job.data_name,
        "prior": job.prior.name,
        "runs": len(states),
        "left": len(ahead),
        "epochs": job.config.optimization.epochs,
        "images": extent.n_train if extent else None,
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
        return extent_of(job.data_source, transforms=job.data.transforms, targets=job.data.targets), ""
    except GraphtaskError as error:
        return None, str(error)


def _known(states: Sequence[State]) -> _Length | None:
    """Return the length from complete epochs of the runs; None if there are none."""
    seconds = [state.seconds_per_epoch for state in states if state.seconds_per_epoch is not None]
    return _Length(math.fsum(seconds) / len(seconds), "epochs of its runs") if seconds else None


def _from_steps(job: Job, extent: Extent | None, problem: str, timed: dict[str, _Length]) -> _Length:
    """Return the length from a few steps; those of the same network are timed once."""
    from graphtask.study.probe import seconds_per_step

    if extent is None:
        return _Length(math.nan, "", problem)
    key = _network(job, extent)
    if key not in timed:
        try:
            seconds, n_steps = seconds_per_step(job, extent)
        except (
            GraphtaskError,
            RuntimeError,
            MemoryError,
        ) as error:  # of PyTorch, if memory is too small
            timed[key] = _Length(math.nan, "", " ".join(str(error).split())[:200])
        else:
            timed[key] = _Length(seconds, counted(n_steps, "step"))
    step = timed[key]
    return step._replace(seconds=step.seconds * extent.n_train / job.config.optimization.batch_size)


def _network(job: Job, extent: Extent) -> str:
    """Return a key that is equal for jobs whose steps take the same time."""
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
