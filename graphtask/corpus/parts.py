"""Parts of a table of a corpus: files in Parquet, each whole or absent, that state which graphs they measure.

The footer of a part has a digest of all that its rows depend on, as far as that is known without reading the graphs:
their names, sizes and times, the settings, the code, and the versions of libraries. Its pages have checksums.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.corpus.entries import Entry
from graphtask.corpus.rows import (
    ERROR,
    FILE,
    KEPT_STAGES,
    ORIGINS,
    READING,
    SHA256,
    Row,
    Settings,
    completed,
    ordered_columns,
)
from graphtask.errors import GraphtaskError
from graphtask.metrics.table import UNDEFINED
from graphtask.storage.atomic import write_atomically
from graphtask.storage.parquet_table import add_kind, schema_of, write_parquet
from graphtask.storage.regular import open_regular

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".parquet"

_NOTE = "graphtask"  # key in the footer
_SHOWN = 10  # errors of a part that its footer quotes
_TYPES: dict[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}


@dataclass(frozen=True, kw_only=True)
class Part:
    """Graphs whose rows make one file; a task of `graphtask.engines`."""

    out: Path
    """Folder of all parts, absolute."""
    number: int
    """Number of parts before it."""
    entries: tuple[Entry, ...]
    """The graphs."""
    settings: Settings
    """What is done with every graph."""
    modules: tuple[str, ...]
    """Modules that register metrics other than those of graphtask."""
    digest: str
    """Digest of all that the rows depend on."""
    is_isolated: bool = False
    """True if a process that measures a graph may die; its row then has the reason."""

    @property
    def worker(self) -> str:
        """Module that measures it; see `graphtask.engines.protocol.Task`, also for the others."""
        return "graphtask.corpus.part_worker"

    @property
    def name(self) -> str:
        """Name of the file without its suffix."""
        return f"part-{self.number:05}"

    @property
    def path(self) -> Path:
        """The file."""
        return self.out / f"{self.name}{SUFFIX}"

    @property
    def log(self) -> Path:
        """File of all output; readers of the table skip it because of its name."""
        return self.out / "_graphtask.log"

    @property
    def threads(self) -> int:
        """Number of CPU threads."""
        return 1

    @property
    def device(self) -> str:
        """Graphs are measured on the CPU."""
        return "cpu"

    @property
    def names_code(self) -> bool:
        """Return True if metrics are registered by modules of the user."""
        return bool(self.modules)

    def on_cpu(self) -> "Part":
        """Return the part itself."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the part as values that JSON can hold; `from_dict` returns an equal part."""
        return {
            "out": str(self.out),
            "number": self.number,
            "entries": list(map(list, self.entries)),
            "settings": self.settings.to_json(),
            "modules": list(self.modules),
            "digest": self.digest,
            "is_isolated": self.is_isolated,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Part":
        """Return the part from the result of `to_dict`."""
        parts = {
            "out": Path(values["out"]),
            "entries": tuple(Entry(*entry) for entry in values["entries"]),
            "settings": Settings.from_json(values["settings"]),
            "modules": tuple(values["modules"]),
        }
        return cls(**{**values, **parts})


class Note(NamedTuple):
    """Summary of a part in its footer."""

    digest: str
    kinds: dict[str, list[str]]
    """Types of the values in each column, in the order of their first appearance."""
    n_errors: int
    errors: list[str]
    """The first errors."""
    n_kept: int
    """Number of graphs that kept stages other than those requested."""


def part_digests(entries: Sequence[Entry], *, size: int, context: str) -> Iterator[str]:
    """Yield the digest of each part.

    Args:
        entries: Result of `graphtask.corpus.entries.find`.
        size: Graphs per part.
        context: Result of `graphtask.corpus.cache.context_of`.
    """
    stats: dict[str, list[int]] = {}
    for start in range(0, len(entries), size):
        digest = hashlib.sha256(context.encode())
        for entry in entries[start : start + size]:
            if not entry.is_remote and entry.path not in stats:
                stats[entry.path] = _stat(entry.path)
            digest.update(json.dumps([entry, stats.get(entry.path)]).encode())
        yield digest.hexdigest()


def _stat(path: str) -> list[int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - a path stays as it was given
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns]


def write_part(part: Part, rows: Iterable[Row]) -> None:
    """Write the rows of a part.

    Raises:
        GraphtaskError: The file cannot be written.
    """
    kinds: dict[str, set[type]] = {}
    n_kept, kept = 0, []
    for row in rows:
        n_kept += row.pop(KEPT_STAGES, False)
        kept.append(row)
        for column, value in row.items():
            add_kind(kinds.setdefault(column, set()), value)
    errors = [row[ERROR] for row in kept if row[ERROR]]
    names = {column: sorted(kind.__name__ for kind in found) for column, found in kinds.items()}
    _write(part, kept, kinds, Note(part.digest, names, len(errors), errors[:_SHOWN], n_kept))


def _write(part: Part, rows: Iterable[Row], kinds: Mapping[str, set[type]], note: Note) -> None:
    measured = ordered_columns(kinds, part.settings)
    with write_atomically(part.path) as file:
        write_parquet(
            file,
            _columns(measured),
            (completed(row, measured) for row in rows),
            kinds=kinds,
            metadata={_NOTE: json.dumps(note._asdict())},
        )


def _columns(measured: Sequence[str]) -> list[str]:
    return [FILE, *ORIGINS, *measured, UNDEFINED, READING, ERROR, SHA256]


def find_part(part: Part) -> Note | None:
    """Return the summary of a part that is complete; None if it is missing or damaged.

    Raises:
        GraphtaskError: The file is intact, but not this part.
    """
    import pyarrow.parquet as pq

    try:
        with (
            open_regular(part.path) as content,
            pq.ParquetFile(content, page_checksum_verification=True) as file,
        ):
            note = _note(file.schema_arrow)
            n_rows = file.metadata.num_rows
            is_same = note is not None and note.digest == part.digest and n_rows == len(part.entries)
            if is_same:
                file.read()  # which verifies the checksums
    except (ValueError, OSError):  # the errors of pyarrow are ValueErrors and OSErrors
        return None
    if not is_same:
        raise GraphtaskError(
            f"{part.path}: has rows of other graphs, settings or versions, or another part_size; choose another folder"
        )
    return note


def _note(schema: "pa.Schema") -> Note | None:
    """Return the summary in the footer; None if the file is not a part."""
    try:
        return Note(**json.loads((schema.metadata or {})[_NOTE.encode()]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def unify(parts: Sequence[Part], notes: Sequence[Note]) -> None:
    """Rewrite parts that lack columns of others, or have other types, so that any reader takes them for one table.

    Metrics of stages have a column for each stage of the graphs.

    Raises:
        GraphtaskError: A file cannot be written.
    """
    import pyarrow.parquet as pq

    kinds: dict[str, set[type]] = {}
    for note in notes:
        for column, names in note.kinds.items():
            kinds.setdefault(column, set()).update(_TYPES[name] for name in names)
    if not parts:
        return
    schema = schema_of(_columns(ordered_columns(kinds, parts[0].settings)), kinds)
    for part, note in zip(parts, notes, strict=True):
        with open_regular(part.path) as content:
            is_equal = pq.read_schema(content).equals(schema)
        if not is_equal:
            _write(part, list(read_part(part.path)), kinds, note)


def _row(cells: Mapping[str, Any]) -> Row:
    """Return a row as it was measured: a missing integer is NaN, and a graph with an error has no metrics."""
    if cells[ERROR]:
        return {name: value for name, value in cells.items() if value is not None}
    return {
        name: float("nan") if value is None and name not in ORIGINS else value
        for name, value in cells.items()
    }


def read_part(path: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield the rows of a part, as `graphtask.corpus.measure.measure_entries` yields them.

    Raises:
        GraphtaskError: The file is damaged.
    """
    import pyarrow.parquet as pq

    try:
        with open_regular(path) as content, pq.ParquetFile(content, page_checksum_verification=True) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield _row(row)
    except (ValueError, OSError) as error:
        raise GraphtaskError(f"{os.fspath(path)}: the part is damaged ({error}); measure again") from error
