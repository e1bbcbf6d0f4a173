"""Sets of graphs with labels: the data set, the prior, or the folder of each graph."""

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
from graphtask.pruning import check_relative, prune
from graphtask.reading import Reading, ReadOptions, from_bytes
from graphtask.runs.labels import prior_label
from graphtask.storage.content import about
from graphtask.terminal import valid_text
from graphtask.validation import invalid

ARGUMENT = "argument"
DATASET = "dataset"
FOLDER = "folder"
PRIOR = "prior"

Paths = Iterable[str | os.PathLike[str]]


@dataclass(frozen=True, kw_only=True)
class GraphSet:
    """Graphs with their labels; all sequences are in the order in which the graphs were named."""

    graphs: tuple[igraph.Graph, ...]
    """The graphs."""
    labels: tuple[str, ...]
    """Group of each graph; empty if unknown."""
    sources: tuple[str, ...]
    """File of each graph, with its path inside an archive."""
    names: tuple[str, ...]
    """Folder of the run of each graph, or else its file."""
    failures: tuple[str, ...] = ()
    """One line for each graph that was omitted, with the reason."""

    def __len__(self) -> int:
        return len(self.graphs)

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import graphs_card

        return graphs_card(self)

    def groups(self) -> dict[str, list[igraph.Graph]]:
        """Return the graphs of each label, in the order in which the labels first occur."""
        grouped: dict[str, list[igraph.Graph]] = {}
        for label, graph in zip(self.labels, self.graphs, strict=True):
            grouped.setdefault(label, []).append(graph)
        return grouped

    def known(self, key: str) -> tuple[str, ...]:
        """Return the text for ``key`` in the provenance of each graph; empty where it is missing."""
        return tuple(valid_text(_known(graph, key)) for graph in self.graphs)


def read_all(
    paths: Paths,
    *,
    by: str = "dataset",
    threshold: float | None = None,
    relative: bool = False,
    strict: bool = False,
    stages: int | Sequence[int] | None = None,
    join: bool = False,
    merge: bool = False,
    order: Order | None = None,
    drop_isolated: bool = False,
    reading: Reading = "strict",
) -> GraphSet:
    """Read all graphs that the paths name, prune them if requested, and label each with its group.

    A graph that cannot be read, or that becomes disconnected at the threshold, is omitted, and so is a folder without
    graphs; ``failures`` of the result lists them with the reasons.

    Args:
        paths: Graph files, folders, runs, archives and patterns, as for `measure_files`.
        by: Source of the label: ``"dataset"``; ``"prior"``, with its numbers (``banded-10``); ``"folder"``, the name
            of the folder that holds the file (or the run); ``"argument"``, the path by which the graph was found; or a
            key of the provenance, such as ``"seed"`` or ``"threshold"``, or of the arguments of its prior, such as
            ``"p"``. The label of a graph without that key is empty.
        threshold: Prune the graphs with this threshold first.
        relative: Compare weights relative to the strongest edge into the same node with the threshold; see `prune`.
        strict: If True, the first graph that cannot be used is an error.
        stages: For graphs without stages; see `read`, also for the next five.
        join: If True, several inputs (outputs) get one new node.
        merge: If True, duplicate edges become one.
        order: For graphs that are undirected or have cycles.
        drop_isolated: If True, vertices without edges are removed.
        reading: ``"strict"``, or ``"auto"`` for the fewest changes that make a graph valid.

    Raises:
        FormatError: No graph at all can be used.
        GraphtaskError: With ``strict``, the error of the first graph that cannot be used.
        ArgumentError: ``paths`` is a single path, or empty.

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
        raise invalid("paths", "a list of paths", os.fspath(paths))
    named = list(paths)
    arguments = argument_labels(named)
    found = [(entry, label) for path, label in zip(named, arguments, strict=True) for entry in find([path])]
    return read_entries(
        [entry for entry, _ in found],
        by=by,
        threshold=threshold,
        relative=relative,
        strict=strict,
        reading=ReadOptions(
            stages=stages, join=join, merge=merge, order=order, drop_isolated=drop_isolated, reading=reading
        ),
        arguments=[label for _, label in found],
    )


def read_entries(
    entries: Sequence[Entry],
    *,
    by: str,
    threshold: float | None,
    relative: bool = False,
    reading: ReadOptions,
    arguments: Sequence[str] | None = None,
    strict: bool = False,
) -> GraphSet:
    """Read the graphs of these entries; see `read_all`.

    Args:
        entries: Result of `graphtask.corpus.entries.find`.
        by: Source of the label.
        threshold: Prune the graphs with this threshold first.
        relative: Compare weights relative to the strongest edge into the same node with the threshold; see `prune`.
        reading: How to read graphs that lack stages, or have several inputs or outputs.
        arguments: Label of each entry if ``by`` is ``"argument"``.
        strict: If True, the first graph that cannot be used is an error.

    Raises:
        FormatError: No graph at all can be used.
        GraphtaskError: With ``strict``, the error of the first graph that cannot be used.
    """
    if not entries:
        raise ArgumentError("paths must name at least one graph file, run or folder")
    check_relative(relative, threshold=threshold)
    labels = list(arguments) if arguments is not None else [""] * len(entries)
    kept: list[tuple[igraph.Graph, str, Entry]] = []
    failures: list[str] = []
    for content, argument in zip(contents(entries), labels, strict=True):
        try:
            graph = _graph(content, threshold=threshold, relative=relative, reading=reading)
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
        labels=tuple(valid_text(label) for _, label, _ in kept),
        sources=tuple(entry.file for _, _, entry in kept),
        names=tuple(entry.run or entry.file for _, _, entry in kept),
        failures=tuple(failures),
    )


def label_of(graph: igraph.Graph, entry: Entry, *, by: str) -> str:
    """Return the group of a graph; see `read_all`.

    Example:
        >>> import graphtask as gt
        >>> label_of(gt.full_dag(3), Entry("runs/cmnist/0.graphml"), by="folder")
        'cmnist'
    """
    return _folder(entry) if by == FOLDER else _known(graph, by)


def argument_labels(paths: Paths) -> list[str]:
    """Return the labels of paths: the shortest ends of the paths that distinguish them.

    Example:
        >>> argument_labels(["runs/cmnist/full", "runs/cifar10/full", "more/"])
        ['cmnist/full', 'cifar10/full', 'more']
    """
    parts = [Path(path).parts or (".",) for path in paths]
    return ["/".join(_shortest_end(own, others=parts)) for own in parts]


def _graph(
    content: Content, *, threshold: float | None, relative: bool, reading: ReadOptions
) -> igraph.Graph:
    if content.error is not None:
        raise content.error
    assert content.content is not None
    graph = from_bytes(content.content, name=content.entry.file, options=reading)
    return graph if threshold is None else prune(graph, threshold=threshold, relative=relative)


def _folder(entry: Entry) -> str:
    """Return the name of the folder of a run or a file; for a member at the top of an archive, that of the archive."""
    return PurePath(os.path.abspath(entry.run or entry.file)).parent.name  # noqa: PTH100 - links stay as they are


def _known(graph: igraph.Graph, key: str) -> str:
    known = provenance(graph)
    prior = known.get(PRIOR)
    if key == PRIOR:
        return prior_label(prior)
    if key == DATASET:
        key = "data"
    arguments = prior.get("arguments") if isinstance(prior, Mapping) else None
    default = arguments.get(key) if isinstance(arguments, Mapping) else None
    return _text(known.get(key, default))


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
