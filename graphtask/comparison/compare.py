"""Comparison of groups of graphs by all methods of this package, as ``graphtask compare`` prints it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import numpy as np

from graphtask.comparison.classification import Classification, Classifier, classify_leave_one_out
from graphtask.comparison.embedding import Embedding, EmbeddingMethod, embed
from graphtask.comparison.groups import groups_of
from graphtask.comparison.similarity import group_similarity, pairwise_dice_similarity, rbf_similarity
from graphtask.errors import ArgumentError
from graphtask.features.samples import Graph, Sample, are_graphs, as_graphs
from graphtask.features.table import Features, features_of
from graphtask.types import FloatArray
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRED = 2_000  # graphs beyond which no matrix of all pairs is computed


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Result of `compare`."""

    labels: tuple[str, ...]
    """Group of each graph."""
    features: Features
    """Features that graphs were compared by."""
    similarity: FloatArray | None
    """Similarity of their features (`rbf_similarity`), shape (graphs, graphs); None for more than 2,000 graphs."""
    dsc: FloatArray | None
    """Similarity of their edges (`pairwise_dice_similarity`), likewise; None without the graphs themselves."""
    classifications: tuple[Classification, ...]
    """Predicted groups by the nearest centroid, and by the nearest neighbors."""
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    """Positions in the plane, by method."""
    notes: tuple[str, ...] = ()
    """Treatment of undefined and constant features, limits of the tests, and what was left out."""

    def __repr__(self) -> str:
        groups = groups_of(self.labels, n_graphs=len(self.labels))
        found = ", ".join(
            f"{own.method} {own.accuracy:.0%} (p={own.p_value:.3g})" for own in self.classifications
        )
        return f"Comparison({counted(len(self.labels), 'graph')} in {counted(len(groups.names), 'group')}: {found})"

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import comparison_card

        return comparison_card(self)

    def groups(self) -> "pd.DataFrame":
        """Return a row for each group: ``label``, ``graphs``, and shares and means.

        ``recall_centroid`` and ``recall_knn`` are the shares of its graphs whose group is predicted correctly;
        ``similarity_within`` and ``similarity_between`` the mean similarity of two of its graphs, and of one of them
        with a graph of another group; ``dsc_within`` and ``dsc_between`` the same of edges.
        """
        import pandas as pd

        groups = groups_of(self.labels, n_graphs=len(self.labels))
        table = pd.DataFrame({"label": groups.names, "graphs": groups.sizes})
        for found in self.classifications:
            table[f"recall_{found.method}"] = list(found.recall.values())
        for name, matrix in (("similarity", self.similarity), ("dsc", self.dsc)):
            if matrix is not None:
                means = group_similarity(matrix, self.labels)
                table[f"{name}_within"] = np.diag(means)
                rest = [label != np.asarray(self.labels) for label in groups.names]
                table[f"{name}_between"] = [_mean(matrix[~others][:, others]) for others in rest]
        return table


def compare(
    sample: Sample,
    labels: Sequence[str],
    *,
    graphs: Sequence[Graph] | None = None,
    features: Sequence[str] | None = None,
    embeddings: Sequence[EmbeddingMethod] = ("pca",),
    k: int = 3,
    n_permutations: int = 999,
    seed: int = 0,
) -> Comparison:
    """Compare groups of graphs: similarities, positions in the plane, and predictability of the groups.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`.
        labels: The group of each graph (its data set); at least two groups.
        graphs: Graphs of the rows, if the sample is their features.
        features: Metrics or columns to compare; by default the 15 features of the paper.
        embeddings: Methods of `embed`.
        k: Neighbors of ``knn``; see `classify_leave_one_out`.
        n_permutations: Random permutations of the labels.
        seed: Random seed.

    Raises:
        ArgumentError: An argument is out of range, there is one group only, or no feature is defined.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.priors.erdos_renyi_dag(15, p=p, seed=seed) for p in (0.2, 0.5) for seed in range(5)]
        >>> found = gt.compare(graphs, ["thin"] * 5 + ["thick"] * 5)
        >>> found.groups()[["label", "graphs", "recall_centroid", "recall_knn"]].values.tolist()
        [['thin', 5, 1.0, 1.0], ['thick', 5, 1.0, 1.0]]

    `graphtask.two_sample_test` and `graphtask.inference` test if groups differ.
    """
    given = sample if graphs is None and are_graphs(sample) else graphs
    known = None if given is None else as_graphs(given, name="sample" if graphs is None else "graphs")
    found = features_of(sample, features=features)
    n_graphs = len(found.values)
    if known is not None and len(known) != n_graphs:
        raise ArgumentError(
            f"graphs must be one for each row of features, got {counted(len(known), 'graph')} for "
            f"{counted(n_graphs, 'row')} of features",
            argument="graphs",
        )
    by_centroid, by_neighbors = (
        classify_leave_one_out(found, labels, method=method, k=k, n_permutations=n_permutations, seed=seed)
        for method in get_args(Classifier)
    )
    places: dict[str, Embedding] = {
        method: embed(found, method=method, seed=seed) for method in dict.fromkeys(embeddings)
    }
    few = n_graphs <= MOST_PAIRED
    notes = [*by_centroid.notes, *(note for place in places.values() for note in place.notes)]
    if not few:
        notes.append(
            f"{n_graphs:,} graphs are too many for matrices of all pairs; the limit is {MOST_PAIRED:,}"
        )
    return Comparison(
        labels=tuple(str(label) for label in labels),
        features=found,
        similarity=rbf_similarity(found) if few else None,
        dsc=pairwise_dice_similarity(known) if few and known is not None else None,
        classifications=(by_centroid, by_neighbors),
        embeddings=places,
        notes=tuple(dict.fromkeys(notes)),
    )


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
