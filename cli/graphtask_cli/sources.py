"""Graphs that command-line arguments name: graph files, run folders, and folders of graph files."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from graphtask_cli.messages import note, problem, warn
from graphtask_cli.streams import STREAM, is_stream, read_stream

if TYPE_CHECKING:
    import igraph

T = TypeVar("T")

_STANDARD = [(None, None, task) for task in (None, "classification")]  # block, head and task of a run

STDIN = STREAM  # in the commands on many graphs it stands for their paths


class Source(NamedTuple):
    """One graph."""

    label: str
    path: Path
    """The file."""
    run: Path | None
    """Folder of the run that trained it, if that names the graph."""


def is_run(path: Path) -> bool:
    """Return True for the folder of a training run, finished or not."""
    from graphtask.runs.layout import is_run as is_run_folder

    return is_run_folder(path)


def graph_path(path: Path) -> Path:
    """Return the graph file of a path: itself, or the trained graph of a run folder.

    Raises:
        RunError: The run is not finished.
        FormatError: It is another folder.
    """
    from graphtask.errors import FormatError, RunError
    from graphtask.runs.layout import TRAINED
    from graphtask.runs.manifest import check_files
    from graphtask.runs.status import explain_status, is_finished

    if not path.is_dir():
        return path
    if is_finished(path):
        check_files(path, (TRAINED,))
        return path / TRAINED
    if is_run(path):
        raise RunError(f"{path}: {explain_status(path)}")
    raise FormatError(f"{path}: not a run folder; pass a graph file or the folder of a run")


def run_config(folder: Path) -> dict[str, int]:
    """Return the sizes of the trained network of a run; read without PyTorch.

    Raises:
        RunError: The file is damaged.
    """
    from graphtask.runs.config import read_config

    config = read_config(folder)
    return {
        "channels": config["model"]["channels"],
        "in_channels": config["in_channels"],
        "n_classes": config["n_classes"],
        "size": config["size"][0],
    }


def run_blocks(folder: Path, *, imports: Collection[str]) -> dict[str, Any]:
    """Return ``block`` and ``head`` of the network of a run, if they are not the standard ones.

    Raises:
        RunError: The file is damaged, or the run has custom code that is not in ``imports``.
    """
    from graphtask.runs.config import read_config

    config = read_config(folder)
    if (config["model"].get("block"), config["model"].get("head"), config["data"].get("task")) in _STANDARD:
        return {}
    import graphtask as gt

    ends = gt.Run.open(folder, imports=imports).ends
    return {name: ends[name] for name in ("block", "head")}


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the name of a file before the message of an error, unless the message begins with it."""
    from graphtask.errors import ArgumentError, GraphtaskError

    try:
        yield
    except GraphtaskError as error:
        if str(error).startswith(str(path)):  # elsewhere the name may be a word like any other
            raise
        if isinstance(error, ArgumentError):
            raise type(error)(f"{path}: {error}", argument=error.argument) from error
        raise type(error)(f"{path}: {error}") from error


def read_graph(path: Path, **reading: Any) -> "igraph.Graph":
    """Return the graph of a file; a message reports that --stages did not apply.

    Args:
        path: The file; ``-`` for standard input.
        **reading: Values of `graphtask_cli.options.reading_options`.

    Raises:
        GraphtaskError: The file cannot be read, or the graph is invalid.
    """
    import graphtask as gt
    from graphtask.reading import kept_its_stages

    if is_stream(path):
        with named(path):
            graph = read_stream(**reading)
    else:
        graph = gt.read(path, **reading)
    if kept_its_stages(graph, reading.get("stages")):
        warn(f"{path}: --stages is ignored, because the graph has stages")
    for line in gt.provenance(graph).get("reading", []):
        note(f"{path}: {line}")
    return graph


def expand(paths: Iterable[Path]) -> list[Source]:
    """Return all graphs that the paths name, in the order given; ``-`` is the graph on standard input.

    See `graphtask.corpus.entries.find` for all other paths.

    Raises:
        FormatError: A folder holds no graph, a pattern matches nothing, or a graph is in an archive.
    """
    from graphtask.corpus.entries import find
    from graphtask.errors import FormatError

    paths = list(paths)
    if any(map(is_stream, paths)):
        if len(paths) > 1:
            raise FormatError("- (standard input) must be the only graph")
        return [Source("graph", Path(STREAM), None)]
    found = find(paths)
    for entry in found:
        if entry.place >= 0:
            raise FormatError(
                f"{entry.path}: cannot be read from an archive here; unpack it, and pass the folder"
            )
        if entry.problem and not entry.run:
            raise FormatError(f"{entry.path}: {entry.problem}")
    return [
        Source(label, Path(entry.path), Path(entry.run) if entry.run else None)
        for label, entry in zip(labels([entry.run or entry.file for entry in found]), found, strict=True)
    ]


def run_folders(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the folders of the runs that the paths name, by label; other graphs in a folder are skipped.

    Raises:
        RunError: A path is a graph file, or names no run.
        FormatError: A folder holds nothing, or a pattern matches nothing.
    """
    from graphtask.errors import RunError

    folders: dict[Path, None] = {}
    for path in paths:
        if path.is_file():
            raise RunError(f"{path}: not a folder; pass the folder of a run, or a folder of runs")
        found = [source.run for source in expand([path]) if source.run is not None]
        if not found:
            there = "no run in this folder" if path.is_dir() else "folder not found"
            raise RunError(f"{path}: {there}; `graphtask train` makes a run")
        folders |= dict.fromkeys(found)
    return dict(zip(labels([str(folder) for folder in folders]), folders, strict=True))


def opened(folders: Mapping[str, Path], opener: Callable[[Path], T]) -> Iterator[tuple[str, T]]:
    """Yield the result of ``opener`` for each folder, with its label; a message reports each failure.

    Raises:
        GraphtaskError: The first failure, if all folders fail.
        RunInterruptedError: A stop was requested.
    """
    from graphtask.errors import GraphtaskError, RunInterruptedError

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
            problem(f"{error}; left out")
        else:
            yield label, found


def listed(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the arguments; ``-`` stands for the paths on standard input, one per line or between zero bytes.

    Raises:
        FormatError: Standard input is a graph.
    """
    from graphtask.errors import FormatError

    for argument in arguments:
        if argument == STDIN:
            text = os.fsdecode(sys.stdin.buffer.read())
            if text.lstrip().startswith(("<", "{")):
                raise FormatError(
                    "standard input must be paths, one per line, got a graph; write it to a file first"
                )
            paths = text.split("\0" if "\0" in text else "\n")
            yield from (path.removesuffix("\r") for path in paths if path.strip())
        else:
            yield argument


def labels(files: Sequence[str]) -> list[str]:
    """Return the shortest ends of the paths that are unique, if possible without the suffix of graph files."""
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
    from graphtask.storage.formats import is_graph_name, suffix

    return file[-len(suffix(file)) :] if is_graph_name(file) else ""
