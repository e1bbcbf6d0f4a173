"""Does every machine see the folder of a study? Settled with a file of random text, before work is lost in a wrong place.

A machine that has a folder of the same name of its own would train there, and nobody else would ever find the run.
"""

import contextlib
import secrets
from pathlib import Path
from typing import NamedTuple, Self

from graphtask.errors import RunError


class Mark(NamedTuple):
    """A file in the folder of all runs, and what is in it."""

    path: Path
    text: str

    @classmethod
    def leave(cls, out: Path) -> Self:
        """Write a mark into a folder, for others to look for.

        Raises:
            RunError: The folder cannot be written.
        """
        text = secrets.token_hex(16)
        mark = cls(out / f".study-{text[:8]}.mark", text)
        try:
            out.mkdir(parents=True, exist_ok=True)
            mark.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error
        return mark

    def remove(self) -> None:
        """Take the mark away."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def problem(self) -> str:
        """Why this machine cannot work in the folder of the mark; empty if it can."""
        out = self.path.parent
        try:
            if self.path.read_text(encoding="utf-8") != self.text:
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
