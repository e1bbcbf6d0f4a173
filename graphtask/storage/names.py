"""Names from files as components of paths: the one place that decides which names are safe.

`safe_component` refuses a name that is not safe, where another name would be another thing (the label of a study).
`file_stem` turns any text into a safe name, for new files; `distinct_stems` keeps two of them apart.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import count

from graphtask.errors import ArgumentError
from graphtask.validation import invalid

_KEPT = 40  # characters of a name that is not safe
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


def file_stem(text: str) -> str:
    """Return a text as the name of a file without suffix, safe on every system.

    Separators, control and invisible characters become dashes. A name that is not safe then, or too long, is replaced
    by its beginning and a digest.

    Args:
        text: Any text, such as a label or a name of a data set.

    Example:
        >>> file_stem("one/full"), file_stem("../full"), file_stem(""), file_stem("CON")
        ('one-full', 'file-full-9229fb6e', 'unknown', 'file-CON-a3dbc4b6')
    """
    plain = "".join(character if character.isprintable() else "-" for character in text or "unknown")
    plain = _SEPARATORS.sub("-", plain)
    try:
        return safe_component(plain, name="name")
    except ArgumentError:
        digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
        return f"file-{plain.strip(' .-')[:_KEPT]}-{digest}"


def distinct_stems(stems: Iterable[str], endings: Iterable[Sequence[str]] | None = None) -> list[str]:
    """Return the stems with numbers where two of them would name the same file, also where case is ignored.

    Args:
        stems: Paths of files without their suffix.
        endings: Endings of the files of each stem, such as ``("", "-history")``; None for one file of each.

    Example:
        >>> distinct_stems(["a", "A", "b", "a-2"])
        ['a', 'A-2', 'b', 'a-2-2']
        >>> distinct_stems(["a", "a-history"], [("", "-history"), ("",)])
        ['a', 'a-history-2']
    """
    wanted = list(stems)
    found: list[str] = []
    taken: set[str] = set()
    for stem, ends in zip(wanted, endings or [("",)] * len(wanted), strict=True):
        candidates = (f"{stem}-{number}" if number > 1 else stem for number in count(1))
        chosen = next(
            name for name in candidates if taken.isdisjoint(f"{name}{end}".casefold() for end in ends)
        )
        taken.update(f"{chosen}{end}".casefold() for end in ends)
        found.append(chosen)
    return found
