"""Graphs that a command compares: their names, groups and features, and the graphs themselves if they are at hand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.terminal import valid_text
from graphtask.validation import counted
from graphtask_cli.messages import progress, warn, warn_of_each
from graphtask_cli.sources import labels as short_names
from graphtask_cli.sources import named

if TYPE_CHECKING:
    import igraph
    import pandas as pd

_NAMES = ("graph", "run", "file")  # columns that identify the graph of a row
_ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Graphs to compare; all fields are in the same order."""

    names: list[str]
    """Name of each graph."""
    labels: list[str]
    """The group of each graph."""
    keys: list[str]
    """Key that pairs it with a graph of another group; empty without one."""
    features: "pd.DataFrame"
    """One row per graph."""
    graphs: "list[igraph.Graph] | None"
    """The graphs; None if only their features are known."""

    def taken(self, rows: Sequence[int]) -> "Collection":
        """Return the graphs at these positions."""
        return replace(
            self,
            names=[self.names[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            keys=[self.keys[row] for row in rows],
            features=self.features.iloc[list(rows)].reset_index(drop=True),
            graphs=None if self.graphs is None else [self.graphs[row] for row in rows],
        )

    def of(self, groups: Sequence[str]) -> "Collection":
        """Return the graphs of these groups, group by group.

        Raises:
            ArgumentError: A group has no graph.
        """
        from graphtask.errors import ArgumentError

        known = dict.fromkeys(self.labels)
        missing = [group for group in groups if group not in known]
        if missing:
            there = ", ".join(name or "(none)" for name in known)
            raise ArgumentError(f"unknown group {missing[0]!r}; the groups are {there}")
        return self.taken([row for group in groups for row, own in enumerate(self.labels) if own == group])

    def in_pairs(self, key: str) -> "Collection":
        """Return the graphs with a partner in every group, in the same order in every group.

        Args:
            key: Name of the keys, for messages.

        Raises:
            ArgumentError: A group has two graphs of the same key, or there are fewer than two keys in all groups.
        """
        from graphtask.errors import ArgumentError

        if not any(self.keys):
            raise ArgumentError(f"no graph records its {key}; pair by another key")
        known = [pair for pair in zip(self.labels, self.keys, strict=True) if pair[1]]
        (pair, n_times), *_ = Counter(known).most_common(1)
        if n_times > 1:
            raise ArgumentError(
                f"group {pair[0]!r} has {n_times} graphs with {key} {pair[1]!r}; pairs need one"
            )
        groups = list(dict.fromkeys(self.labels))
        place = {pair: row for row, pair in enumerate(zip(self.labels, self.keys, strict=True))}
        shared = [
            own for own in dict.fromkeys(self.keys) if own and all((group, own) in place for group in groups)
        ]
        if len(shared) < 2:
            raise ArgumentError(
                f"{counted(len(shared), 'value')} of {key} in all groups; pairs need at least two"
            )
        n_alone = len(self.names) - len(shared) * len(groups)
        if n_alone:
            warn(f"not tested: {n_alone} of {len(self.names)} graphs have no partner by {key} in every group")
        return self.taken([place[group, own] for group in groups for own in shared])


def from_files(
    paths: Sequence[str], *, by: str, pair_by: str | None, metrics: Sequence[str], **reading: Any
) -> Collection:
    """Read and measure the graphs that the paths name; messages report the graphs that are left out.

    Args:
        paths: As `graphtask.read_all` takes them.
        by: Key of the groups.
        pair_by: Key of the pairs.
        metrics: Names of metrics.
        reading: Further arguments of `graphtask.read_all`.

    Raises:
        FormatError: No graph can be used.
    """
    import graphtask as gt

    found = gt.read_all(paths, by=by, **reading)
    warn_of_each(found.failures, prefix="left out: ")
    with progress(visible=len(found) > 1) as bar:
        table = gt.measure_all(bar.track(found.graphs, description="measuring"), metrics=metrics)
    return Collection(
        names=list(map(valid_text, short_names(found.names))),
        labels=list(found.labels),
        keys=list(found.known(pair_by)) if pair_by else [""] * len(found),
        features=table,
        graphs=list(found.graphs),
    )


def from_table(path: Path, *, by: str, pair_by: str | None, features: Sequence[str] | None) -> Collection:
    """Read features of graphs from a table; messages report the rows that are left out.

    Args:
        path: The file.
        by: The column of the groups.
        pair_by: The column that pairs are made by.
        features: The columns to compare by.

    Raises:
        FormatError: The file holds no table.
        ArgumentError: A column is missing, or no row has features.
    """
    import graphtask as gt
    from graphtask.features.samples import numeric_columns

    table = gt.read_table(path)
    for column in filter(None, (by, pair_by)):
        if column not in table.columns:
            there = ", ".join(map(str, table.columns))
            raise gt.errors.ArgumentError(f"{path}: unknown column {column!r}; the columns are {there}")
    with named(path):
        chosen = numeric_columns(table, features)
    usable = table[chosen].notna().any(axis=1)
    if _ERROR in table.columns:
        usable &= _texts(table, _ERROR) == ""
    names = _texts(table, next((name for name in _NAMES if name in table.columns), by))
    warn_of_each(names[~usable].tolist(), prefix="left out, without features: ")
    if not usable.any():
        raise gt.errors.ArgumentError(f"{path}: no row has features; measure the graphs first")
    return Collection(
        names=names[usable].tolist(),
        labels=_texts(table, by)[usable].tolist(),
        keys=_texts(table, pair_by)[usable].tolist() if pair_by else [""] * int(usable.sum()),
        features=table.loc[usable, chosen].reset_index(drop=True),
        graphs=None,
    )


def _texts(table: "pd.DataFrame", column: str) -> "pd.Series[str]":
    """Return a column as text; integers that missing values turned into floats are integers again."""
    return table[column].map(
        lambda value: "" if value != value else f"{value:g}" if isinstance(value, float) else str(value)  # noqa: PLR0124
    )
