"""Outcome of a finished run: its row in the table of results, cached in the run folder.

The rows are stored in ``outcome.json``, one for each threshold; see `graphtask.runs.outcome`.
"""

import contextlib
import math
from typing import TYPE_CHECKING

from graphtask.errors import DisconnectedError, GraphtaskError
from graphtask.metrics.table import UNDEFINED, measure
from graphtask.pruning import critical_threshold, prune
from graphtask.runs.lock import lock_run
from graphtask.runs.outcome import Row, read_outcome, write_outcome
from graphtask.study.job import Job

if TYPE_CHECKING:
    import igraph

    from graphtask.data.dataset import ImageData
    from graphtask.training.run import Run


def record_outcome(run: "Run", job: Job, *, images: "ImageData | None" = None) -> Row:
    """Prune and measure a finished run, and cache the row in its folder.

    Args:
        run: The run, from the folder of the job.
        job: Job of the run, with the threshold and the device.
        images: Its data; None loads it, unless the run holds it.

    Returns:
        ``test_accuracy`` (of the trained network, in [0, 1]), ``test_accuracy_pruned`` (of the pruned one),
        both named after the score of another task, ``seconds_per_epoch`` (median), ``epochs``, ``live_edges``, ``critical_threshold``, the metrics of the pruned
        graph, and ``undefined``. If pruning disconnects input from output, the values of the pruned graph are missing,
        and ``undefined`` has the reason.
    """
    known = read_outcome(job.folder)
    if job.threshold in known:
        return known[job.threshold]
    row = _outcome(run, job, images=images)
    # On a full disk, or in a folder that is in use, the row is returned nevertheless.
    with contextlib.suppress(GraphtaskError), lock_run(job.folder):
        write_outcome(job.folder, {**known, job.threshold: row})
    return row


def known_outcome(job: Job) -> Row | None:
    """Return the cached row of `record_outcome`; None if there is none, or an outdated one."""
    return read_outcome(job.folder).get(job.threshold)


def _outcome(run: "Run", job: Job, *, images: "ImageData | None") -> Row:
    last = run.metrics.iloc[-1]
    row: Row = {
        f"test_{run.score}": run.test_score,
        f"test_{run.score}_pruned": math.nan,
        "seconds_per_epoch": float(run.metrics["seconds"].median()),
        "epochs": len(run.metrics),
        "live_edges": int(last["live_edges"]),
        "critical_threshold": critical_threshold(run.graph),
    }
    try:
        pruned = prune(run.graph, threshold=job.threshold)
    except DisconnectedError as error:
        return row | {UNDEFINED: str(error)}
    row[f"test_{run.score}_pruned"] = _score(run, pruned, images or run.data(), job)
    return row | {
        name: getattr(value, "item", lambda v=value: v)() for name, value in measure(pruned).items()
    }


def _score(run: "Run", pruned: "igraph.Graph", images: "ImageData", job: Job) -> float:
    """Return the score of the pruned network on the test images, as `graphtask.training.parity` does."""
    from graphtask.compiler.writeback import extract_subnetwork
    from graphtask.training.batches import split_batches
    from graphtask.training.device import choose_device, limited_threads
    from graphtask.training.loop import evaluate

    device = job.device
    with limited_threads(job.threads):
        net = extract_subnetwork(run.module(device=device), pruned).to(choose_device(device))
        batches = split_batches(images, job.config, device=net.edge_weight.device)
        return evaluate(net, batches.test, task=run.task).score
