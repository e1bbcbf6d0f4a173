"""Two-sample test by a graph neural network that is trained to separate two sets of graphs."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from graphtask.errors import ArgumentError
from graphtask.features.samples import Graph, are_graphs, as_graphs, kind
from graphtask.inference.permutations import null_distribution, p_values, permutations_of
from graphtask.inference.two_sample import TwoSampleResult, facts, limits
from graphtask.types import BoolArray, FloatArray, IntArray
from graphtask.validation import counted, integer, number

_CELLS = (
    2**18
)  # numbers in a layer of the networks that are trained in parallel, so that they fit into the caches
_ROUNDING = 1e-5  # of probabilities in single precision


def classifier_test(
    a: Sequence[Graph],
    b: Sequence[Graph],
    *,
    paired: bool = False,
    folds: int = 5,
    layers: int = 2,
    width: int = 8,
    steps: int = 40,
    learning_rate: float = 0.02,
    n_permutations: int = 199,
    seed: int = 0,
) -> TwoSampleResult:
    """Test if a small graph isomorphism network learns to separate two sets of graphs.

    A network with the stages and degrees of the vertices as input and messages along and against the edges is trained
    on all folds but one and evaluated on that one. The statistic is the mean predicted probability of the correct set
    (both sets weigh the same), each graph held out once. The p-value comes from repeating all of this with permuted
    labels. A binomial test of the number of correct predictions would not be valid: predictions of networks that were
    trained on almost the same graphs are not independent.

    Args:
        a: Valid graphs, at least 2.
        b: Valid graphs, at least 2.
        paired: ``a[i]`` and ``b[i]`` are partners; pairs stay in one fold, labels are exchanged within pairs.
        folds: Parts of the cross-validation, at least 2; no more are used than the smaller set has graphs.
        layers: Rounds of message passing, at least 1.
        width: Channels of the network, at least 1.
        steps: Training steps (Adam on all training graphs), at least 1.
        learning_rate: Learning rate of Adam, above 0.
        n_permutations: Random permutations, each of which trains ``folds`` networks; at least 1. All are used
            instead if they are no more than these. With 199 the smallest p-value is 0.005.
        seed: Random seed of permutations, folds and initial parameters. The result repeats with the same number of threads.

    Returns:
        ``effect_size`` is 2·(balanced accuracy) − 1: 0 for random predictions, 1 if all are correct.

    Raises:
        ArgumentError: An argument is out of range, or an item is not a graph.
        GraphError: A graph breaks a rule.
        GraphtaskError: torch-geometric is not installed.

    Example:
        >>> import graphtask as gt
        >>> chains = [gt.chain_dag(n) for n in (6, 7, 8, 9)]
        >>> full = [gt.full_dag(n) for n in (6, 7, 8, 9)]
        >>> result = gt.inference.classifier_test(chains, full, n_permutations=19, steps=20)
        >>> result.effect_size, result.p_value
        (1.0, 0.05)

    Source:
        Lopez-Paz & Oquab, Revisiting classifier two-sample tests, ICLR 2017; Xu et al., How powerful are graph neural
        networks?, ICLR 2019; Kim et al., Classification accuracy as a proxy for two-sample testing, Ann. Stat. 49
        (2021), for the permutations.
    """
    for name, sample in (("a", a), ("b", b)):
        if not are_graphs(sample):
            raise ArgumentError(f"{name} must be a list of graphs, got {kind(sample)}", argument=name)
    graphs = [*as_graphs(a, name="a"), *as_graphs(b, name="b")]
    permutations = permutations_of(len(a), len(b), paired=paired, n_permutations=n_permutations, seed=seed)
    n_folds = min(integer(folds, name="folds", least=2), len(a), len(b))
    rate = number(learning_rate, name="learning_rate", least=1e-9)
    shape = [
        integer(value, name=name, least=1)
        for name, value in (("layers", layers), ("width", width), ("steps", steps))
    ]

    from graphtask.inference.gin import Recipe, collect, fitted_logits

    recipe = Recipe(
        layers=shape[0], width=shape[1], steps=shape[2], learning_rate=rate, seed=permutations.seed
    )
    collection = collect(graphs)
    at_once = max(1, _CELLS // (collection.n_nodes * width * n_folds))
    order = _order(permutations.n_a if paired else len(a) + len(b), permutations.seed)

    def right(members: BoolArray) -> FloatArray:
        """Return the probability of its own set for each graph, by the network that it was held out of."""
        held_out = np.stack([_folds(row, order, n_folds=n_folds, paired=paired) for row in members])
        training = held_out[:, None] != np.arange(n_folds)[:, None]
        labels = np.repeat(members, n_folds, axis=0)
        logits = fitted_logits(collection, labels, training.reshape(labels.shape), recipe=recipe)
        own = np.take_along_axis(logits.reshape(training.shape), held_out[:, None], axis=1)[:, 0]
        return np.asarray(expit(np.where(members, own, -own)), dtype=np.float64)

    def statistic(members: BoolArray) -> FloatArray:
        starts = range(0, len(members), at_once)
        parts = [members[start : start + at_once] for start in starts]
        return np.concatenate([_balanced(right(part), part) for part in parts])

    null = null_distribution(statistic, permutations=permutations)
    observed = (np.arange(len(a) + len(b)) < len(a))[None]
    accuracy = float(_balanced((right(observed) > 0.5).astype(np.float64), observed)[0])
    return TwoSampleResult(
        method="classifier",
        statistic=float(null[0]),
        p_value=float(p_values(null, rounding=_ROUNDING)),
        effect_size=2 * accuracy - 1,
        effect="2·accuracy−1",
        kernel=f"GIN of {counted(layers, 'layer')}, {counted(width, 'channel')}, {counted(steps, 'step')}, {counted(n_folds, 'fold')}",
        bandwidth=None,
        **facts(permutations, null),
        notes=limits(permutations),
    )


def _order(n: int, seed: int) -> IntArray:
    # Independent of the labels: the test is valid because every permutation uses the same order.
    return np.random.Generator(np.random.PCG64([seed, 1])).permutation(n)


def _folds(members: BoolArray, order: IntArray, *, n_folds: int, paired: bool) -> IntArray:
    """Return the fold of every graph: both sets are spread evenly, pairs stay together."""
    folds = np.empty(len(members), dtype=np.int64)
    if paired:
        folds[order] = folds[order + len(order)] = np.arange(len(order)) % n_folds
        return folds
    dealt = np.concatenate([order[members[order]], order[~members[order]]])
    folds[dealt] = np.arange(len(members)) % n_folds
    return folds


def _balanced(values: FloatArray, members: BoolArray) -> FloatArray:
    """Return the mean of the means over both sets, for each permutation."""
    first, second = ((values * chosen).sum(axis=1) / chosen.sum(axis=1) for chosen in (members, ~members))
    return np.asarray((first + second) / 2, dtype=np.float64)
