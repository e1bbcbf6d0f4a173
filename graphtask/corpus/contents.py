"""Read the bytes of entries in their order; those of an archive or a table in one pass, those at URLs in parallel."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import NamedTuple

from graphtask.corpus.archives import members
from graphtask.corpus.edge_columns import edge_lists
from graphtask.corpus.entries import Entry
from graphtask.corpus.urls import fetch
from graphtask.errors import FormatError, GraphtaskError
from graphtask.storage.content import load

_DOWNLOADS = 4  # in parallel


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
        needs_content: If False, files on disk are not read; their content is None.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.edges"
        >>> _ = path.write_text("0 1")
        >>> [(found.content, found.error) for found in contents([Entry(str(path))])]
        [(b'0 1', None)]
    """
    for (kind, path), group in groupby(entries, key=_source):
        if kind == "archive":
            yield from _from_archive(path, list(group))
            continue
        if kind == "table":
            yield from _from_table(path, list(group))
            continue
        if kind == "url":
            yield from _from_urls(group)
            continue
        for entry in group:
            if entry.problem:
                yield Content(entry, None, FormatError(entry.problem))
            elif needs_content:
                yield _loaded(entry)
            else:
                yield Content(entry, None, None)


def _source(entry: Entry) -> tuple[str, str]:
    """Return the kind of a source that is read in one pass, and its path."""
    if entry.is_remote:
        return "url", ""
    if entry.place < 0:
        return "file", entry.path
    return ("table" if entry.column else "archive"), entry.path


def _loaded(entry: Entry) -> Content:
    try:
        return Content(entry, load(entry.path), None)
    except GraphtaskError as error:
        return Content(entry, None, error)


def _fetched(entry: Entry) -> Content:
    try:
        return Content(entry, fetch(entry.path), None)
    except GraphtaskError as error:
        return Content(entry, None, error)


def _from_urls(entries: Iterable[Entry]) -> Iterator[Content]:
    """Yield the entries at URLs; a few are read ahead."""
    with ThreadPoolExecutor(_DOWNLOADS) as threads:
        waiting: deque[Future[Content]] = deque()
        for entry in entries:
            waiting.append(threads.submit(_fetched, entry))
            if len(waiting) > _DOWNLOADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _from_table(path: str, entries: list[Entry]) -> Iterator[Content]:
    """Yield the rows of one table."""
    waiting = deque(entries)
    try:
        for cell in edge_lists(path, entries[0].column, [entry.place for entry in entries]):
            error = FormatError(cell.problem) if cell.problem else None
            yield Content(waiting.popleft(), cell.content, error)
    except FormatError as error:
        for entry in waiting:
            yield Content(entry, None, error)


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
