"""Write docs/reference/*.md, the API reference, from the list of public names in graphtask/__init__.pyi.

The site's configuration runs it before each build, so the pages are not in the repository.
"""

import inspect
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).with_name("reference")


class Group(NamedTuple):
    """A page of the reference: its title, what it covers, and the modules whose public names it lists."""

    file: str
    title: str
    summary: str
    modules: tuple[str, ...]


GROUPS = (
    Group(
        "graphs",
        "Graphs and initial graphs",
        "Make, check and orient architecture graphs.",
        ("graph", "priors", "edge_sets"),
    ),
    Group(
        "files",
        "Files and other libraries",
        "Read and write graphs; convert to and from other libraries.",
        ("reading", "storage", "corpus"),
    ),
    Group(
        "compile",
        "Compilation",
        "Turn a graph into a `torch.nn.Module`, and its weights back into the graph.",
        ("compiler", "blocks", "tracing"),
    ),
    Group(
        "train",
        "Training",
        "Train, resume, sweep thresholds, retrain.",
        ("training", "tasks", "runs", "data"),
    ),
    Group("measure", "Pruning and metrics", "Threshold, remove dead paths, measure.", ("pruning", "metrics")),
    Group(
        "compare",
        "Comparison and tests",
        "Compare sets of graphs, test hypotheses, fit distributions.",
        ("comparison", "features", "inference", "distribution"),
    ),
    Group("dynamics", "Edge dynamics", "Trajectories of edge weights during training.", ("dynamics",)),
    Group("draw", "Pictures and reports", "Draw graphs and results.", ("drawing", "plot", "reporting")),
    Group("study", "Studies", "Many runs from one file.", ("study", "engines")),
    Group("errors", "Errors", "Every error that graphtask raises on purpose.", ("errors",)),
)
_IMPORT = re.compile(r"^from \.([\w.]*) import (\w+) as \w+", re.MULTILINE)


def public_names() -> dict[str, str]:
    """Return the module of every public name, by name."""
    stub = (ROOT / "graphtask" / "__init__.pyi").read_text(encoding="utf-8")
    return {name: module or name for module, name in _IMPORT.findall(stub)}


def pages() -> dict[Path, str]:
    """Return the text of every page by its path.

    Raises:
        ValueError: A public name belongs to no group.
    """
    names = public_names()
    homeless = {name for name, module in names.items() if not any(_covers(group, module) for group in GROUPS)}
    if homeless:
        raise ValueError(
            f"docs/make_api.py: no group covers {', '.join(sorted(homeless))}; add their modules"
        )
    written = {FOLDER / f"{group.file}.md": _page(group, names) for group in GROUPS}
    entries = "\n".join(group.file for group in GROUPS)
    index = (
        "# API reference\n\nEverything below is available as `gt.<name>` after `import graphtask as gt`; "
        "each name is loaded on first use.\n\n"
    )
    return written | {FOLDER / "index.md": f"{index}```{{toctree}}\n{entries}\n```\n"}


def write() -> None:
    """Write all pages; leave those that are the same untouched."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _covers(group: Group, module: str) -> bool:
    return module.partition(".")[0] in group.modules


def _page(group: Group, names: dict[str, str]) -> str:
    import graphtask

    own = [name for name, module in names.items() if _covers(group, module)]
    entries = [
        entry
        for name in own
        for entry in _entries(f"graphtask.{name}", getattr(graphtask, name), graphtask.__all__)
    ]
    body = "\n".join(entries)
    return f"# {group.title}\n\n{group.summary}\n\n```{{eval-rst}}\n.. currentmodule:: graphtask\n\n{body}\n```\n"


def _entries(path: str, value: object, root: Collection[str]) -> Iterator[str]:
    """Yield the directive of a name; for a namespace such as ``gt.plot`` those of its names."""
    if inspect.ismodule(value):
        for name in getattr(value, "__all__", None) or _defined(value):
            if name not in root:  # listed as gt.<name> already
                yield from _entries(f"{path}.{name}", getattr(value, name), root)
    elif not isinstance(value, dict):  # whose docstring would be that of dict
        yield f".. auto{_kind(value)}:: {path}\n"


def _defined(module: ModuleType) -> list[str]:
    """Return the public names that a module defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if callable(value) else "data"


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{FOLDER}\n")
