"""Whether graphs show which group they belong to: leave one out, and guess it from the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from graphtask.comparison.groups import Groups, groups_of
from graphtask.comparison.leave_one_out import Folds, folds_of
from graphtask.errors import ArgumentError
from graphtask.features.table import AnySample, features_of
from graphtask.types import IntArray
from graphtask.validation import choice, integer, number

if TYPE_CHECKING:
    import pandas as pd

Guess = Literal["centroid", "knn"]


@dataclass(frozen=True, kw_only=True)
class Separability:
    """How often the group of a graph is guessed right from the other graphs, and how often by chance."""

    method: str
    """``centroid`` or ``knn``."""
    accuracy: float
    """Share of graphs whose group is guessed right."""
    interval: tuple[float, float]
    """Wilson's confidence interval of the accuracy; it takes guesses for independent, which they are only nearly."""
    confidence: float
    """Of the interval."""
    chance: float
    """The mean accuracy if labels are dealt out anew."""
    largest_share: float
    """The accuracy of always naming the largest group."""
    p_value: float
    """Share of ways to deal out the labels with an accuracy as high; the observed one counts as one of them."""
    n_permutations: int
    """How often labels were dealt out."""
    seed: int
    """Seed of that."""
    groups: tuple[str, ...]
    """The groups."""
    guesses: tuple[str, ...]
    """The guessed group of each graph."""
    counts: IntArray
    """How many graphs of each group (rows) were taken for each group (columns)."""
    features: tuple[str, ...]
    """What graphs were compared by."""
    notes: tuple[str, ...] = ()
    """What was done about features that are undefined or the same for all graphs, and about small groups."""

    @property
    def confusion(self) -> "pd.DataFrame":
        """``counts`` as a table: groups as rows, guesses as columns."""
        import pandas as pd

        return pd.DataFrame(self.counts, index=list(self.groups), columns=list(self.groups))

    @property
    def recall(self) -> dict[str, float]:
        """The share of each group that was guessed right."""
        return dict(zip(self.groups, (np.diag(self.counts) / self.counts.sum(axis=1)).tolist(), strict=True))

    def row(self) -> dict[str, Any]:
        """The numbers as one row of a table."""
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
            "n_graphs": int(self.counts.sum()),
            "n_groups": len(self.groups),
            "n_features": len(self.features),
            "n_permutations": self.n_permutations,
            "seed": self.seed,
            "notes": "; ".join(self.notes),
        }


def separability(
    sample: AnySample,
    labels: Sequence[str],
    *,
    method: Guess = "centroid",
    k: int = 3,
    features: Sequence[str] | None = None,
    n_permutations: int = 999,
    seed: int = 0,
    confidence: float = 0.95,
) -> Separability:
    """How well the features of a graph tell its group (its data set), by leaving out each graph in turn.

    Features are standardized over the other graphs only, so nothing of the graph that is left out leaks into the
    guess. ``centroid`` guesses the group whose mean is nearest; ``knn`` the one that most of the k nearest graphs
    belong to, and of several such that of the nearest graph among theirs.

    The accuracy by chance is not exactly 1/groups: groups differ in size, and leaving out a graph moves the mean of
    its own group away from it. It is therefore measured, by dealing the labels out anew.

    Args:
        sample: Graphs, a table of their features, or an array (graphs, features); see `features_of`.
        labels: The group of each graph; at least two groups. A group of one graph can never be guessed right.
        method: ``"centroid"`` or ``"knn"``.
        k: Neighbors that are asked, at least 1; of n graphs no more than n − 1.
        features: What graphs are compared by; by default the 15 features of the paper.
        n_permutations: How often labels are dealt out anew, at least 1.
        seed: Seed of that.
        confidence: Of the interval of the accuracy, from 0.5 to 0.9999.

    Raises:
        ArgumentError: An argument is out of range, there is one group only, or no group has two graphs.

    Example:
        >>> import numpy as np
        >>> values = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> found = separability(values, ["a"] * 3 + ["b"] * 3)
        >>> found.accuracy, found.p_value < 0.2, found.confusion.values.tolist()
        (1.0, True, [[3, 0], [0, 3]])

    Source:
        Cross-validation: Stone, J. R. Stat. Soc. B 36, 111 (1974); the test of an accuracy by permutation: Ojala &
        Garriga, JMLR 11, 1833 (2010); the interval: Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    from scipy.stats import binomtest

    choice(method, name="method", choices=get_args(Guess))
    integer(k, name="k", least=1)
    integer(n_permutations, name="n_permutations", least=1)
    integer(seed, name="seed", least=0)
    number(confidence, name="confidence", least=0.5, most=0.9999)
    found = features_of(sample, features=features)
    groups = groups_of(labels, n_graphs=len(found.values))
    notes = [*found.notes, *_check_groups(groups)]
    n_groups = len(groups.names)
    folds = folds_of(found.values)
    guesser = _Neighbors(folds, k=k) if method == "knn" else _Centroids(folds)
    guesses = guesser.guess(groups.codes, n_groups)
    n_right = int((guesses == groups.codes).sum())
    chance = _by_chance(guesser, groups, n_permutations=n_permutations, seed=seed)
    interval = binomtest(n_right, len(guesses)).proportion_ci(confidence, method="wilson")
    counts = np.zeros((n_groups, n_groups), dtype=np.int64)
    np.add.at(counts, (groups.codes, guesses), 1)
    return Separability(
        method=method,
        accuracy=n_right / len(guesses),
        interval=(float(interval.low), float(interval.high)),
        confidence=confidence,
        chance=float(chance.mean()) / len(guesses),
        largest_share=int(groups.sizes.max()) / len(guesses),
        p_value=(1 + int((chance >= n_right).sum())) / (1 + n_permutations),
        n_permutations=n_permutations,
        seed=seed,
        groups=groups.names,
        guesses=tuple(groups.names[code] for code in guesses),
        counts=counts,
        features=found.names,
        notes=tuple(notes),
    )


def _check_groups(groups: Groups) -> list[str]:
    if len(groups.names) < 2:
        raise ArgumentError(
            f"all graphs belong to one group, {groups.names[0]!r}; give graphs of at least two, or say what tells groups "
            f"apart (by='folder', 'prior' …; on the command line: --by)"
        )
    alone = [name for name, size in zip(groups.names, groups.sizes.tolist(), strict=True) if size == 1]
    if len(alone) == len(groups.names):
        raise ArgumentError("every group has one graph only; give at least two graphs of a group")
    return [f"{name}: one graph only, which cannot be guessed right" for name in alone]


def _by_chance(
    guesser: "_Neighbors | _Centroids", groups: Groups, *, n_permutations: int, seed: int
) -> IntArray:
    """How many guesses are right when the labels are dealt out anew, shape (n_permutations,)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    right = np.empty(n_permutations, dtype=np.int64)
    for index in range(n_permutations):
        codes = rng.permutation(groups.codes)
        right[index] = (guesser.guess(codes, len(groups.names)) == codes).sum()
    return right


class _Neighbors:
    """Guesses by the nearest graphs; who they are does not depend on labels."""

    def __init__(self, folds: Folds, *, k: int) -> None:
        n_graphs = len(folds.deviations)
        self._nearest = np.empty((n_graphs, min(k, n_graphs - 1)), dtype=np.int64)
        for index in range(n_graphs):
            points = folds.others(index)
            distances = ((points - points[index]) ** 2).sum(axis=1)
            distances[index] = np.inf
            self._nearest[index] = np.argsort(distances, kind="stable")[: self._nearest.shape[1]]

    def guess(self, codes: IntArray, n_groups: int) -> IntArray:
        """The group of each graph, shape (graphs,)."""
        votes = codes[self._nearest]
        counts = (votes[:, :, None] == np.arange(n_groups)).sum(axis=1)
        winners = counts == counts.max(axis=1)[:, None]
        first = np.take_along_axis(winners, votes, axis=1).argmax(axis=1)
        return np.asarray(votes[np.arange(len(votes)), first])


class _Centroids:
    """Guesses by the nearest mean of a group.

    The mean of standardized features is the standardized mean, but for undefined features, which stand at 0.
    """

    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._own = np.where(folds.defined, (folds.deviations - folds.means) / folds.spreads, 0.0)

    def guess(self, codes: IntArray, n_groups: int) -> IntArray:
        """The group of each graph, shape (graphs,)."""
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
