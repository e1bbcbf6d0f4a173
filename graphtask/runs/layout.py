"""File names of a run folder.

==========================  ======================================================================================
file                        content
==========================  ======================================================================================
``run.lock``                lock of the process that trains the run
``config.json``             settings of the run; the first file, with ``initial.graphml``
``provenance.json``         machine and package versions, once for each start
``initial.graphml``         graph before training
``checkpoint.pt``           newest state of training
``checkpoint-previous.pt``  the one before, while the run is not finished
``metrics.csv``             one row per epoch
``history.npz``             every edge weight at the start and at the end of every epoch
``diverged.txt``            reason why the last attempt diverged
``trained.graphml``         graph after training
``weights.safetensors``     parameters and buffers of the trained network
``manifest.json``           SHA-256 sums of the files of a finished run; written last
``outcome.json``            results that a study computed from the finished run
==========================  ======================================================================================
"""

import os
from pathlib import Path

from graphtask.storage.regular import is_file

LOCK = "run.lock"
CONFIG = "config.json"
PROVENANCE = "provenance.json"
INITIAL = "initial.graphml"
CHECKPOINT = "checkpoint.pt"
PREVIOUS_CHECKPOINT = "checkpoint-previous.pt"
METRICS = "metrics.csv"
HISTORY = "history.npz"
DIVERGED = "diverged.txt"
TRAINED = "trained.graphml"
WEIGHTS = "weights.safetensors"
MANIFEST = "manifest.json"
OUTCOME = "outcome.json"

WRITTEN = (
    *(CONFIG, PROVENANCE, INITIAL, TRAINED, METRICS, HISTORY, WEIGHTS, MANIFEST),
    *(CHECKPOINT, PREVIOUS_CHECKPOINT, OUTCOME, DIVERGED),
)
"""Files that only the holder of the lock writes."""


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return True if the path is the folder of a training run, finished or not."""
    folder = Path(path)
    return is_file(folder / CONFIG) and (is_file(folder / INITIAL) or is_file(folder / TRAINED))
