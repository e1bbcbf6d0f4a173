"""How likely graphs are under distributions that were fitted to others: held-out likelihood, and classification by it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.model import (
    Correspond,
    GraphDistribution,
    Shrinkage,
    checked_graphs,
    fitted,
    strength_of,
    universe_of,
)
from graphtask.distribution.pair_model import Nodes, count_pairs, fit_pair_model
from graphtask.distribution.stage_model import count_stages, fit_stage_model, staged
from graphtask.distribution.support import Universe
from graphtask.errors import ArgumentError
from graphtask.types import FloatArray
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd


class MostLikely(NamedTuple):
    """Which of several distributions a graph most likely came from."""

    name: str | None
    """Of the distribution with the largest likelihood (the first of equals); None if the graph is impossible in all."""
    log_prob: dict[str, float]
    """ln P of the graph under each."""
    posterior: dict[str, float]
    """Probability of each, if all were equally likely beforehand; NaN if the graph is impossible in all."""


def most_likely(graph: igraph.Graph, distributions: Mapping[str, GraphDistribution]) -> MostLikely:
    """Which of the distributions a graph most likely came from.

    Distributions should be of one kind: a likelihood over the nodes of an initial graph is not comparable with one
    over graphs of any size.

    Args:
        graph: The graph; not one of those that one of the distributions was fitted to, see `loo_most_likely`.
        distributions: By name, at least one.

    Raises:
        ArgumentError: There is no distribution, or some correspond and some do not.
        GraphError: The graph has no names or stages.

    Example:
        >>> import graphtask as gt
        >>> short = [gt.random_dag(20, rate=5.0, block=2, seed=seed) for seed in range(8)]
        >>> long = [gt.random_dag(20, decay="none", seed=seed) for seed in range(8)]
        >>> fitted = {"short": gt.GraphDistribution.fit(short[1:]), "long": gt.GraphDistribution.fit(long)}
        >>> gt.most_likely(short[0], fitted).name
        'short'
    """
    if not distributions:
        raise ArgumentError("there is no distribution to choose from")
    if len({distribution.corresponds for distribution in distributions.values()}) > 1:
        raise ArgumentError(
            "in some of the distributions nodes correspond and in others not, so their likelihoods do not compare; "
            "fit all with the same correspond=…"
        )
    return _choice({name: distribution.log_prob(graph) for name, distribution in distributions.items()})


def loo_log_prob(
    graphs: Iterable[igraph.Graph],
    *,
    correspond: Correspond = "auto",
    nodes: Nodes = "present",
    shrinkage: Shrinkage = "auto",
    initial: igraph.Graph | None = None,
) -> FloatArray:
    """The ln P of every graph under the distribution fitted to all the others; their sum compares ways of fitting.

    Args:
        graphs: At least two valid graphs.
        correspond: As in `GraphDistribution.fit`, like the other options. What nodes and edges are possible is
            decided with all graphs at hand.
        nodes: As there.
        shrinkage: As there.
        initial: As there.

    Returns:
        Shape (graphs,); −inf where a graph has something that is impossible without it.

    Raises:
        ArgumentError: There are fewer than two graphs, or an option does not work.
        GraphError: A graph is not valid, or they shall correspond and do not.

    Example:
        >>> import graphtask as gt
        >>> graphs = [gt.random_dag(20, seed=seed) for seed in range(4)]
        >>> bool((loo_log_prob(graphs) < 0).all())
        True
    """
    members = checked_graphs(graphs)
    if len(members) < 2:
        raise ArgumentError("to leave one graph out takes at least two")
    strength = strength_of(shrinkage)
    universe = universe_of(members, correspond=correspond, initial=initial)
    if universe is None:
        return _left_out_of_stages(members, strength)
    return _left_out_of_pairs(members, universe, nodes, strength)


def loo_most_likely(
    graphs: Sequence[igraph.Graph],
    labels: Sequence[str],
    *,
    correspond: Correspond = "auto",
    nodes: Nodes = "present",
    shrinkage: Shrinkage = "auto",
    initial: igraph.Graph | None = None,
) -> "pd.DataFrame":
    """Which label's graphs every graph is most like, when it is left out of them itself.

    Each graph is compared with the distribution of the other graphs of its own label, and with those of all other
    labels; the nodes and edges that are possible are the same for all.

    Args:
        graphs: Valid graphs.
        labels: One for each graph, at least two different ones with at least two graphs each.
        correspond: As in `GraphDistribution.fit`, like the other options; decided for all graphs together.
        nodes: As there.
        shrinkage: As there.
        initial: As there.

    Returns:
        One row for each graph: ``label``, ``predicted`` (None if it is impossible everywhere), ``correct``, and for
        every label ``log_prob_`` with its name.

    Raises:
        ArgumentError: The labels do not fit, or an option does not work.
        GraphError: A graph is not valid, or they shall correspond and do not.

    Example:
        >>> import graphtask as gt
        >>> short = [gt.random_dag(20, rate=5.0, block=2, seed=seed) for seed in range(5)]
        >>> long = [gt.random_dag(20, decay="none", seed=seed) for seed in range(5)]
        >>> float(loo_most_likely(short + long, ["short"] * 5 + ["long"] * 5)["correct"].mean())
        1.0
    """
    import pandas as pd

    members, names = checked_graphs(graphs), [str(label) for label in labels]
    if len(members) != len(names):
        raise ArgumentError(
            f"{counted(len(names), 'label')} for {counted(len(members), 'graph')}; give one for each"
        )
    groups = {
        name: [graph for graph, own in zip(members, names, strict=True) if own == name] for name in names
    }
    small = [name for name, group in groups.items() if len(group) < 2]
    if len(groups) < 2 or small:
        raise ArgumentError(
            f"the label {small[0]!r} has one graph; to leave one out takes at least two of each label"
            if small
            else "all graphs have the same label; give at least two different ones"
        )
    universe = universe_of(members, correspond=correspond, initial=initial)
    strength = strength_of(shrinkage)
    left_out = {
        name: iter(
            _left_out_of_stages(group, strength)
            if universe is None
            else _left_out_of_pairs(group, universe, nodes, strength)
        )
        for name, group in groups.items()
    }
    models = {name: fitted(group, universe, nodes=nodes, strength=strength) for name, group in groups.items()}
    rows = []
    for graph, label in zip(members, names, strict=True):
        found = {name: float(model.log_prob(graph)) for name, model in models.items() if name != label}
        found[label] = float(next(left_out[label]))
        predicted = _choice(found).name
        in_order = {f"log_prob_{name}": found[name] for name in groups}
        rows.append({"label": label, "predicted": predicted, "correct": predicted == label, **in_order})
    return pd.DataFrame(rows)


def _left_out_of_pairs(
    graphs: Sequence[igraph.Graph], universe: Universe, nodes: Nodes, strength: float | None
) -> FloatArray:
    places = [universe.place(graph) for graph in graphs]
    counts = count_pairs(places, universe, nodes=nodes)
    values = []
    for place in places:
        others = counts.without(count_pairs([place], universe, nodes=nodes))
        model = fit_pair_model(universe, others, nodes=nodes, strength=strength)
        values.append(model.log_prob_at(place)[0])
    return np.asarray(values)


def _left_out_of_stages(graphs: Sequence[igraph.Graph], strength: float | None) -> FloatArray:
    members = [staged(graph) for graph in graphs]
    values = []
    for index, member in enumerate(members):
        others = count_stages(members[:index] + members[index + 1 :])
        values.append(fit_stage_model(others, strength=strength).log_prob_at(member)[0])
    return np.asarray(values)


def _choice(log_prob: dict[str, float]) -> MostLikely:
    values = np.asarray(list(log_prob.values()))
    best = values.max()
    if np.isneginf(best):
        return MostLikely(None, log_prob, dict.fromkeys(log_prob, float("nan")))
    shares = np.exp(values - best)
    posterior = dict(zip(log_prob, (shares / shares.sum()).tolist(), strict=True))
    return MostLikely(list(log_prob)[int(values.argmax())], log_prob, posterior)
