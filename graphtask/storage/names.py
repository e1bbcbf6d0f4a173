"""Names from files as components of paths: the one place that decides which names are safe."""

import re

from graphtask.errors import ArgumentError
from graphtask.validation import invalid

_LONGEST = 200  # bytes; file systems allow 255, and suffixes are appended
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # on Windows
_SEPARATORS = re.compile(r"[/\\:]")
_REQUIREMENT = "a plain file name (no separators, no leading or trailing dots, no control characters)"


def safe_component(text: object, *, name: str) -> str:
    """Return ``text`` if it is safe as one component of a path on every system.

    Absolute paths, ``.`` and ``..``, separators, control and invisible characters, names that are empty, hidden,
    reserved or too long, and values that are not strings are refused.

    Args:
        text: The name, as a file gives it.
        name: What it names, for the message.

    Raises:
        ArgumentError: It is not safe.

    Example:
        >>> safe_component("banded-10", name="prior")
        'banded-10'
        >>> safe_component("../victim", name="prior")
        Traceback (most recent call last):
        graphtask.errors.ArgumentError: prior must be a plain file name (no separators, ...), got '../victim'
    """
    is_safe = (
        isinstance(text, str)
        and text.isprintable()
        and 0 < len(text.encode(errors="replace")) <= _LONGEST
        and not _SEPARATORS.search(text)
        and text == text.strip(" .")
        and not _RESERVED.fullmatch(text)
    )
    if not is_safe:
        raise invalid(name, _REQUIREMENT, text)
    return str(text)


def safe_path(text: object, *, name: str) -> str:
    """Return ``text`` if it is a relative path of safe components, separated by ``/``.

    Raises:
        ArgumentError: It is not.

    Example:
        >>> safe_path("cmnist/full/seed-0", name="label")
        'cmnist/full/seed-0'
    """
    if not isinstance(text, str):
        raise invalid(name, "a relative path", text)
    try:
        for part in text.split("/"):
            safe_component(part, name=name)
    except ArgumentError:
        raise invalid(name, "a relative path of plain file names", text) from None
    return text
