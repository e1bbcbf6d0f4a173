"""``gt.report`` and ``gt.view``: runs or graphs as one HTML file."""

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import igraph

from graphtask.corpus.graph_sets import GraphSet, read_all
from graphtask.errors import ArgumentError, DisconnectedError, FormatError, GraphtaskError
from graphtask.graph import WEIGHT
from graphtask.pruning import prune
from graphtask.reporting.explorer_data import explorer_data, layout_positions, shared_positions
from graphtask.reporting.page import page
from graphtask.reporting.sections import Content, sections_of
from graphtask.storage.atomic import check_target, write_atomically
from graphtask.storage.content import about
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.terminal import valid_text
from graphtask.types import PAPER_THRESHOLD
from graphtask.validation import counted, number

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.runs.history import EdgeHistory
    from graphtask.study.study import Study

_MOST_EXPLORED = 60
"""Graphs in the explorer; more would make the file too large to send."""

_MOST_EDGES = 100_000
"""Edges in the explorer, over all graphs."""


@dataclass(frozen=True)
class Item:
    """One graph of a report with everything its run folder knows."""

    name: str
    label: str
    graph: igraph.Graph
    pruned: igraph.Graph | None
    metrics: "pd.DataFrame | None" = None
    history: "EdgeHistory | None" = None
    sweep: "pd.DataFrame | None" = None


def report(
    paths: Iterable[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    threshold: float = PAPER_THRESHOLD,
    sweeps: Mapping[str, "pd.DataFrame"] | None = None,
    title: str = "graphtask report",
) -> Path:
    """Write an HTML report of runs, graphs or studies: tables, figures, and an explorer with a threshold slider.

    The file needs no network. Without sweeps the explorer shows no scores.

    Args:
        paths: Run folders, folders of them, graph files, archives, study files (``.toml``) and folders of studies.
        out: Path of the ``.html`` file.
        threshold: Threshold τ that trained graphs are pruned at, at least 0.
        sweeps: Threshold sweep of each run (`graphtask.sweep`), by the path of its folder.
        title: Heading of the page.

    Returns:
        The path that was written.

    Raises:
        FormatError: No graph can be read.
        ArgumentError: An argument is invalid.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> gt.write(gt.full_dag(6), folder / "a.graphml")
        >>> gt.report([folder], out=folder / "report.html").name
        'report.html'
    """
    path = _html_path(out)
    least = number(threshold, name="threshold", least=0)
    studies, places = _studies(paths)
    found = read_all(places)
    check_target(path)
    items, failures = [], list(found.failures)
    for place in range(len(found)):
        try:
            items.append(_item(found, place, threshold=least, sweeps=sweeps or {}))
        except GraphtaskError as error:
            failures.append(about(found.names[place], error))
    if not items:
        raise FormatError(
            f"no graph can be used; the first of {counted(len(failures), 'failure')}: {failures[0]}"
        )
    sections = sections_of(Content(items, failures, least, studies))
    _write(path, page(title, sections, graphs=_explored(items, least)))
    return path


@dataclass(frozen=True)
class View:
    """Result of `view`: a page that a notebook shows in the output of its cell."""

    html: str
    """The whole page."""

    data: Mapping[str, Any] = field(repr=False)
    """Values of the page (`explorer_data`)."""

    @cached_property
    def widget(self) -> Any | None:
        """The page as a widget whose ``threshold`` follows the slider; None without the extra ``notebook``."""
        from graphtask.reporting.widget import explorer_widget

        return explorer_widget([self.data], threshold=self.data["threshold"])

    def __repr__(self) -> str:
        return f'View({len(self.html):,} characters; gt.view(..., out="graph.html") writes it to a file)'

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        """Return the widget where anywidget is installed, and the page in a frame for all other places."""
        shown = {} if self.widget is None else self.widget._repr_mimebundle_()[0]
        return {**shown, "text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" style="width:100%;height:760px;border:0" '
            f'sandbox="allow-scripts" title="interactive graph"></iframe>'
        )


def view(
    graph: GraphLike,
    *,
    out: str | os.PathLike[str] | None = None,
    threshold: float = 0.0,
    history: "EdgeHistory | None" = None,
    title: str = "graph",
) -> View:
    """Return the explorer of one graph as an HTML page, which a notebook shows; see `report`.

    With the extra ``notebook`` (anywidget) a notebook shows a widget: `View.widget` reads and sets its threshold.

    Args:
        graph: A valid architecture graph.
        out: Path of an ``.html`` file to write as well.
        threshold: Threshold that is shown first, at least 0.
        history: Edge history of its training, for the sparklines.
        title: Heading of the page.

    Raises:
        ArgumentError: An argument is invalid.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> page = gt.view(gt.full_dag(6), out=pathlib.Path(tempfile.mkdtemp()) / "graph.html")
        >>> page.html[:15]
        '<!DOCTYPE html>'
    """
    path = None if out is None else _html_path(out)
    least = number(threshold, name="threshold", least=0)
    graph = valid_graph(graph)
    data = explorer_data(
        graph, name=title, threshold=least, history=history, positions=layout_positions(graph)
    )
    found = View(page(title, (), graphs=[data]), data)
    if path is not None:
        _write(path, found.html)
    return found


def _studies(paths: Iterable[str | os.PathLike[str]]) -> "tuple[list[Study], list[str]]":
    """Return the studies among the paths, and all paths with study files replaced by the folders of their runs."""
    from graphtask.study.spec import SNAPSHOT
    from graphtask.study.study import Study

    studies, places = [], []
    for path in map(Path, paths):
        if path.suffix == ".toml" or (path / SNAPSHOT).exists():
            studies.append(Study.read(path))
            path = studies[-1].out  # noqa: PLW2901 - the runs of the study
        places.append(str(path))
    return studies, places


def _item(found: GraphSet, place: int, *, threshold: float, sweeps: Mapping[str, "pd.DataFrame"]) -> Item:
    from graphtask.runs.history import load_history
    from graphtask.runs.layout import HISTORY, METRICS, is_run
    from graphtask.runs.manifest import check_files
    from graphtask.runs.metrics import read_metrics

    graph, name = found.graphs[place], found.names[place]
    folder, shown = Path(name), _short_names(found.names)[place]
    metrics = history = None
    if is_run(folder):
        check_files(folder, (METRICS, HISTORY))
        metrics, history = read_metrics(folder), load_history(folder / HISTORY)
    return Item(
        shown, found.labels[place], graph, _pruned(graph, threshold), metrics, history, sweeps.get(name)
    )


def _short_names(names: Sequence[str]) -> list[str]:
    """Return the names without the folders that all of them share."""
    parents = [os.path.dirname(os.path.abspath(name)) for name in names]  # noqa: PTH100, PTH120 - texts, not files
    shared = os.path.commonpath(parents)
    return [valid_text(os.path.relpath(os.path.abspath(name), shared)) for name in names]  # noqa: PTH100


def _pruned(graph: igraph.Graph, threshold: float) -> igraph.Graph | None:
    if WEIGHT not in graph.es.attributes():
        return graph
    try:
        return prune(graph, threshold=threshold)
    except DisconnectedError:
        return None


def _explored(items: list[Item], threshold: float) -> list[dict[str, Any]]:
    chosen: list[Item] = []
    n_edges = 0
    for item in items[:_MOST_EXPLORED]:
        n_edges += item.graph.ecount()
        if chosen and n_edges > _MOST_EDGES:
            break
        chosen.append(item)
    places = {item.name: positions for item, positions in zip(chosen, _positions(chosen), strict=True)}
    return [
        explorer_data(
            item.graph,
            name=item.name,
            label=item.label,
            threshold=threshold if WEIGHT in item.graph.es.attributes() else 0.0,
            history=item.history,
            sweep=item.sweep,
            positions=places[item.name],
        )
        for item in chosen
    ]


def _positions(items: list[Item]) -> list[dict[str, tuple[float, float]]]:
    """Return the same positions for graphs on the same nodes, so that they can be compared by eye."""
    groups: dict[frozenset[str], list[igraph.Graph]] = {}
    keys = [frozenset(map(str, item.graph.vs["name"])) for item in items]
    for key, item in zip(keys, items, strict=True):
        groups.setdefault(key, []).append(item.graph)
    try:
        shared = {key: shared_positions(graphs) for key, graphs in groups.items()}
    except GraphtaskError:  # equal names with contradicting orders: no common layout
        return [layout_positions(item.graph) for item in items]
    return [shared[key] for key in keys]


def _html_path(out: str | os.PathLike[str]) -> Path:
    path = Path(out)
    if path.suffix.lower() not in {".html", ".htm"}:
        raise ArgumentError(f"out must end in .html, got {path.name}", argument="out")
    return path


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))
