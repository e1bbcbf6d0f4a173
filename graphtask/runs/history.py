"""Edge history: every edge weight at the start and at the end of every epoch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from graphtask.errors import RunError
from graphtask.graph import edge_names
from graphtask.storage.atomic import write_atomically
from graphtask.validation import counted, invalid

_GATES = {"tanh": np.tanh, "sigmoid": scipy.special.expit, "none": np.positive}


@dataclass(frozen=True)
class EdgeHistory:
    """Edge weights of a network over training.

    Args:
        edges: The edges as (source name, target name), in the order of the columns of ``w``.
        w: Raw edge weights, shape (epochs + 1, edges), float32; row 0 is the start, row k the end of epoch k.
        gate: Gate of the network, which maps ``w`` to the factors of the edges.
    """

    edges: tuple[tuple[str, str], ...]
    w: npt.NDArray[np.float32]
    gate: str = "tanh"

    def __repr__(self) -> str:
        return f"EdgeHistory({counted(len(self.edges), 'edge')}, {counted(len(self.w) - 1, 'epoch')}, gate={self.gate!r})"

    @staticmethod
    def record(net: Any) -> "EdgeRecorder":
        """Start to record the edge weights of a network in a training loop of your own.

        Args:
            net: A `GraphModule`; its weights now are row 0.

        Raises:
            ArgumentError: It has no edge weights.

        Example:
            >>> import graphtask as gt
            >>> net = gt.compile(gt.full_dag(3), channels=2)
            >>> recorder = gt.EdgeHistory.record(net)
            >>> for _ in range(2):  # train for an epoch, then:
            ...     recorder.step()
            >>> recorder.history
            EdgeHistory(3 edges, 2 epochs, gate='tanh')
        """
        return EdgeRecorder(net)

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


class EdgeRecorder:
    """Records the edge weights of a network once per call of `step`; made by `EdgeHistory.record`."""

    def __init__(self, net: Any) -> None:
        if not all(hasattr(net, name) for name in ("edge_weight", "graph", "gate")):
            raise invalid("net", "a GraphModule", type(net).__name__)
        self._net = net
        self._rows: list[npt.NDArray[np.float32]] = []
        self.step()

    def step(self) -> None:
        """Record the weights as the end of an epoch."""
        self._rows.append(self._net.edge_weight.detach().to("cpu").numpy().astype(np.float32))

    @property
    def history(self) -> EdgeHistory:
        """The history so far."""
        return EdgeHistory(tuple(edge_names(self._net.graph)), np.stack(self._rows), gate=self._net.gate)


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
