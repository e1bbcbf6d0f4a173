"""Container of a checkpoint, ``checkpoint.pt``: a line with the SHA-256 of the rest, then the state.

The first line is ``graphtask checkpoint 1 <sha256 of the rest>``.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from graphtask.errors import RunError
from graphtask.runs.files import read_file

_MAGIC = b"graphtask checkpoint 1 "


def write_payload(file: BinaryIO, payload: bytes | memoryview) -> None:
    """Write a state, serialized, with its sum."""
    file.write(_MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n")
    file.write(payload)


def read_payload(folder: Path, name: str) -> bytes:
    """Return the state in a checkpoint, serialized, if its sum is right.

    Raises:
        RunError: The file is missing or damaged.
    """
    header, _, payload = read_file(folder, name).partition(b"\n")
    if header != _MAGIC + hashlib.sha256(payload).hexdigest().encode():
        raise RunError(f"{folder / name}: the checkpoint is damaged (its sha256 does not match)")
    return payload
