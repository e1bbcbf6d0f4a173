"""Cache of rows in one file: an unchanged graph is not measured again."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from graphtask.corpus.rows import Row, Settings
from graphtask.storage.formats import suffix
from graphtask.storage.regular import open_regular
from graphtask.types import DISTRIBUTION

if TYPE_CHECKING:
    from graphtask.metrics.metric import Metric

_NAME = "graphtask-metrics.sqlite"  # of the file, if the path is a folder
_CODE = (
    "corpus/rows.py",
    "edge_sets.py",
    "errors.py",
    "features",
    "graph.py",
    "inference",
    "layout",
    "metrics",
    "parameters.py",
    "priors",
    "pruning.py",
    "reading.py",
    "runs",
    "storage",
    "terminal.py",
    "types.py",
    "validation.py",
)  # of graphtask, on which values may depend
_LIBRARIES = (DISTRIBUTION, "igraph", "numpy", "scipy")  # on whose version values may depend
_SECONDS = 2.0  # between two writes
_HEADER = b"SQLite format 3\0"
_TABLE = "CREATE TABLE rows (key BLOB PRIMARY KEY, row BLOB, crc INTEGER) WITHOUT ROWID"


class RowCache:
    """Rows by everything that they depend on: the bytes of the file, its suffix, the settings, and the code.

    The code is that of graphtask which reads and measures, that of user-defined metrics, and the versions of
    libraries. A file that is damaged, in use, or not a cache stays unchanged: one message reports it, and nothing is
    cached. A damaged row is computed again.

    Args:
        path: The file, created if missing; or a folder for it.
        settings: What is done with every graph.
        notify: Receives the message.
    """

    def __init__(
        self, path: str | os.PathLike[str], settings: Settings, *, notify: Callable[[str], object]
    ) -> None:
        self._file = Path(path) / _NAME if Path(path).is_dir() else Path(path)
        self._context = context_of(settings)
        self._notify = notify
        self._waiting: list[tuple[bytes, bytes, int]] = []
        self._written = time.monotonic()
        self._database: sqlite3.Connection | None = None
        with self._careful():
            self._database = _opened(self._file)

    @property
    def file(self) -> Path:
        """Path of the cache."""
        return self._file

    def key(self, digest: str, name: str) -> bytes:
        """Return the key of a row.

        Args:
            digest: The SHA-256 of the file.
            name: The name of the file; only its suffix matters.
        """
        return hashlib.sha256(f"{digest} {suffix(name)} {self._context}".encode()).digest()

    def get(self, key: bytes) -> Row | None:
        """Return the row of the key; None if there is none."""
        with self._careful():
            if self._database is None:
                return None
            found = self._database.execute("SELECT row, crc FROM rows WHERE key = ?", (key,)).fetchone()
            if found is not None and isinstance(found[0], bytes) and zlib.crc32(key + found[0]) == found[1]:
                row: Row = json.loads(found[0])
                return row
        return None

    def put(self, key: bytes, row: Row) -> None:
        """Store the row under the key; it is on disk within seconds."""
        content = json.dumps(row).encode()
        self._waiting.append((key, content, zlib.crc32(key + content)))
        if time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all rows to disk."""
        waiting, self._waiting = self._waiting, []
        self._written = time.monotonic()
        with self._careful():
            if self._database is not None and waiting:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", waiting)

    def close(self) -> None:
        """Write all rows to disk, and close the file."""
        self.flush()
        if self._database is not None:
            self._database.close()
            self._database = None

    @contextlib.contextmanager
    def _careful(self) -> Any:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            database, self._database = self._database, None
            if database is not None:
                with contextlib.suppress(sqlite3.Error):
                    database.close()
            self._notify(
                f"{self._file}: the cache cannot be used ({error}), so all graphs are measured; delete the file, or "
                f"name another one"
            )


def _opened(file: Path) -> sqlite3.Connection:
    for own in (file, *(file.with_name(file.name + end) for end in ("-journal", "-wal", "-shm"))):
        if own.is_symlink() or (own.exists() and not own.is_file()):
            raise ValueError(f"{own.name} is a link, a pipe, a device or a folder")
    if file.exists():
        with open_regular(file) as content:
            if content.read(len(_HEADER)) not in {b"", _HEADER}:
                raise ValueError("it is not a cache")
    database = sqlite3.connect(file, timeout=30)
    try:
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        _check_only_table(database)
    except (sqlite3.Error, ValueError):
        database.close()
        raise
    return database


def _check_only_table(database: sqlite3.Connection) -> None:
    # A view or a trigger of another database would run for ever.
    if database.execute("SELECT sql FROM sqlite_master LIMIT 2").fetchall() != [(_TABLE,)]:
        raise ValueError("it is another database")


def context_of(settings: Settings) -> str:
    """Return all that rows depend on, except their files: settings, code, and versions of libraries."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    metrics = [_described(metric) for metric in settings.selection.metrics]
    return json.dumps(
        [versions, _digest(Path(__file__).parents[1]), settings.to_json(), metrics], sort_keys=True
    )


@cache
def _digest(package: Path) -> str:
    """Return a digest of the code that values depend on, which may change between two releases."""
    files = [
        file
        for part in _CODE
        for file in ((package / part).rglob("*.py") if "." not in part else [package / part])
    ]
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            digest.update(
                f"{file.relative_to(package).as_posix()} ".encode()
                + hashlib.sha256(file.read_bytes()).digest()
            )
    return digest.hexdigest()


def _described(metric: "Metric") -> list[str]:
    """Return what identifies a version of a metric; the code of our own is in `_digest`."""
    module = getattr(metric.compute, "__module__", "")
    code = getattr(metric.compute, "__code__", None)
    if module.startswith("graphtask.") or not isinstance(code, CodeType):
        return [metric.name, metric.formula]
    return [metric.name, metric.formula, hashlib.sha256(_code(code)).hexdigest()]


def _code(code: CodeType) -> bytes:
    inner = b"".join(
        _code(value) if isinstance(value, CodeType) else repr(value).encode() for value in code.co_consts
    )
    return code.co_code + inner + repr((code.co_names, code.co_freevars)).encode()
