"""Find the graphs that paths name: files, folders, runs, archives, rows of tables, URLs, and patterns such as ``graphs/*.graphml``."""

import glob
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from graphtask.corpus.archives import SUFFIXES, is_archive, members
from graphtask.corpus.edge_columns import SUFFIX, count_rows
from graphtask.corpus.urls import checked_schemes, is_url, public_name, url_problem
from graphtask.errors import FormatError, RunError
from graphtask.runs.layout import CONFIG, INITIAL, TRAINED, is_run
from graphtask.runs.manifest import check_files
from graphtask.runs.status import NOT_FINISHED, explain_status, is_finished
from graphtask.storage.formats import PARSERS, is_graph_name

STUDY = "study.json"  # in the folder of a study; not a graph


class Entry(NamedTuple):
    """One graph, or the reason why there is none."""

    path: str
    """Path of the file on disk, or a URL."""
    member: str = ""
    """Path of the graph inside the archive, if the file is one; or the row of a table, as the name of a file."""
    place: int = -1
    """Number of members before it in the archive, or of rows before it in the table."""
    run: str = ""
    """Folder of the run that trained it, if it was found in one."""
    problem: str = ""
    """Why it cannot be read, if that is already known."""
    column: str = ""
    """Column of edge lists, if the file is a table in Parquet."""
    is_remote: bool = False
    """True if the path is a URL."""

    @property
    def file(self) -> str:
        """Name of the graph: the path of the file, followed by that inside the archive; a URL without credentials."""
        if self.is_remote:
            return public_name(self.path)
        return f"{self.path}/{self.member}" if self.member else self.path


class _Rules(NamedTuple):
    """What is read, in addition to graph files."""

    excluded: frozenset[str]
    """Real paths of files and folders to omit."""
    column: str
    """Column of edge lists in tables; empty for none."""
    schemes: frozenset[str]
    """Schemes of URLs that are opened."""


def find(
    paths: Iterable[str | os.PathLike[str]],
    *,
    exclude: Iterable[str | os.PathLike[str]] = (),
    column: str | None = None,
    schemes: Collection[str] = (),
) -> list[Entry]:
    """Return all graphs that the paths name, in the order given; those of a folder sorted by name.

    ==================  =========================================================================================
    path                graphs
    ==================  =========================================================================================
    a file              itself, whatever its suffix; one that does not exist is an entry like any other
    an archive          the graph files in it (.zip, .tar, .tar.gz, .tgz), in its order
    a table (.parquet)  a graph per row, if ``column`` names its edge lists
    a URL               the graph file there, if its scheme is allowed
    the folder of a     its trained graph
    run
    any other folder    the graph files and archives in it, then those of its folders, recursively; hidden ones are
                        omitted, links to folders not followed; an entry with a problem if there are none, and for
                        each folder that cannot be read
    a pattern           all matches (``*``, ``?``, ``[…]``, and ``**`` for any folders); an entry with a problem if
                        there are none
    ==================  =========================================================================================

    Args:
        paths: Files, folders and patterns.
        exclude: Files and folders to omit from folders and patterns, such as the table that will be written.
        column: Column of edge lists in .parquet files; see `graphtask.corpus.edge_columns`.
        schemes: Schemes of URLs that may be opened, such as ``["https"]``.

    Raises:
        ArgumentError: A scheme is unknown, or a library for it is missing.

    Example:
        >>> import tempfile, graphtask as gt
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b", "a"):
        ...     gt.write(gt.full_dag(4), folder / f"{name}.graphml")
        >>> [Path(entry.file).name for entry in find([folder])]
        ['a.graphml', 'b.graphml']
    """
    rules = _Rules(frozenset(map(os.path.realpath, exclude)), column or "", checked_schemes(schemes))
    return [entry for path in paths for entry in _named(os.fspath(path), rules)]


def _is_excluded(path: str, rules: _Rules) -> bool:
    return bool(rules.excluded) and os.path.realpath(path) in rules.excluded


def _named(path: str, rules: _Rules) -> Iterator[Entry]:
    if is_url(path):
        problem = url_problem(path, schemes=rules.schemes)
        yield Entry(path, problem=problem, is_remote=not problem)
    elif glob.has_magic(path) and not os.path.lexists(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - with matches as the pattern was given
        if not matches:
            yield Entry(path, problem="no file matches this pattern")
        for match in matches:
            if not _is_excluded(match, rules):
                yield from _named(match, rules)
    elif os.path.isdir(path):  # noqa: PTH112 - a path stays as it was given
        found = list(_in_folder(path, rules))
        if not found:
            graphs, archives = ", ".join(PARSERS), ", ".join(SUFFIXES)
            problem = f"the folder has no graph file ({graphs}), no archive ({archives}) and no run"
            found.append(Entry(path, problem=problem))
        yield from found
    else:
        yield from _in_file(path, rules)


def _in_folder(folder: str, rules: _Rules) -> Iterator[Entry]:
    waiting = [folder]  # not by recursion: folders may be nested deeper than Python calls
    while waiting:
        here = waiting.pop()
        try:
            if is_run(here):
                yield _run(here)
                continue
            files, folders = _listing(here, rules)
        except OSError as error:
            yield Entry(here, problem=f"the folder cannot be read: {error.strerror or error}")
            continue
        for path in files:
            if not _is_excluded(path, rules):
                yield from _in_file(path, rules)
        waiting.extend(reversed(folders))


def _listing(folder: str, rules: _Rules) -> tuple[list[str], list[str]]:
    """Return the graph files, archives and tables of a folder, and its folders, each sorted by name."""
    files, folders = [], []
    with os.scandir(folder) as found:
        for item in found:
            if item.name.startswith(".") or item.name == STUDY:
                continue
            if item.is_dir(follow_symlinks=False):
                if not _is_excluded(item.path, rules):
                    folders.append(item.path)
            elif is_graph_name(item.name) or is_archive(item.name) or (rules.column and _is_table(item.name)):
                files.append(item.path)
    return sorted(files), sorted(folders)


def _run(folder: str) -> Entry:
    path, problem = Path(folder) / TRAINED, ""
    try:
        if is_finished(path.parent):
            check_files(path.parent, (TRAINED,))
        else:
            problem = explain_status(path.parent)
    except RunError as error:
        problem = str(error)
    return Entry(str(path), run=folder, problem=problem)


def _in_file(path: str, rules: _Rules) -> Iterator[Entry]:
    if is_archive(path):
        yield from _in_archive(path)
    elif _is_table(path) and os.path.lexists(path):
        yield from _in_table(path, rules.column)
    else:
        yield Entry(path)


def _is_table(name: str) -> bool:
    return name.lower().endswith(SUFFIX)


def _in_table(path: str, column: str) -> Iterator[Entry]:
    if not column:
        problem = "is a table; name its edge lists with column='edges' (on the command line: --column edges)"
        yield Entry(path, problem=problem)
        return
    try:
        n_rows = count_rows(path, column)
    except FormatError as error:
        yield Entry(path, problem=str(error))
        return
    for row in range(n_rows):
        yield Entry(path, f"{row}.edges", row, column=column)
    if not n_rows:
        yield Entry(path, problem="the table has no rows")


def _in_archive(path: str) -> Iterator[Entry]:
    found: list[Entry] = []
    problem = ""
    try:
        for member in members(path):
            if _is_wanted(member.name):
                nested = "archives inside archives are not opened" if is_archive(member.name) else ""
                found.append(Entry(path, member.name, member.place, problem=member.problem or nested))
    except FormatError as error:
        problem = str(error)
    yield from _without_runs(found)
    if problem or not found:
        yield Entry(path, problem=problem or "the archive has no graph file")


def _is_wanted(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    hidden = any(part.startswith(".") and part not in {".", ".."} for part in parts) or "__MACOSX" in parts
    return not hidden and (is_graph_name(name) or is_archive(name))


def _without_runs(found: list[Entry]) -> Iterator[Entry]:
    """Yield the entries of an archive; of each run, only its trained graph."""
    folders: dict[PurePosixPath, set[str]] = {}
    for entry in found:
        place = PurePosixPath(entry.member)
        folders.setdefault(place.parent, set()).add(place.name)
    runs = {folder for folder, names in folders.items() if CONFIG in names and names & {INITIAL, TRAINED}}
    for entry in found:
        place = PurePosixPath(entry.member)
        run = next((folder for folder in (place.parent, *place.parent.parents) if folder in runs), None)
        if run is None:
            yield entry
        elif place == run / TRAINED:
            yield entry._replace(run=f"{entry.path}/{run}")
        elif place == run / CONFIG and TRAINED not in folders[run]:
            yield entry._replace(run=f"{entry.path}/{run}", problem=NOT_FINISHED)
