"""Labels of graphs: which group each belongs to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.types import IntArray
from graphtask.validation import counted


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups of graphs, in the order in which they first come up."""

    names: tuple[str, ...]
    """What they are called."""
    codes: IntArray
    """The position in ``names`` of the group of each graph, shape (graphs,)."""

    @property
    def sizes(self) -> IntArray:
        """The number of graphs in each group, shape (groups,)."""
        return np.bincount(self.codes, minlength=len(self.names))


def groups_of(labels: Sequence[str], *, n_graphs: int) -> Groups:
    """The groups that the labels of graphs name.

    Args:
        labels: One label for each graph.
        n_graphs: How many graphs there are.

    Raises:
        ArgumentError: There are more or fewer labels than graphs, or a label is empty.

    Example:
        >>> found = groups_of(["b", "a", "b"], n_graphs=3)
        >>> found.names, found.codes.tolist(), found.sizes.tolist()
        (('b', 'a'), [0, 1, 0], [2, 1])
    """
    if isinstance(labels, str) or len(labels) != n_graphs:
        n_labels = 1 if isinstance(labels, str) else len(labels)
        raise ArgumentError(
            f"{counted(n_labels, 'label')} for {counted(n_graphs, 'graph')}; give one for each"
        )
    texts = [str(label) for label in labels]
    missing = Counter(texts)[""]
    if missing:
        raise ArgumentError(
            f"no label for {missing} of {counted(n_graphs, 'graph')}; say what tells the groups apart (by='folder', 'prior', "
            f"'argument' …; on the command line: --by)"
        )
    names = tuple(dict.fromkeys(texts))
    position = {name: index for index, name in enumerate(names)}
    return Groups(names=names, codes=np.asarray([position[text] for text in texts], dtype=np.int64))


def group_order(labels: Sequence[str]) -> IntArray:
    """The graphs group by group: groups in the order in which they first come up, graphs as they were.

    Example:
        >>> group_order(["b", "a", "b", "a"]).tolist()
        [0, 2, 1, 3]
    """
    codes = groups_of(labels, n_graphs=len(labels)).codes
    return np.argsort(codes, kind="stable")
