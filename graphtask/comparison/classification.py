"""Classification of graphs by their features, each graph left out in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from graphtask.comparison.groups import Groups, groups_of
from graphtask.comparison.leave_one_out import Folds, folds_of
from graphtask.errors import ArgumentError
from graphtask.features.table import AnySample, features_of
from graphtask.types import IntArray
from graphtask.validation import choice, counted, integer, number

if TYPE_CHECKING:
    import pandas as pd

Classifier = Literal["centroid", "knn"]

_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, repr=False)
class Classification:
    """Accuracy of the predicted groups of graphs, with its distribution under permuted labels."""

    method: str
    """``centroid`` or ``knn``."""
    accuracy: float
    """Share of graphs whose group is predicted correctly."""
    interval: tuple[float, float]
    """Wilson's confidence interval of the accuracy; it assumes independent predictions, which they are only nearly."""
    confidence: float
    """Level of the interval."""
    chance: float
    """Mean accuracy under permuted labels."""
    largest_share: float
    """Accuracy of always predicting the largest group."""
    p_value: float
    """Share of label permutations with an accuracy as high; the observed labels count as one of them."""
    n_permutations: int
    """Random permutations of the labels."""
    seed: int
    """Random seed for the permutations."""
    needed_accuracy: float
    """Smallest accuracy with a p-value of at most 0.05; NaN if not even an accuracy of 1 has one."""
    least_p: float
    """p-value of an accuracy of 1, the smallest that these groups can have."""
    groups: tuple[str, ...]
    """Names of the groups."""
    predictions: tuple[str, ...]
    """Predicted group of each graph."""
    counts: IntArray
    """Graphs of each group (rows) that were predicted as each group (columns)."""
    features: tuple[str, ...]
    """Features that graphs were compared by."""
    notes: tuple[str, ...] = ()
    """Treatment of undefined and constant features, small groups, and the limits of the test."""

    def __repr__(self) -> str:
        n = int(self.counts.sum())
        return (
            f"Classification({self.method}: {round(self.accuracy * n)} of {n} correct (chance {self.chance:.0%}, "
            f"p={self.p_value:.3g}, smallest attainable p={self.least_p:.3g}))"
        )

    @property
    def confusion(self) -> "pd.DataFrame":
        """Table of ``counts``: groups as rows, predictions as columns."""
        import pandas as pd

        return pd.DataFrame(self.counts, index=list(self.groups), columns=list(self.groups))

    @property
    def recall(self) -> dict[str, float]:
        """Share of each group that is predicted correctly."""
        return dict(zip(self.groups, (np.diag(self.counts) / self.counts.sum(axis=1)).tolist(), strict=True))

    def row(self) -> dict[str, Any]:
        """Return the numbers as one row of a table."""
        low, high = self.interval
        return {
            "method": self.method,
            "accuracy": self.accuracy,
            "low": low,
            "high": high,
            "confidence": self.confidence,
            "chance": self.chance,
            "largest_share": self.largest_share,
            "p_value": self.p_value,
            "least_p": self.least_p,
            "needed_accuracy": self.needed_accuracy,
            "n_graphs": int(self.counts.sum()),
            "n_groups": len(self.groups),
            "n_features": len(self.features),
            "n_permutations": self.n_permutations,
            "seed": self.seed,
            "notes": "; ".join(self.notes),
        }


def classify_leave_one_out(
    sample: AnySample,
    labels: Sequence[str],
    *,
    method: Classifier = "centroid",
    k: int = 3,
    features: Sequence[str] | None = None,
    n_permutations: int = 999,
    seed: int = 0,
    confidence: float = 0.95,
) -> Classification:
    """Predict the group of each graph (its data set) from the features of all others.

    Features are standardized over the other graphs only, so the prediction does not depend on the graph itself.
    ``centroid`` predicts the group whose mean is nearest; ``knn`` the most frequent group among the k nearest graphs,
    and among several such groups that of the nearest graph.

    The accuracy by chance is not exactly 1/groups: groups differ in size, and leaving out a graph moves the mean of
    its own group away from it. It is therefore measured with permuted labels.

    With few graphs no accuracy is significant: ``least_p`` is the smallest attainable p-value, ``needed_accuracy``
    the accuracy that has a p-value of at most 0.05.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`.
        labels: The group of each graph; at least two groups. A group of one graph is never predicted correctly.
        method: ``"centroid"`` or ``"knn"``.
        k: Neighbors of ``knn``, at least 1; of n graphs no more than n − 1.
        features: Metrics or columns to compare; by default the 15 features of the paper.
        n_permutations: Random permutations of the labels, at least 1.
        seed: Random seed for the permutations.
        confidence: Level of the interval of the accuracy, from 0.5 to 0.9999.

    Raises:
        ArgumentError: An argument is out of range, there is one group only, or no group has two graphs.

    Example:
        >>> import numpy as np
        >>> values = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> found = classify_leave_one_out(values, ["a"] * 3 + ["b"] * 3)
        >>> found.accuracy, found.p_value < 0.2, found.confusion.values.tolist()
        (1.0, True, [[3, 0], [0, 3]])

    Source:
        Cross-validation: Stone, J. R. Stat. Soc. B 36, 111 (1974); the test of an accuracy by permutation: Ojala &
        Garriga, JMLR 11, 1833 (2010); the interval: Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    from scipy.stats import binomtest

    choice(method, name="method", choices=get_args(Classifier))
    integer(k, name="k", least=1)
    integer(n_permutations, name="n_permutations", least=1)
    integer(seed, name="seed", least=0)
    number(confidence, name="confidence", least=0.5, most=0.9999)
    found = features_of(sample, features=features)
    groups = groups_of(labels, n_graphs=len(found.values))
    notes = [*found.notes, *_check_groups(groups)]
    n_groups = len(groups.names)
    folds = folds_of(found.values, errors=found.errors if len(found.errors) else 0.0)
    classifier = _Neighbors(folds, k=k) if method == "knn" else _Centroids(folds)
    predictions = classifier.predict(groups.codes, n_groups)
    n_right = int((predictions == groups.codes).sum())
    chance = _under_permutations(classifier, groups, n_permutations=n_permutations, seed=seed)
    least_p, needed = _attainable(chance, len(predictions))
    notes += _limits(least_p, needed, len(predictions))
    interval = binomtest(n_right, len(predictions)).proportion_ci(confidence, method="wilson")
    counts = np.zeros((n_groups, n_groups), dtype=np.int64)
    np.add.at(counts, (groups.codes, predictions), 1)
    return Classification(
        method=method,
        accuracy=n_right / len(predictions),
        interval=(float(interval.low), float(interval.high)),
        confidence=confidence,
        chance=float(chance.mean()) / len(predictions),
        largest_share=int(groups.sizes.max()) / len(predictions),
        p_value=(1 + int((chance >= n_right).sum())) / (1 + n_permutations),
        n_permutations=n_permutations,
        seed=seed,
        least_p=least_p,
        needed_accuracy=needed,
        groups=groups.names,
        predictions=tuple(groups.names[code] for code in predictions),
        counts=counts,
        features=found.names,
        notes=tuple(notes),
    )


def _check_groups(groups: Groups) -> list[str]:
    if len(groups.names) < 2:
        raise ArgumentError(
            f"labels must name at least two groups, got only {groups.names[0]!r}; group the graphs by something else with "
            f"by= ('folder', 'prior' …)",
            argument="labels",
        )
    alone = [name for name, size in zip(groups.names, groups.sizes.tolist(), strict=True) if size == 1]
    if len(alone) == len(groups.names):
        raise ArgumentError(
            "labels must name a group of at least two graphs, got only groups of one", argument="labels"
        )
    return [f"{name}: one graph only, which cannot be predicted correctly" for name in alone]


def _under_permutations(
    classifier: "_Neighbors | _Centroids", groups: Groups, *, n_permutations: int, seed: int
) -> IntArray:
    """Return the number of correct predictions under permuted labels, shape (n_permutations,)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    right = np.empty(n_permutations, dtype=np.int64)
    for index in range(n_permutations):
        codes = rng.permutation(groups.codes)
        right[index] = (classifier.predict(codes, len(groups.names)) == codes).sum()
    return right


def _attainable(chance: IntArray, n_graphs: int) -> tuple[float, float]:
    """Return the p-value of an accuracy of 1, and the smallest accuracy with a p-value of at most 0.05."""
    shares = np.asarray(
        [(1 + int((chance >= right).sum())) / (1 + len(chance)) for right in range(n_graphs + 1)]
    )
    enough = np.flatnonzero(shares <= _LEVEL)
    return float(shares[-1]), float(enough[0]) / n_graphs if len(enough) else float("nan")


def _limits(least_p: float, needed: float, n_graphs: int) -> list[str]:
    if least_p > _LEVEL:
        note = f"with {counted(n_graphs, 'graph')} no accuracy has a p-value below {least_p:.2g}"
        return [f"{note}: a large one is no evidence of equal groups"]
    return [f"an accuracy of at least {needed:.0%} would have a p-value of at most {_LEVEL}"]


class _Neighbors:
    """Predictions by the nearest graphs, which do not depend on the labels."""

    def __init__(self, folds: Folds, *, k: int) -> None:
        n_graphs = len(folds.deviations)
        self._nearest = np.empty((n_graphs, min(k, n_graphs - 1)), dtype=np.int64)
        for index in range(n_graphs):
            points = folds.others(index)
            distances = ((points - points[index]) ** 2).sum(axis=1)
            distances[index] = np.inf
            self._nearest[index] = np.argsort(distances, kind="stable")[: self._nearest.shape[1]]

    def predict(self, codes: IntArray, n_groups: int) -> IntArray:
        """Return the predicted group of each graph, shape (graphs,)."""
        votes = codes[self._nearest]
        counts = (votes[:, :, None] == np.arange(n_groups)).sum(axis=1)
        winners = counts == counts.max(axis=1)[:, None]
        first = np.take_along_axis(winners, votes, axis=1).argmax(axis=1)
        return np.asarray(votes[np.arange(len(votes)), first])


class _Centroids:
    """Predictions by the nearest mean of a group.

    The mean of standardized features is the standardized mean, but for undefined features, which are 0.
    """

    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._own = np.where(folds.defined, (folds.deviations - folds.means) / folds.spreads, 0.0)

    def predict(self, codes: IntArray, n_groups: int) -> IntArray:
        """Return the predicted group of each graph, shape (graphs,)."""
        folds = self._folds
        distances = np.empty((len(codes), n_groups))
        for group in range(n_groups):
            member = codes == group
            n_others = member.sum() - member
            total = folds.deviations[member].sum(axis=0) - folds.deviations * member[:, None]
            n_defined = folds.defined[member].sum(axis=0) - folds.defined * member[:, None]
            mean = (total - n_defined * folds.means) / folds.spreads / np.maximum(n_others, 1)[:, None]
            squares = ((self._own - mean) ** 2).sum(axis=1)
            distances[:, group] = np.where(n_others > 0, squares, np.inf)
        return np.asarray(distances.argmin(axis=1))
