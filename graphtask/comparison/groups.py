"""Labels of graphs, as groups."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.types import IntArray
from graphtask.validation import counted


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of graphs, in the order of their first graphs."""

    names: tuple[str, ...]
    """Names of the groups."""
    codes: IntArray
    """Position in ``names`` of the group of each graph, shape (graphs,)."""

    @property
    def sizes(self) -> IntArray:
        """Number of graphs in each group, shape (groups,)."""
        return np.bincount(self.codes, minlength=len(self.names))


def groups_of(labels: Sequence[str], *, n_graphs: int) -> Groups:
    """Return the groups that labels name.

    Args:
        labels: One label for each graph.
        n_graphs: Number of graphs.

    Raises:
        ArgumentError: There is not one label for each graph, or a label is empty.

    Example:
        >>> found = groups_of(["b", "a", "b"], n_graphs=3)
        >>> found.names, found.codes.tolist(), found.sizes.tolist()
        (('b', 'a'), [0, 1, 0], [2, 1])
    """
    if isinstance(labels, str) or len(labels) != n_graphs:
        n_labels = 1 if isinstance(labels, str) else len(labels)
        raise ArgumentError(
            f"labels must be one for each graph, got {counted(n_labels, 'label')} for {counted(n_graphs, 'graph')}",
            argument="labels",
        )
    texts = [str(label) for label in labels]
    missing = Counter(texts)[""]
    if missing:
        raise ArgumentError(
            f"labels must not be empty, got {missing} empty ones for {counted(n_graphs, 'graph')}; group the graphs by "
            f"something else with by= ('folder', 'prior', 'argument' …)",
            argument="labels",
        )
    names = tuple(dict.fromkeys(texts))
    position = {name: index for index, name in enumerate(names)}
    return Groups(names=names, codes=np.asarray([position[text] for text in texts], dtype=np.int64))


def group_order(labels: Sequence[str]) -> IntArray:
    """Return the graphs group by group: groups in the order of their first graphs, graphs in their order.

    Example:
        >>> group_order(["b", "a", "b", "a"]).tolist()
        [0, 2, 1, 3]
    """
    codes = groups_of(labels, n_graphs=len(labels)).codes
    return np.argsort(codes, kind="stable")
