"""Similarity of graphs: by their features, and by their common edges."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from graphtask.comparison.groups import groups_of
from graphtask.edge_sets import edge_set
from graphtask.features.samples import Graph
from graphtask.features.table import AnySample, features_of
from graphtask.storage.objects import is_graph
from graphtask.types import FloatArray
from graphtask.validation import invalid, number

if TYPE_CHECKING:
    import pandas as pd

_LEAST = 1e-12  # below, all similarities are 1
_ROWS = 512  # of a matrix of all pairs, at a time


def rbf_similarity(
    sample: AnySample, *, gamma: float | None = None, features: Sequence[str] | None = None
) -> FloatArray:
    """Return similarities of features: exp(−gamma·d²), d the Euclidean distance of the standardized features.

    The similarity is 1 for equal features and decreases towards 0. Features are standardized over the given graphs, so
    the similarity of two graphs depends on the other graphs.

    The matrix of 10,000 graphs takes 0.8 GB, and 1.2 GB while it is computed.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`.
        gamma: Above 0; by default 1/(number of features), constant ones included.
        features: Metrics or columns to compare; by default the 15 features of the paper.

    Returns:
        Shape (graphs, graphs), symmetric, in [0, 1], with ones on the diagonal.

    Raises:
        ArgumentError: gamma is out of range, or there are no graphs.

    Example:
        >>> import numpy as np
        >>> rbf_similarity(np.array([[0.0], [2.0]])).round(4).tolist()
        [[1.0, 0.0183], [0.0183, 1.0]]

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Fig. 4;
        gamma is scikit-learn's default.
    """
    from scipy.spatial.distance import pdist, squareform

    found = features_of(sample, features=features)
    chosen = 1.0 / len(found.names) if gamma is None else number(gamma, name="gamma", least=_LEAST)
    similarities = np.asarray(squareform(pdist(found.standardized(), "sqeuclidean")), dtype=np.float64)
    similarities *= -chosen
    return np.exp(similarities, out=similarities)


def pairwise_dice_similarity(graphs: Sequence[Graph]) -> FloatArray:
    """Return the Sørensen-Dice coefficient 2·|A ∩ B|/(|A| + |B|) of the edges of every two graphs.

    Edges are equal if the names of both ends are, so the graphs must come from the same initial graph.

    The matrix of 10,000 graphs takes 0.8 GB.

    Args:
        graphs: Graphs, at least one.

    Returns:
        Shape (graphs, graphs), symmetric, in [0, 1], with ones on the diagonal; NaN where both have no edges.

    Raises:
        ArgumentError: There are no graphs.

    Example:
        >>> import graphtask as gt
        >>> pairwise_dice_similarity([gt.full_dag(3), gt.chain_dag(3)]).tolist()
        [[1.0, 0.8], [0.8, 1.0]]

    Source:
        See `graphtask.dice_similarity`, which compares two graphs.
    """
    from scipy.sparse import csr_array

    if is_graph(graphs) or isinstance(graphs, str) or not len(graphs):
        raise invalid("graphs", "a non-empty list of graphs", graphs)
    column: dict[tuple[str, str], int] = {}
    rows = [[column.setdefault(edge, len(column)) for edge in edge_set(graph)] for graph in graphs]
    sizes = np.asarray([len(row) for row in rows])
    indices = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    has = csr_array((np.ones(len(indices)), indices, bounds), shape=(len(rows), max(len(column), 1)))
    shared = np.empty((len(rows), len(rows)))
    for start in range(0, len(rows), _ROWS):
        block = slice(start, start + _ROWS)
        shared[block] = (has[block] @ has.T).toarray()
    shared *= 2
    with np.errstate(invalid="ignore"):  # 0/0 is NaN
        shared /= np.add.outer(sizes, sizes)
    return shared


def group_similarity(similarities: npt.ArrayLike, labels: Sequence[str]) -> "pd.DataFrame":
    """Return the mean similarity within groups of graphs, and between any two of them.

    Args:
        similarities: Shape (graphs, graphs), symmetric; entries that are NaN do not count.
        labels: The group of each graph.

    Returns:
        Groups × groups, in the order of their first graphs. No graph is compared with itself: the diagonal has the mean over pairs of different graphs of the group, NaN for a group of one.

    Raises:
        ArgumentError: The shapes do not fit, or a label is empty.

    Example:
        >>> import numpy as np
        >>> matrix = np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.4], [0.2, 0.4, 1.0]])
        >>> print(group_similarity(matrix, ["a", "a", "b"]).round(3).to_string())
             a    b
        a  0.8  0.3
        b  0.3  NaN
    """
    import pandas as pd

    matrix = _square(similarities)
    groups = groups_of(labels, n_graphs=len(matrix))
    counted = ~np.isnan(matrix) & ~np.eye(len(matrix), dtype=np.bool_)
    member = np.eye(len(groups.names))[groups.codes]
    total = member.T @ np.where(counted, matrix, 0.0) @ member
    n_pairs = member.T @ counted.astype(np.float64) @ member
    means = np.where(n_pairs > 0, total / np.maximum(n_pairs, 1), np.nan)
    return pd.DataFrame(means, index=list(groups.names), columns=list(groups.names))


def within_and_between(similarities: npt.ArrayLike, labels: Sequence[str]) -> tuple[float, float]:
    """Return the mean similarity of two different graphs of one group, and of two graphs of different groups.

    Every pair counts once, so large groups count more; NaN where there is no such pair.

    Args:
        similarities: Shape (graphs, graphs), symmetric; entries that are NaN do not count.
        labels: The group of each graph.

    Raises:
        ArgumentError: The shapes do not fit, or a label is empty.

    Example:
        >>> import numpy as np
        >>> within_and_between(np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.4], [0.2, 0.4, 1.0]]), ["a", "a", "b"])
        (0.8, 0.30000000000000004)
    """
    matrix = _square(similarities)
    codes = groups_of(labels, n_graphs=len(matrix)).codes
    first, second = np.triu_indices(len(matrix), 1)
    pairs = matrix[first, second]
    same = codes[first] == codes[second]
    return _mean(pairs[same]), _mean(pairs[~same])


def _square(similarities: npt.ArrayLike) -> FloatArray:
    matrix = np.asarray(similarities, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise invalid("similarities", "a square matrix of shape (graphs, graphs)", matrix)
    return matrix


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
