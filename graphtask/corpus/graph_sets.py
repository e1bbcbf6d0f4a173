"""Sets of graphs, each with a label that says which group it belongs to: its data set, its prior, its folder."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import igraph

from graphtask.corpus.contents import Content, contents
from graphtask.corpus.entries import Entry, find
from graphtask.errors import ArgumentError, FormatError, GraphtaskError
from graphtask.graph import provenance
from graphtask.priors.orient import Order
from graphtask.pruning import prune
from graphtask.reading import ReadOptions, from_bytes
from graphtask.runs.labels import prior_label
from graphtask.storage.content import about

ARGUMENT = "argument"
FOLDER = "folder"
PRIOR = "prior"

Paths = Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, kw_only=True)
class GraphSet:
    """Graphs with their labels; all sequences are in the order in which the graphs were named."""

    graphs: tuple[igraph.Graph, ...]
    """The graphs."""
    labels: tuple[str, ...]
    """The group of each graph; empty where nothing says so."""
    sources: tuple[str, ...]
    """The file of each graph, with its name inside of an archive."""
    names: tuple[str, ...]
    """What each graph was found by: the folder of its run, or else its file."""
    failures: tuple[str, ...] = ()
    """One line for each graph that was left out, and why."""

    def __len__(self) -> int:
        return len(self.graphs)

    def groups(self) -> dict[str, list[igraph.Graph]]:
        """The graphs of each label, in the order in which the labels first come up."""
        grouped: dict[str, list[igraph.Graph]] = {}
        for label, graph in zip(self.labels, self.graphs, strict=True):
            grouped.setdefault(label, []).append(graph)
        return grouped

    def known(self, key: str) -> tuple[str, ...]:
        """What each graph knows about ``key`` of its provenance, in words; empty where it knows nothing."""
        return tuple(_known(graph, key) for graph in self.graphs)


def read_all(
    paths: Paths,
    *,
    by: str = "data",
    threshold: float | None = None,
    strict: bool = False,
    stages: int | Sequence[int] | None = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
) -> GraphSet:
    """Read all graphs that the paths name, prune them if asked, and label each with the group it belongs to.

    A graph that cannot be read, or that falls apart at the threshold, is left out, and so is a folder without graphs;
    ``failures`` of the result says which and why.

    Args:
        paths: Graph files, folders, runs, archives and patterns, as `graphtask.corpus.entries.find` takes them.
        by: What the label is: ``"folder"``, the name of the folder that holds the file (or the run); ``"argument"``,
            the path by which the graph was found; or else a key of the provenance, such as ``"data"``, ``"prior"``
            (with its numbers: ``banded-10``), ``"seed"`` or ``"threshold"``, or of the arguments of its prior, such as
            ``"p"``. What a graph does not know about itself is the empty label.
        threshold: Prune the graphs with this threshold first.
        strict: Whether the first graph that cannot be used is an error.
        stages: For graphs without stages; see `read`, also for the next three.
        join: Whether several inputs (outputs) get one new vertex.
        merge: Whether duplicate edges become one.
        order: For graphs that are undirected or have cycles.

    Raises:
        FormatError: No graph at all can be used.
        GraphtaskError: With ``strict``: whatever is wrong with the first graph that cannot be used.
        ArgumentError: ``paths`` is a single path, or names nothing.

    Example:
        >>> import pathlib, tempfile, graphtask as gt
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> gt.write(gt.full_dag(4), folder / "a.graphml")
        >>> gt.write(gt.chain_dag(4), folder / "b.graphml")
        >>> graphs = gt.read_all([folder], by="prior")
        >>> graphs.labels, [graph.ecount() for graph in graphs.graphs]
        (('full', 'chain'), [6, 3])
    """
    if isinstance(paths, str | os.PathLike):
        raise ArgumentError(f"paths={os.fspath(paths)!r} is one path; give a list of them: [{paths!r}]")
    named = list(paths)
    arguments = argument_labels(named)
    found = [(entry, label) for path, label in zip(named, arguments, strict=True) for entry in find([path])]
    return read_entries(
        [entry for entry, _ in found],
        by=by,
        threshold=threshold,
        strict=strict,
        reading=ReadOptions(stages=stages, join=join, merge=merge, order=order),
        arguments=[label for _, label in found],
    )


def read_entries(
    entries: Sequence[Entry],
    *,
    by: str,
    threshold: float | None,
    reading: ReadOptions,
    arguments: Sequence[str] | None = None,
    strict: bool = False,
) -> GraphSet:
    """The graphs of these entries; see `read_all`.

    Args:
        entries: What `graphtask.corpus.entries.find` found.
        by: What the label is.
        threshold: Prune the graphs with this threshold first.
        reading: How graphs are read that are not as ours are.
        arguments: The label of each entry if ``by`` is ``"argument"``.
        strict: Whether the first graph that cannot be used is an error.

    Raises:
        FormatError: No graph at all can be used.
        GraphtaskError: With ``strict``: whatever is wrong with the first graph that cannot be used.
    """
    if not entries:
        raise ArgumentError("no graphs are named; name at least one graph file, run or folder")
    labels = list(arguments) if arguments is not None else [""] * len(entries)
    kept: list[tuple[igraph.Graph, str, Entry]] = []
    failures: list[str] = []
    for content, argument in zip(contents(entries), labels, strict=True):
        try:
            graph = _graph(content, threshold=threshold, reading=reading)
        except GraphtaskError as error:
            line = about(content.entry.file, error)
            if strict:
                raise type(error)(line) from error
            failures.append(line)
            continue
        kept.append(
            (graph, argument if by == ARGUMENT else label_of(graph, content.entry, by=by), content.entry)
        )
    if not kept:
        raise FormatError(f"no graph can be used; the first of {len(entries)}: {failures[0]}")
    return GraphSet(
        graphs=tuple(graph for graph, _, _ in kept),
        labels=tuple(label for _, label, _ in kept),
        sources=tuple(entry.file for _, _, entry in kept),
        names=tuple(entry.run or entry.file for _, _, entry in kept),
        failures=tuple(failures),
    )


def label_of(graph: igraph.Graph, entry: Entry, *, by: str) -> str:
    """The group that a graph belongs to; see `read_all`.

    Example:
        >>> import graphtask as gt
        >>> label_of(gt.full_dag(3), Entry("runs/cmnist/0.graphml"), by="folder")
        'cmnist'
    """
    return _folder(entry) if by == FOLDER else _known(graph, by)


def argument_labels(paths: Paths) -> list[str]:
    """What groups are called that arguments name: the shortest ends of the paths that tell them apart.

    Example:
        >>> argument_labels(["runs/cmnist/full", "runs/cifar10/full", "more/"])
        ['cmnist/full', 'cifar10/full', 'more']
    """
    parts = [Path(path).parts or (".",) for path in paths]
    return ["/".join(_shortest_end(own, others=parts)) for own in parts]


def _graph(content: Content, *, threshold: float | None, reading: ReadOptions) -> igraph.Graph:
    if content.error is not None:
        raise content.error
    assert content.content is not None
    graph = from_bytes(content.content, name=content.entry.file, options=reading)
    return graph if threshold is None else prune(graph, threshold=threshold)


def _folder(entry: Entry) -> str:
    """The name of the folder around a run or a file; of a member at the top of an archive, that of the archive."""
    return PurePath(os.path.abspath(entry.run or entry.file)).parent.name  # noqa: PTH100 - links stay as they are


def _known(graph: igraph.Graph, key: str) -> str:
    known = provenance(graph)
    prior = known.get(PRIOR)
    if key == PRIOR:
        return prior_label(prior)
    arguments = prior.get("arguments") if isinstance(prior, Mapping) else None
    told = arguments.get(key) if isinstance(arguments, Mapping) else None
    return _text(known.get(key, told))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return str(value.get("name", ""))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shortest_end(own: tuple[str, ...], *, others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    different = [other for other in others if other != own]
    lengths = range(1, len(own))
    return next((own[-k:] for k in lengths if all(other[-k:] != own[-k:] for other in different)), own)
