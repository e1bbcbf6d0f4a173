"""Read the bytes of entries in their order; those of an archive in one pass."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from graphtask.corpus.archives import members
from graphtask.corpus.entries import Entry
from graphtask.errors import FormatError, GraphtaskError
from graphtask.storage.content import load


class Content(NamedTuple):
    """An entry with its bytes."""

    entry: Entry
    content: bytes | None
    """Bytes of the file, if they were requested."""
    error: GraphtaskError | None
    """Error, if it cannot be read."""


def contents(entries: Iterable[Entry], *, needs_content: bool = True) -> Iterator[Content]:
    """Yield the entries with their bytes; an entry that cannot be read has an error instead.

    Args:
        entries: Result of `graphtask.corpus.entries.find`.
        needs_content: If False, only members of archives are read; the content of other files is None.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.edges"
        >>> _ = path.write_text("0 1")
        >>> [(found.content, found.error) for found in contents([Entry(str(path))])]
        [(b'0 1', None)]
    """
    for (path, is_member), group in groupby(entries, key=lambda entry: (entry.path, entry.place >= 0)):
        if is_member:
            yield from _from_archive(path, list(group))
            continue
        for entry in group:
            if entry.problem:
                yield Content(entry, None, FormatError(entry.problem))
            elif needs_content:
                yield _loaded(entry)
            else:
                yield Content(entry, None, None)


def _loaded(entry: Entry) -> Content:
    try:
        return Content(entry, load(entry.path), None)
    except GraphtaskError as error:
        return Content(entry, None, error)


def _from_archive(path: str, entries: list[Entry]) -> Iterator[Content]:
    """Yield the entries of one archive, which is read once from beginning to end."""
    waiting = deque(entries)
    try:
        for member in members(path):
            while waiting and waiting[0].place <= member.place:
                entry = waiting.popleft()
                if entry.problem or (entry.place, entry.member) != (member.place, member.name):
                    yield Content(entry, None, FormatError(entry.problem or "is no longer in the archive"))
                    continue
                try:
                    content = member.read()
                except FormatError as error:
                    yield Content(entry, None, error)
                    continue
                yield Content(entry, content, None)
            if not waiting:
                return
    except FormatError as error:
        for entry in waiting:
            yield Content(entry, None, error)
    else:
        for entry in waiting:
            yield Content(entry, None, FormatError("is no longer in the archive"))
