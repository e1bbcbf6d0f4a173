"""Check that every machine shares the folder of the results, with a file of random text.

A machine with a local folder of the same name would work there, and no other machine would find the results.
"""

import contextlib
import secrets
from pathlib import Path
from typing import NamedTuple, Self

from graphtask.errors import RunError
from graphtask.storage.regular import read_regular


class Mark(NamedTuple):
    """File in the folder of the results, with its content."""

    path: Path
    text: str

    @classmethod
    def leave(cls, out: Path) -> Self:
        """Write a mark into a folder, for other machines to read.

        Raises:
            RunError: The folder cannot be written.
        """
        text = secrets.token_hex(16)
        mark = cls(out / f".graphtask-{text[:8]}.mark", text)
        try:
            out.mkdir(parents=True, exist_ok=True)
            mark.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error
        return mark

    def remove(self) -> None:
        """Remove the mark."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def problem(self) -> str:
        """Return why this machine cannot use the folder of the mark; empty if it can."""
        out = self.path.parent
        try:
            if read_regular(self.path, limit=len(self.text)) != self.text.encode():
                return f"{out} is another folder there"
        except OSError as error:
            return f"{out} is not the same folder there, or cannot be read ({error.strerror})"
        try:
            trial = self.path.with_suffix(f".{secrets.token_hex(4)}")
            trial.write_text(self.text, encoding="utf-8")
            trial.unlink()
        except OSError as error:
            return f"{out} cannot be written there ({error.strerror})"
        return ""
