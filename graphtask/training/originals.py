"""The images that a stored run was trained on, found again: where they are now, and once for many runs."""

from dataclasses import dataclass, replace
from pathlib import Path

from graphtask.data.dataset import ImageData
from graphtask.training.run import Run


def moved(run: Run, root: str | Path | None) -> Run:
    """The run, with its data set looked for under another root; None leaves it where it was."""
    if root is None:
        return run
    config = {**run.config, "data": {**run.config["data"], "root": str(Path(root).resolve())}}
    return replace(run, config=config)


@dataclass
class Originals:
    """The data sets of runs; the last one is kept, so that runs on the same images load them once.

    Args:
        root: Where named data sets lie now; None is where they were at training.
    """

    root: str | Path | None = None
    _kept: tuple[str, ImageData] | None = None

    def of(self, run: Run) -> ImageData:
        """The data set of a run.

        Raises:
            DataError: It is not where it was.
            RunError: It is not what it was.
        """
        fingerprint = run.config["data_fingerprint"]
        if self._kept is None or self._kept[0] != fingerprint:
            self._kept = None  # before the next one is loaded: one data set in memory is enough
            self._kept = fingerprint, moved(run, self.root).data()
        return self._kept[1]
