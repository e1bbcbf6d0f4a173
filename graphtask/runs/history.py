"""The edge history: every edge weight at the start and at the end of every epoch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.special

from graphtask.errors import RunError
from graphtask.storage.atomic import write_atomically

_GATES = {"tanh": np.tanh, "sigmoid": scipy.special.expit, "none": np.positive}


@dataclass(frozen=True)
class EdgeHistory:
    """What every edge weight did during training.

    Args:
        edges: The edges as (source name, target name), in the order of the columns of ``w``.
        w: Raw edge weights, shape (epochs + 1, edges), float32; row 0 is the start, row k the end of epoch k.
        gate: The gate of the network, which turns ``w`` into the strength of a connection.
    """

    edges: tuple[tuple[str, str], ...]
    w: npt.NDArray[np.float32]
    gate: str = "tanh"

    @property
    def magnitudes(self) -> npt.NDArray[np.float64]:
        """|gate(w)|, shape (epochs + 1, edges)."""
        return np.abs(gate_values(self.w.astype(np.float64), gate=self.gate))

    def save(self, path: Path) -> None:
        """Write the history as ``.npz`` (arrays ``w``, ``source``, ``target``, ``gate``; no pickles)."""
        source, target = zip(*self.edges, strict=True)
        with write_atomically(path) as file:
            np.savez(
                file, w=self.w, source=np.array(source), target=np.array(target), gate=np.array(self.gate)
            )


def gate_values(w: npt.NDArray[np.float64], *, gate: str) -> npt.NDArray[np.float64]:
    """Return gate(w), the factors of edges with these raw weights.

    Example:
        >>> gate_values(np.array([0.0, 1.0]), gate="none").tolist()
        [0.0, 1.0]
    """
    return np.asarray(_GATES[gate](w))


def load_history(path: Path) -> EdgeHistory:
    """Read a history that `EdgeHistory.save` wrote.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            edges = tuple(zip(arrays["source"].tolist(), arrays["target"].tolist(), strict=True))
            return EdgeHistory(edges=edges, w=arrays["w"], gate=str(arrays["gate"]))
    except Exception as error:  # zipfile, zlib and numpy each raise their own kinds on a damaged file
        raise RunError(
            f"{path}: the edge history cannot be read ({error}); train again to restore it"
        ) from error
