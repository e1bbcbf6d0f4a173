"""Groups of graphs compared in every way of this package, as the command ``graphtask compare`` shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import igraph
import numpy as np

from graphtask.comparison.embedding import Embedding, EmbeddingMethod, embed
from graphtask.comparison.groups import groups_of
from graphtask.comparison.separability import Guess, Separability, separability
from graphtask.comparison.similarity import dsc_similarity, group_similarity, rbf_similarity
from graphtask.errors import ArgumentError
from graphtask.features.samples import Sample, are_graphs
from graphtask.features.table import Features, features_of
from graphtask.types import FloatArray
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRED = 2_000  # graphs beyond which a matrix of all pairs is larger than anybody reads


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `compare` found."""

    labels: tuple[str, ...]
    """The group of each graph."""
    features: Features
    """What graphs were compared by."""
    similarity: FloatArray | None
    """Similarity of their features (`rbf_similarity`), shape (graphs, graphs); none of more than 2,000 graphs."""
    dsc: FloatArray | None
    """Similarity of their edges (`dsc_similarity`), likewise; none if the graphs themselves are not known."""
    separabilities: tuple[Separability, ...]
    """How well groups can be told apart by the nearest centroid, and by the nearest neighbors."""
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    """Places in the plane, by method."""
    notes: tuple[str, ...] = ()
    """What was done about features that are undefined or the same for all graphs; what was left out."""

    def groups(self) -> "pd.DataFrame":
        """A row for each group: ``label``, ``graphs``, and shares and means.

        ``recall_centroid`` and ``recall_knn`` are the shares of its graphs whose group was guessed right;
        ``similarity_within`` and ``similarity_between`` the mean similarity of two of its graphs, and of one of them
        with a graph of another group; ``dsc_within`` and ``dsc_between`` the same of edges.
        """
        import pandas as pd

        groups = groups_of(self.labels, n_graphs=len(self.labels))
        table = pd.DataFrame({"label": groups.names, "graphs": groups.sizes})
        for found in self.separabilities:
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
    graphs: Sequence[igraph.Graph] | None = None,
    features: Sequence[str] | None = None,
    embeddings: Sequence[EmbeddingMethod] = ("pca",),
    k: int = 3,
    n_permutations: int = 999,
    seed: int = 0,
) -> Comparison:
    """Compare groups of graphs: how alike they are, where they lie, and whether a graph shows its group.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`.
        labels: The group of each graph (its data set); at least two groups.
        graphs: The graphs themselves, if the sample is their features.
        features: What graphs are compared by; by default the 15 features of the paper.
        embeddings: Methods of `embed`.
        k: Neighbors that are asked by ``knn``; see `separability`, also for the next two.
        n_permutations: How often labels are dealt out anew.
        seed: Seed of everything.

    Raises:
        ArgumentError: An argument is out of range, there is one group only, or nothing to compare by.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.erdos_renyi_dag(15, p=p, seed=seed) for p in (0.2, 0.5) for seed in range(5)]
        >>> found = gt.compare(graphs, ["thin"] * 5 + ["thick"] * 5)
        >>> found.groups()[["label", "graphs", "recall_centroid", "recall_knn"]].values.tolist()
        [['thin', 5, 1.0, 1.0], ['thick', 5, 1.0, 1.0]]

    See `two_sample_test`, `metric_tests` and `pairwise_tests` for tests of whether groups differ.
    """
    known = list(sample) if graphs is None and are_graphs(sample) else graphs
    found = features_of(sample, features=features)
    n_graphs = len(found.values)
    if known is not None and len(known) != n_graphs:
        raise ArgumentError(
            f"{counted(len(known), 'graph')} for {counted(n_graphs, 'row')} of features; give one for each"
        )
    by_centroid, by_neighbors = (
        separability(found, labels, method=method, k=k, n_permutations=n_permutations, seed=seed)
        for method in get_args(Guess)
    )
    places: dict[str, Embedding] = {
        method: embed(found, method=method, seed=seed) for method in dict.fromkeys(embeddings)
    }
    few = n_graphs <= MOST_PAIRED
    said = [*by_centroid.notes, *(note for place in places.values() for note in place.notes)]
    if not few:
        said.append(
            f"{n_graphs:,} graphs are too many for matrices of all pairs; the limit is {MOST_PAIRED:,}"
        )
    return Comparison(
        labels=tuple(str(label) for label in labels),
        features=found,
        similarity=rbf_similarity(found) if few else None,
        dsc=dsc_similarity(known) if few and known is not None else None,
        separabilities=(by_centroid, by_neighbors),
        embeddings=places,
        notes=tuple(dict.fromkeys(said)),
    )


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
