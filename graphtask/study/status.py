"""How far the runs of a study are, as their folders tell; read without PyTorch, and without disturbing anybody."""

import contextlib
import csv
import io
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from graphtask.errors import GraphtaskError, RunError
from graphtask.runs.config import check_same_run, read_config
from graphtask.runs.layout import CHECKPOINT, CONFIG, METRICS, WEIGHTS
from graphtask.runs.lock import is_locked
from graphtask.runs.manifest import check_sizes
from graphtask.runs.status import is_finished
from graphtask.storage.atomic import write_atomically
from graphtask.storage.regular import read_regular
from graphtask.study.job import Job

_LARGEST = 64 << 20  # bytes of a metrics table

Word = Literal["waiting", "running", "finished", "failed"]


Mark = tuple[tuple[int, int] | None, ...]


class State(NamedTuple):
    """How far one run is; None is what is not known yet."""

    job: Job
    word: Word
    reason: str = ""
    """Why it failed."""
    epoch: int = 0
    """Epochs that are complete."""
    test_accuracy: float | None = None
    """In [0, 1], after the last of them."""
    live_edges: int | None = None
    """After the last of them."""
    seconds_per_epoch: float | None = None
    """Median."""

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to come; none if it is finished or has failed."""
        return self.job.config.optimization.epochs - self.epoch if self.word in {"waiting", "running"} else 0


def state_of(job: Job) -> State:
    """How far the run of a job is.

    A run that was stopped or killed half-way is ``waiting``, with the epochs that are complete.
    """
    folder = job.folder
    try:
        state = State(job, "waiting", **_progress(folder))
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder}: is no folder, so the run has no place; delete it")
        if (folder / CONFIG).exists():
            check_same_run(folder, job.identity())
        if is_finished(folder):
            check_sizes(folder)
            return state._replace(word="finished")
        if is_locked(folder):
            return state._replace(word="running")
        reason = _note(job).read_text(encoding="utf-8").strip() if _note(job).is_file() else ""
        return state._replace(word="failed", reason=reason) if reason else state
    except GraphtaskError as error:
        return State(job, "failed", str(error))
    except OSError as error:
        return State(job, "failed", f"{folder}: cannot be read ({error.strerror})")


def is_settled(state: State) -> bool:
    """Whether a run is finished and of the same data, as far as their source tells.

    If not, `graphtask.train` has to look: it compares what the data are.
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
    """What tells whether the run of a job has got further: another value with every checkpoint."""
    marks: list[tuple[int, int] | None] = []
    for name in (CHECKPOINT, WEIGHTS):
        try:
            found = (job.folder / name).stat()
            marks.append((found.st_ino, found.st_mtime_ns))
        except OSError:
            marks.append(None)
    return tuple(marks)


def note_failure(job: Job, reason: str) -> None:
    """Remember beside the run folder why a run has failed, for everybody who asks later."""
    with contextlib.suppress(OSError, GraphtaskError):  # what could not be noted is still reported now
        _note(job).parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(_note(job)) as file:
            file.write(f"{reason}\n".encode())


def forget_failure(job: Job) -> None:
    """Take the note back."""
    with contextlib.suppress(OSError):
        _note(job).unlink(missing_ok=True)


def seconds_left(states: Iterable[State], *, slots: int) -> float | None:
    """How long the runs that are not finished will take, ``slots`` at a time; None if nothing tells.

    An epoch is taken to be as long as those of the same run; else the mean over runs of the same data set and prior;
    else of the same prior; else over all.
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
    """What the metrics table of a run says so far."""
    try:
        text = read_regular(folder / METRICS, limit=_LARGEST).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        if not rows:
            return {}
        last = rows[-1]
        return {
            "epoch": int(last["epoch"]),
            "test_accuracy": float(last["test_accuracy"]),
            "live_edges": int(last["live_edges"]),
            "seconds_per_epoch": statistics.median(float(row["seconds"]) for row in rows),
        }
    except (OSError, ValueError, LookupError, TypeError, csv.Error):
        return {}  # not there yet, or damaged: then whoever opens the run says so


def _note(job: Job) -> Path:
    return job.folder.with_name(f"{job.folder.name}.failed")
