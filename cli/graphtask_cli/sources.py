"""The graphs that command-line arguments name: graph files, run folders, and folders of graph files."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from graphtask_cli.output import note

if TYPE_CHECKING:
    import igraph

T = TypeVar("T")

STDIN = "-"  # the argument that stands for the paths on standard input


class Source(NamedTuple):
    """One graph."""

    label: str
    path: Path
    """The file."""
    run: Path | None
    """The folder of the run that trained it, if it was named by that."""


def is_run(path: Path) -> bool:
    """Whether the path is the folder of a training run, finished or not."""
    from graphtask.runs.layout import is_run as is_run_folder

    return is_run_folder(path)


def graph_path(path: Path) -> Path:
    """The graph file that a path stands for: itself, or the trained graph of a run folder.

    Raises:
        RunError: The run is not finished.
        FormatError: It is a folder, but not that of a run.
    """
    from graphtask.errors import FormatError, RunError
    from graphtask.runs.layout import TRAINED
    from graphtask.runs.status import unfinished

    if not path.is_dir():
        return path
    if (path / TRAINED).is_file():
        return path / TRAINED
    if is_run(path):
        raise RunError(f"{path}: {unfinished(path)}")
    raise FormatError(f"{path}: this folder holds no run; name a graph file, or the folder of a run")


def run_config(folder: Path) -> dict[str, int]:
    """The sizes of the network that the run in ``folder`` trained; read without PyTorch.

    Raises:
        RunError: The file is damaged.
    """
    from graphtask.errors import RunError
    from graphtask.runs.layout import CONFIG

    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return {
            **{name: int(config[name]) for name in ("channels", "in_channels", "n_classes")},
            "size": int(config["size"][0]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot be read ({error}); delete the folder and train again") from error


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say in the message of an error which file it is about, unless it begins with it."""
    from graphtask.errors import GraphtaskError

    try:
        yield
    except GraphtaskError as error:
        if str(error).startswith(str(path)):  # elsewhere the name may be a word like any other
            raise
        raise type(error)(f"{path}: {error}") from error


def read_graph(path: Path, **reading: Any) -> "igraph.Graph":
    """The graph in the file; says so if it has stages of its own and other ones were asked for.

    Args:
        path: The file.
        **reading: The values of `graphtask_cli.options.reading_options`.

    Raises:
        GraphtaskError: The file cannot be read, or the graph breaks a rule.
    """
    import graphtask as gt
    from graphtask.reading import kept_its_stages

    graph = gt.read(path, **reading)
    if kept_its_stages(graph, reading.get("stages")):
        note(f"{path}: the graph keeps the stages that it has; --stages is for graphs without")
    return graph


def expand(paths: Iterable[Path]) -> list[Source]:
    """All graphs that the paths name, in the order given; see `graphtask.corpus.entries.find`.

    Raises:
        FormatError: A folder holds no graph, a pattern matches nothing, or a graph is in an archive.
    """
    from graphtask.corpus.entries import find
    from graphtask.errors import FormatError

    found = find(paths)
    for entry in found:
        if entry.place >= 0:
            raise FormatError(f"{entry.path}: is an archive; unpack it, and name the folder")
        if entry.problem and not entry.run:
            raise FormatError(f"{entry.path}: {entry.problem}")
    return [
        Source(label, Path(entry.path), Path(entry.run) if entry.run else None)
        for label, entry in zip(labels([entry.run or entry.file for entry in found]), found, strict=True)
    ]


def run_folders(paths: Iterable[Path]) -> dict[str, Path]:
    """The folders of the runs that the paths name, by their labels; other graphs in a folder are passed over.

    Raises:
        RunError: A path is a graph file, or names no run.
        FormatError: A folder holds nothing, or a pattern matches nothing.
    """
    from graphtask.errors import RunError

    folders: dict[Path, None] = {}
    for path in paths:
        if path.is_file():
            raise RunError(f"{path}: is a file; name the folder of a run, or a folder of runs")
        found = [source.run for source in expand([path]) if source.run is not None]
        if not found:
            there = "no run in this folder" if path.is_dir() else "there is no such folder"
            raise RunError(f"{path}: {there}; make a run with train")
        folders |= dict.fromkeys(found)
    return dict(zip(labels([str(folder) for folder in folders]), folders, strict=True))


def opened(folders: Mapping[str, Path], opener: Callable[[Path], T]) -> Iterator[tuple[str, T]]:
    """What ``opener`` makes of each folder, with its label; one that cannot be used is left out, with a note.

    Raises:
        GraphtaskError: What was wrong with the first one, if none can be used.
        RunInterruptedError: Somebody asked to stop.
    """
    from graphtask.errors import GraphtaskError, RunInterruptedError
    from graphtask_cli.output import note

    failures: list[GraphtaskError] = []
    for label, folder in folders.items():
        try:
            with named(folder):
                found = opener(folder)
        except RunInterruptedError:
            raise
        except GraphtaskError as error:
            failures.append(error)
            if len(failures) == len(folders):
                raise failures[0] from None
            note(f"error: {error}; left out")
        else:
            yield label, found


def listed(arguments: Iterable[str]) -> Iterator[str]:
    """The arguments, with the paths on standard input, one a line (or between zero bytes), in the place of ``-``."""
    for argument in arguments:
        if argument == STDIN:
            text = os.fsdecode(sys.stdin.buffer.read())
            paths = text.split("\0" if "\0" in text else "\n")
            yield from (path.removesuffix("\r") for path in paths if path.strip())
        else:
            yield argument


def labels(files: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart; without the suffix of graph files, if they can be."""
    bare = {file: file.removesuffix(_graph_suffix(file)) for file in files}
    shared = Counter(bare.values())
    parts = [Path(bare[file] if shared[bare[file]] == 1 else file).parts or (file,) for file in files]
    depth = [1] * len(parts)
    while True:
        found = ["/".join(own[-k:]) for own, k in zip(parts, depth, strict=True)]
        counts = Counter(found)
        deeper = [
            k + (counts[label] > 1 and k < len(own))
            for label, own, k in zip(found, parts, depth, strict=True)
        ]
        if deeper == depth:
            return found
        depth = deeper


def _graph_suffix(file: str) -> str:
    from graphtask.storage.formats import PARSERS

    end = Path(file).suffix
    return end if end in PARSERS else ""
