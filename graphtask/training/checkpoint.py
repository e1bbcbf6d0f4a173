"""Checkpoints that are whole or not there: written atomically, and checked before they are believed.

A file is one line, ``graphtask checkpoint 1 <sha256 of the rest>``, and then what `torch.save` wrote.
The checkpoint before the newest one is kept beside it, for the case that a disk damages the newest.
"""

import contextlib
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from graphtask.errors import RunError
from graphtask.storage.atomic import write_atomically
from graphtask.training.folder import CHECKPOINT, PREVIOUS_CHECKPOINT

_MAGIC = b"graphtask checkpoint 1 "


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values) as the newest checkpoint of ``folder``."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    header = _MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    with contextlib.suppress(FileNotFoundError):
        os.replace(folder / CHECKPOINT, folder / PREVIOUS_CHECKPOINT)  # noqa: PTH105 - os.replace is the atomic one, by name
    with write_atomically(folder / CHECKPOINT) as file:
        file.write(header)
        file.write(payload)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Read the newest checkpoint that is whole.

    Returns:
        The state (None if there is no checkpoint yet), and a warning (empty if there is nothing to warn of).

    Raises:
        RunError: There are checkpoints, and every one of them is damaged.
    """
    problems: list[str] = []
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        path = folder / name
        if not path.exists():
            continue
        try:
            return _read(path), "; ".join(problems)
        except RunError as error:
            problems.append(f"{error}; going back to the one before it")
    if problems:
        raise RunError(f"{folder}: no checkpoint can be read; delete the folder to train from the start")
    return None, ""


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: the checkpoint cannot be read ({error.strerror})") from error
    header, _, payload = content.partition(b"\n")
    if header != _MAGIC + hashlib.sha256(payload).hexdigest().encode():
        raise RunError(f"{path}: the checkpoint is damaged (its sha256 does not match)")
    state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    assert isinstance(state, dict)
    return state
