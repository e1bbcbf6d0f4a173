"""Edge history of a run: every edge weight at the start and at the end of every epoch, ``history.npz``."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from graphtask.errors import FormatError
from graphtask.graph import edge_names
from graphtask.named import is_code_name
from graphtask.runs.files import damaged, read_file
from graphtask.storage.atomic import write_atomically
from graphtask.storage.npz import parse_array
from graphtask.validation import counted, invalid

_GATES = {"tanh": np.tanh, "sigmoid": scipy.special.expit, "none": np.positive}
_ARRAYS = ("w", "source", "target", "gate")
_FACTORS = "factors"  # only of a custom gate
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True)
class EdgeHistory:
    """Edge weights during training.

    Args:
        edges: The edges as (source name, target name), in the order of the columns of ``w``.
        w: Raw edge weights, shape (epochs + 1, edges), float32; row 0 is the start, row k the end of epoch k.
        gate: Gate of the network, which turns ``w`` into the factor of an edge: ``tanh``, ``sigmoid``, ``none``, or
            ``package.module:name`` of a custom one.
        factors: gate(w) of a custom gate, with the shape of ``w``, so that its code is not needed; else None.

    Raises:
        ArgumentError: A custom gate has no factors, or a built-in one has some.
    """

    edges: tuple[tuple[str, str], ...]
    w: npt.NDArray[np.float32]
    gate: str = "tanh"
    factors: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if (self.gate in _GATES) == (self.factors is not None):
            raise invalid("factors", "given if the gate is a custom one, and only then", self.factors)

    def __repr__(self) -> str:
        return f"EdgeHistory({counted(len(self.edges), 'edge')}, {counted(len(self.w) - 1, 'epoch')}, gate={self.gate!r})"

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import history_card

        return history_card(self)

    @staticmethod
    def record(net: Any) -> "EdgeRecorder":
        """Start to record the edge weights of a network in a custom training loop.

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
        factors = _GATES[self.gate](self.w.astype(np.float64)) if self.factors is None else self.factors
        return np.abs(np.asarray(factors, dtype=np.float64))

    def save(self, path: Path) -> None:
        """Write the history as ``.npz`` (arrays ``w``, ``source``, ``target``, ``gate``, ``factors``; no pickles)."""
        source, target = zip(*self.edges, strict=True)
        arrays: dict[str, Any] = {"w": self.w, "source": np.array(source), "target": np.array(target)}
        arrays["gate"] = np.array(self.gate)
        if self.factors is not None:
            arrays[_FACTORS] = self.factors
        with write_atomically(path) as file:
            np.savez(file, **arrays)


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
        return history_of(self._net, self._rows)


def history_of(net: Any, rows: Sequence[npt.NDArray[np.float32]]) -> EdgeHistory:
    """Return the history of a network.

    Args:
        net: A `GraphModule`.
        rows: Its raw edge weights at the start and after each epoch.
    """
    edges, w = tuple(edge_names(net.graph)), np.stack(rows)
    if net.gate in _GATES:
        return EdgeHistory(edges, w, gate=net.gate)
    return EdgeHistory(edges, w, gate=net.gate, factors=np.stack([net.factors_of(row) for row in w]))


def is_gate_name(value: object) -> bool:
    """Return True for the name of a built-in gate, or ``package.module:name``.

    Example:
        >>> [is_gate_name(value) for value in ("tanh", "mypackage.gates:soft", "relu", None)]
        [True, True, False, False]
    """
    return isinstance(value, str) and (value in _GATES or is_code_name(value))


def load_history(path: Path) -> EdgeHistory:
    """Read a history that `EdgeHistory.save` wrote.

    Raises:
        RunError: The file is missing or damaged.
    """
    content = read_file(path.parent, path.name)
    try:
        arrays = _arrays(content)
        return _history(arrays)
    except KeyError as error:
        raise damaged(path.parent, path.name, f"no array {error}") from error
    except _ZIP_ERRORS as error:  # FormatError is a ValueError
        raise damaged(path.parent, path.name, str(error)) from error


def _arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = {member.filename.removesuffix(".npy") for member in members}
        if len(names) < len(members) or len(names - {*_ARRAYS, _FACTORS}) > 0:
            raise FormatError(
                f"{len(members):,} arrays; they must be {', '.join(_ARRAYS)} and {_FACTORS}, each once"
            )
        for member in members:
            # `EdgeHistory.save` does not compress, so no member is larger than the file.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content):
                raise FormatError(f"array {member.filename!r} is compressed")
            name = member.filename.removesuffix(".npy")
            arrays[name] = parse_array(archive.read(member), name)
    return arrays


def _history(arrays: Mapping[str, npt.NDArray[Any]]) -> EdgeHistory:
    w, source, target, gate = (arrays[name] for name in _ARRAYS)
    factors = arrays.get(_FACTORS)
    edges = tuple(zip(map(str, source.ravel()), map(str, target.ravel()), strict=True))
    if w.ndim != 2 or w.dtype.kind != "f" or len(w) == 0 or w.shape[1] != len(edges):
        raise FormatError(f"array 'w' must be floats of shape (epochs + 1, {len(edges)})")
    if np.isnan(w).any():
        raise FormatError("array 'w' has values that are not numbers")
    if source.dtype.kind != "U" or target.dtype.kind != "U" or len(set(edges)) < len(edges):
        raise FormatError("the edges must be different pairs of names")
    if gate.shape != () or not is_gate_name(str(gate)):
        raise FormatError(f"array 'gate' must be one of {', '.join(_GATES)}, or package.module:name")
    if factors is not None and (
        factors.shape != w.shape or factors.dtype.kind != "f" or np.isnan(factors).any()
    ):
        raise FormatError("array 'factors' must be floats of the shape of 'w'")
    if (str(gate) in _GATES) != (factors is None):
        raise FormatError("array 'factors' must be there if the gate is a custom one, and only then")
    return EdgeHistory(edges=edges, w=w, gate=str(gate), factors=factors)
