"""The graphs that command-line arguments name: graph files, run folders, and folders of graph files."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CONFIG = "config.json"  # in every run folder
TRAINED = "trained.graphml"  # in a run folder, written when training is done


class Source(NamedTuple):
    """One graph."""

    label: str
    path: Path
    """The GraphML file."""
    run: Path | None
    """The folder of the run that trained it, if it was named by that."""


def is_run(path: Path) -> bool:
    """Whether the path is the folder of a training run, finished or not."""
    return (path / CONFIG).is_file()


def graph_path(path: Path) -> Path:
    """The graph file that a path stands for: itself, or the trained graph of a run folder.

    Raises:
        RunError: The run is not finished.
        FormatError: It is a folder, but not that of a run.
    """
    from graphtask.errors import FormatError, RunError

    if not path.is_dir():
        return path
    if (path / TRAINED).is_file():
        return path / TRAINED
    if is_run(path):
        raise RunError(f"{path}: the run is not finished; run the same train command again to finish it")
    raise FormatError(f"{path}: this folder holds no run; name a graph file, or the folder of a run")


def run_config(folder: Path) -> dict[str, int]:
    """The sizes of the network that the run in ``folder`` trained; read without PyTorch.

    Raises:
        RunError: The file is damaged.
    """
    from graphtask.errors import RunError

    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return {name: int(config[name]) for name in ("channels", "in_channels", "num_classes")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot be read ({error}); delete the folder and train again") from error


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say in the message of an error which file it is about, unless it says so already."""
    from graphtask.errors import GraphtaskError

    try:
        yield
    except GraphtaskError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def expand(paths: Iterable[Path]) -> list[Source]:
    """All graphs that the paths name, in the order given; those in a folder by name.

    A run folder stands for its trained graph, another folder for its ``.graphml`` files, and for the runs in it.

    Raises:
        FormatError: A folder holds no graph.
    """
    found = [source for path in paths for source in _expanded(path)]
    labels = _labels([source.run or source.path for source in found])
    return [source._replace(label=label) for source, label in zip(found, labels, strict=True)]


def _expanded(path: Path) -> list[Source]:
    from graphtask.errors import FormatError

    if is_run(path):
        return [Source("", path / TRAINED, path)]
    if not path.is_dir():
        return [Source("", path, None)]
    files = [Source("", file, None) for file in sorted(path.glob("*.graphml"))]
    runs = [Source("", folder / TRAINED, folder) for folder in sorted(path.iterdir()) if is_run(folder)]
    if not files and not runs:
        raise FormatError(
            f"{path}: no .graphml file and no run in this folder; name files, or another folder"
        )
    return [*files, *runs]


def _labels(paths: list[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart; without the suffix of graph files."""
    plain = [path.with_suffix("") if path.suffix == ".graphml" else path for path in paths]
    parts = [path.parts or (str(path),) for path in plain]
    depth = [1] * len(parts)
    while True:
        labels = ["/".join(own[-k:]) for own, k in zip(parts, depth, strict=True)]
        counts = Counter(labels)
        deeper = [
            k + (counts[label] > 1 and k < len(own))
            for label, own, k in zip(labels, parts, depth, strict=True)
        ]
        if deeper == depth:
            return labels
        depth = deeper
