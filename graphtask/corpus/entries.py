"""Find the graphs that paths name: files, folders, runs, archives, and patterns such as ``graphs/*.graphml``."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from graphtask.corpus.archives import SUFFIXES, is_archive, members
from graphtask.errors import FormatError, RunError
from graphtask.runs.layout import CONFIG, INITIAL, TRAINED, is_run
from graphtask.runs.manifest import check_files
from graphtask.runs.status import NOT_FINISHED, explain_status, is_finished
from graphtask.storage.formats import PARSERS, is_graph_name

STUDY = "study.json"  # in the folder of a study; not a graph


class Entry(NamedTuple):
    """One graph, or the reason why there is none."""

    path: str
    """Path of the file on disk."""
    member: str = ""
    """Path of the graph inside the archive, if the file is one."""
    place: int = -1
    """Number of members before it in the archive."""
    run: str = ""
    """Folder of the run that trained it, if it was found in one."""
    problem: str = ""
    """Why it cannot be read, if that is already known."""

    @property
    def file(self) -> str:
        """Name of the graph: the path of the file, followed by that inside the archive."""
        return f"{self.path}/{self.member}" if self.member else self.path


def find(
    paths: Iterable[str | os.PathLike[str]], *, exclude: Iterable[str | os.PathLike[str]] = ()
) -> list[Entry]:
    """Return all graphs that the paths name, in the order given; those of a folder sorted by name.

    ==================  =========================================================================================
    path                graphs
    ==================  =========================================================================================
    a file              itself, whatever its suffix; one that does not exist is an entry like any other
    an archive          the graph files in it (.zip, .tar, .tar.gz, .tgz), in its order
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
        exclude: Files to omit from folders and patterns, such as the table that will be written.

    Example:
        >>> import tempfile, graphtask as gt
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b", "a"):
        ...     gt.write(gt.full_dag(4), folder / f"{name}.graphml")
        >>> [Path(entry.file).name for entry in find([folder])]
        ['a.graphml', 'b.graphml']
    """
    excluded = {os.path.realpath(path) for path in exclude}
    return [entry for path in paths for entry in _named(os.fspath(path), excluded)]


def _is_excluded(path: str, excluded: set[str]) -> bool:
    return bool(excluded) and os.path.realpath(path) in excluded


def _named(path: str, excluded: set[str]) -> Iterator[Entry]:
    if glob.has_magic(path) and not os.path.lexists(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - with matches as the pattern was given
        if not matches:
            yield Entry(path, problem="no file matches this pattern")
        for match in matches:
            if not _is_excluded(match, excluded):
                yield from _named(match, excluded)
    elif os.path.isdir(path):  # noqa: PTH112 - a path stays as it was given
        found = list(_in_folder(path, excluded))
        if not found:
            graphs, archives = ", ".join(PARSERS), ", ".join(SUFFIXES)
            problem = f"the folder has no graph file ({graphs}), no archive ({archives}) and no run"
            found.append(Entry(path, problem=problem))
        yield from found
    else:
        yield from _in_file(path)


def _in_folder(folder: str, excluded: set[str]) -> Iterator[Entry]:
    waiting = [folder]  # not by recursion: folders may be nested deeper than Python calls
    while waiting:
        here = waiting.pop()
        try:
            if is_run(here):
                yield _run(here)
                continue
            files, folders = _listing(here)
        except OSError as error:
            yield Entry(here, problem=f"the folder cannot be read: {error.strerror or error}")
            continue
        for path in files:
            if not _is_excluded(path, excluded):
                yield from _in_file(path)
        waiting.extend(reversed(folders))


def _listing(folder: str) -> tuple[list[str], list[str]]:
    """Return the graph files and archives of a folder, and its folders, each sorted by name."""
    files, folders = [], []
    with os.scandir(folder) as found:
        for item in found:
            if item.name.startswith(".") or item.name == STUDY:
                continue
            if item.is_dir(follow_symlinks=False):
                folders.append(item.path)
            elif is_graph_name(item.name) or is_archive(item.name):
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


def _in_file(path: str) -> Iterator[Entry]:
    if not is_archive(path):
        yield Entry(path)
        return
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
