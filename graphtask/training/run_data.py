"""Data sets of stored runs: found under another root, and loaded once for several runs."""

from dataclasses import dataclass, replace
from pathlib import Path

from graphtask.data.dataset import ImageData
from graphtask.training.run import Run


def with_data_root(run: Run, root: str | Path | None) -> Run:
    """Return the run with another root for its data set; None leaves it as it is."""
    if root is None:
        return run
    data = {**run.record["data"], "root": str(Path(root).resolve())}
    return replace(run, record={**run.record, "data": data})


@dataclass
class RunDataCache:
    """Data sets of runs; the last one is kept, so that runs on the same images load them once.

    Args:
        root: Folder of the named data sets; None uses the folder of training.
    """

    root: str | Path | None = None
    _kept: tuple[str, ImageData] | None = None

    def of(self, run: Run) -> ImageData:
        """Return the data set of a run.

        Raises:
            DataError: It is missing.
            RunError: It has changed since training.
        """
        fingerprint = run.record["data_fingerprint"]
        if self._kept is None or self._kept[0] != fingerprint:
            self._kept = None  # before the next one is loaded: one data set in memory is enough
            self._kept = fingerprint, with_data_root(run, self.root).data()
        return self._kept[1]
