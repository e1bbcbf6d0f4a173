"""Results of a study: a table with one row per run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from graphtask.columns import ACCURACY, score_of, typed_table
from graphtask.errors import DataError, GraphtaskError
from graphtask.metrics.registry import select
from graphtask.metrics.table import UNDEFINED
from graphtask.metrics.view import Options
from graphtask.runs.outcome import Row
from graphtask.study.job import Job
from graphtask.study.outcome import known_outcome, record_outcome
from graphtask.study.status import state_of
from graphtask.training.config import DataConfig

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.data.dataset import ImageData

_ORIGINS = ("dataset", "prior", "seed", "status", "error", "threshold")
_TRAINING = ("seconds_per_epoch", "epochs", "live_edges", "critical_threshold")
_KINDS = {"count": int, "flag": bool, "number": float, "text": str}
RUN = "run"
DISCONNECTED = "disconnected"


def results_table(
    jobs: Sequence[Job], *, threshold: float, watch: Callable[[Iterable[Job]], Iterable[Job]] = iter
) -> "pd.DataFrame":
    """Return one row per job; see `graphtask.Study.results`."""
    images = lru_cache(maxsize=1)(_images)
    ordered = [replace(job, threshold=threshold) for job in _by_name(jobs)]
    return _frame([_row(job, images) for job in watch(ordered)])


def _by_name(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs by data set, prior and seed, in the order of the study."""
    data = list(dict.fromkeys(job.data_name for job in jobs))
    priors = list(dict.fromkeys(job.prior.name for job in jobs))
    return sorted(jobs, key=lambda job: (data.index(job.data_name), priors.index(job.prior.name), job.seed))


def _row(job: Job, images: Callable[[DataConfig], "ImageData"]) -> Row:
    state = state_of(job)
    row: Row = {"dataset": job.data_name, "prior": job.prior.name, "seed": job.seed, "status": state.word}
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

    run = Run.open(job.folder, imports=job.config.code.values())
    found = images(job.data)
    if found.fingerprint != run.record["data_fingerprint"]:
        raise DataError(
            f"{job.folder}: was trained on data other than the present content of {job.data_source}"
        )
    return record_outcome(run, job, images=found)


def _images(data: DataConfig) -> "ImageData":
    from graphtask.data.catalog import load_data

    return load_data(
        data.source,
        root=data.root,
        download=data.download,
        transforms=data.transforms,
        seed=data.seed,
        targets=data.targets,
    )


def _frame(rows: list[Row]) -> "pd.DataFrame":
    selection = select("paper", options=Options())
    present = {name for row in rows for name in row}
    stages = {int(name.rpartition("_")[2]) for name in present if name.startswith("nodes_stage_")}
    metrics = (
        [name for name in selection.columns(stages) if name in present] if stages else selection.columns([])
    )
    for row in rows:
        missing = [name for name in metrics if "edges" in row and name not in row]
        reasons = [row.get(UNDEFINED, ""), *(f"{name}: the graph has no such stage" for name in missing)]
        row[UNDEFINED] = "; ".join(filter(None, reasons))
    kinds = {column: _KINDS[metric.kind] for column, metric, _ in selection.cells(stages)}
    found = dict.fromkeys(score_of(row) for row in rows if any(name.startswith("test_") for name in row))
    scores = [f"test_{score}{pruned}" for score in found or [ACCURACY] for pruned in ("", "_pruned")]
    columns = [*_ORIGINS, *scores, *_TRAINING, *metrics, UNDEFINED, RUN]
    return typed_table(rows, columns=columns, metrics={**kinds, **dict.fromkeys(scores, float)})
