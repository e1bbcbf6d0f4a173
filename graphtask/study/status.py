"""Progress of the runs of a study, read from their folders; without PyTorch, and without disturbing them."""

import contextlib
import csv
import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from graphtask.columns import ACCURACY, TASK_SCORES, score_of, typed_table
from graphtask.errors import GraphtaskError, RunError
from graphtask.named import is_code_name
from graphtask.runs.config import check_same_run, is_extension, read_config
from graphtask.runs.layout import CHECKPOINT, CONFIG, METRICS, WEIGHTS
from graphtask.runs.lock import is_locked
from graphtask.runs.manifest import check_sizes
from graphtask.runs.settling import SETTLED
from graphtask.runs.status import is_finished
from graphtask.storage.atomic import write_atomically
from graphtask.storage.regular import read_regular
from graphtask.study.job import Job
from graphtask.training.config import CLASSIFICATION, TrainConfig

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 64 << 20  # bytes of a metrics table

Word = Literal["waiting", "running", "finished", "failed"]


_COLUMNS = (
    *("run", "dataset", "prior", "seed", "status", "error", "epoch", "epochs", "test_accuracy", "live_edges"),
    *("edge_change", "settled", "seconds_per_epoch", "seconds_left"),
)

_UNKNOWN = "score"

Mark = tuple[tuple[int, int] | None, ...]


class State(NamedTuple):
    """Progress of one run; None for values that are not known yet."""

    job: Job
    word: Word
    reason: str = ""
    """Reason of a failure."""
    epoch: int = 0
    """Number of complete epochs."""
    score: str = ACCURACY
    """Name of the score."""
    test_score: float | None = None
    """Score after the last complete epoch."""
    live_edges: int | None = None
    """After the last complete epoch."""
    seconds_per_epoch: float | None = None
    """Median of the complete epochs."""
    edge_change: float | None = None
    """Relative change of the edges in the last complete epoch."""

    @property
    def epochs_left(self) -> int:
        """Number of remaining epochs; 0 if the run is finished or has failed."""
        return self.job.config.optimization.epochs - self.epoch if self.word in {"waiting", "running"} else 0


def state_of(job: Job) -> State:
    """Return the progress of the run of a job.

    An interrupted run is ``waiting``, with the number of its complete epochs.
    """
    folder = job.folder
    try:
        state = State(job, "waiting", **({"score": expected_score(job.config)} | _progress(folder)))
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder}: is not a folder, but the run needs one; delete it")
        is_extended = False  # the study now has more epochs than the run
        if (folder / CONFIG).exists():
            identity = job.identity()
            is_extended = is_extension(folder, identity)
            if not is_extended:
                check_same_run(folder, identity)
        if is_finished(folder) and not is_extended:
            check_sizes(folder)
            return state._replace(word="finished")
        if is_locked(folder):
            return state._replace(word="running")
        reason = _recorded_failure(job)
        return state._replace(word="failed", reason=reason) if reason else state
    except GraphtaskError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{folder}: cannot be read ({error.strerror})"
    return State(job, "failed", reason, score=expected_score(job.config))


def expected_score(config: TrainConfig) -> str:
    """Return the name of the score of a run before its first epoch; ``score`` if only custom code knows it.

    Example:
        >>> (
        ...     expected_score(TrainConfig(task="regression")),
        ...     expected_score(TrainConfig(score="mypackage:dice")),
        ... )
        ('r2', 'score')
    """
    named = config.optimization.score
    if named is not None:
        return _UNKNOWN if is_code_name(named) else named
    return TASK_SCORES.get(config.data.task or CLASSIFICATION, _UNKNOWN)


def status_table(jobs: Sequence[Job]) -> "pd.DataFrame":
    """Return one row per job; see `graphtask.Study.status`."""
    states = [state_of(job) for job in jobs]
    known = [state.score for state in states if state.score != _UNKNOWN]
    scores = dict.fromkeys(f"test_{score}" for score in known or [_UNKNOWN])
    columns = [name for column in _COLUMNS for name in (scores if column == "test_accuracy" else [column])]
    return typed_table(
        [_row(state, states) for state in states], columns=columns, metrics=dict.fromkeys(scores, float)
    )


def _row(state: State, states: Sequence[State]) -> dict[str, Any]:
    # The other runs only provide the length of an epoch.
    left = seconds_left([state, *(other._replace(word="finished") for other in states)], slots=1)
    return {
        "run": state.job.name,
        "dataset": state.job.data_name,
        "prior": state.job.prior.name,
        "seed": state.job.seed,
        "status": state.word,
        "error": state.reason,
        "epoch": state.epoch,
        "epochs": state.job.config.optimization.epochs,
        f"test_{state.score}": state.test_score,
        "live_edges": state.live_edges,
        "edge_change": state.edge_change,
        "settled": None if state.edge_change is None else state.edge_change <= SETTLED,
        "seconds_per_epoch": state.seconds_per_epoch,
        "seconds_left": None if state.word == "failed" else left,
    }


def is_settled(state: State) -> bool:
    """Return True if a run is finished, on data with the same source.

    If not, `graphtask.train` compares the data themselves.
    """
    if state.word != "finished":
        return False
    data, stored = state.job.data, read_config(state.job.folder).get("data")
    source = state.job.data_source
    sources = {source, str(Path(source).resolve())}
    return (
        isinstance(stored, dict)
        and stored.get("source") in sources
        and stored.get("transforms") == list(data.transforms)
        and stored.get("seed") == data.seed
    )


def mark_of(job: Job) -> Mark:
    """Return a value that changes with every checkpoint of the run of a job."""
    marks: list[tuple[int, int] | None] = []
    for name in (CHECKPOINT, WEIGHTS):
        try:
            found = (job.folder / name).stat()
            marks.append((found.st_ino, found.st_mtime_ns))
        except OSError:
            marks.append(None)
    return tuple(marks)


def record_failure(job: Job, reason: str) -> None:
    """Record the reason of a failure next to the run folder, for later calls."""
    with contextlib.suppress(OSError, GraphtaskError):  # the failure is reported now in any case
        _note(job).parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(_note(job)) as file:
            file.write(f"{reason}\n".encode())


def forget_failure(job: Job) -> None:
    """Remove the record of `record_failure`."""
    with contextlib.suppress(OSError):
        _note(job).unlink(missing_ok=True)


def seconds_left(states: Iterable[State], *, slots: int) -> float | None:
    """Estimate the remaining time of all runs, ``slots`` in parallel; None if no epoch is complete.

    An epoch is assumed to take as long as the median of the same run; else the mean over runs of the same data set and
    prior; else of the same prior; else of all runs.
    """
    everything = list(states)
    ahead = [state for state in everything if state.epochs_left]
    lengths = [_epoch_seconds(state, everything) for state in ahead]
    if not all(length is not None for length in lengths):
        return None
    times = [(length or 0.0) * state.epochs_left for length, state in zip(lengths, ahead, strict=True)]
    # Runs are not divided: the longest one bounds the end, too.
    return max(sum(times) / max(slots, 1), max(times, default=0.0))


def _epoch_seconds(state: State, known: Sequence[State]) -> float | None:
    if state.seconds_per_epoch is not None:
        return state.seconds_per_epoch
    keys: list[Callable[[State], Any]] = [
        lambda other: (other.job.data_name, other.job.prior.name),
        lambda other: other.job.prior.name,
        lambda _: None,
    ]
    for key in keys:
        times = [other.seconds_per_epoch for other in known if key(other) == key(state)]
        found = [seconds for seconds in times if seconds is not None]
        if found:
            return statistics.fmean(found)
    return None


def _progress(folder: Path) -> dict[str, Any]:
    """Return the progress in the metrics table of a run."""
    try:
        text = read_regular(folder / METRICS, limit=_LARGEST).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        if not rows:
            return {}
        last, score = rows[-1], score_of(rows[-1])
        return {
            "epoch": int(last["epoch"]),
            "score": score,
            "test_score": float(last[f"test_{score}"]) if last[f"test_{score}"] else None,
            "edge_change": float(last["edge_change"]),
            "live_edges": int(last["live_edges"]),
            "seconds_per_epoch": statistics.median(float(row["seconds"]) for row in rows),
        }
    except (OSError, ValueError, LookupError, TypeError, csv.Error):
        return {}  # missing or damaged; opening the run reports damage


def _recorded_failure(job: Job) -> str:
    try:
        return " ".join(read_regular(_note(job), limit=_LARGEST).decode().split())
    except (OSError, ValueError):
        return ""


def _note(job: Job) -> Path:
    return job.folder.with_name(f"{job.folder.name}.failed")
