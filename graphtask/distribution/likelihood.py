"""Likelihood of graphs under distributions that were fitted to others: held-out likelihood, and classification by it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphtask.distribution.model import (
    Correspond,
    GraphDistribution,
    Shrinkage,
    checked_graphs,
    fitted,
    strength_of,
    support_of,
)
from graphtask.distribution.stage_model import StageModel
from graphtask.errors import ArgumentError
from graphtask.features.samples import Graph
from graphtask.types import FloatArray
from graphtask.validation import counted, invalid

if TYPE_CHECKING:
    import igraph
    import pandas as pd


class MostLikely(NamedTuple):
    """Distribution, of several, under which a graph has the largest probability."""

    name: str | None
    """Name of the distribution (the first of equals); None if the graph is impossible under all."""
    log_prob: dict[str, float]
    """ln P of the graph under each."""
    posterior: dict[str, float]
    """Probability of each, all equally likely beforehand; NaN if the graph is impossible under all."""


def most_likely(graph: Graph, distributions: Mapping[str, GraphDistribution]) -> MostLikely:
    """Return the distribution under which a graph has the largest probability.

    Args:
        graph: Graph that none of the distributions was fitted to; otherwise use `most_likely_leave_one_out`.
        distributions: By name, at least one; all with the same possible graphs.

    Raises:
        ArgumentError: There is no distribution, or their possible graphs differ.
    """
    if not isinstance(distributions, Mapping) or not distributions:
        raise invalid("groups", "a non-empty mapping of names to distributions", distributions)
    first_name, first = next(iter(distributions.items()))
    for name, other in distributions.items():
        difference = _different_outcomes(first, other)
        if difference:
            raise ArgumentError(
                f"the distributions must have the same possible graphs, but {difference} in {first_name!r} and "
                f"{name!r}; fit all with the same correspond= and initial=, or use leave_one_out=True"
            )
    return _choice({name: distribution.log_prob(graph) for name, distribution in distributions.items()})


def log_prob_leave_one_out(
    graphs: Iterable[Graph],
    *,
    correspond: Correspond = "auto",
    shrinkage: Shrinkage = "auto",
    initial: "Graph | None" = None,
) -> FloatArray:
    """Return ln P of every graph under the distribution of all others; see `GraphDistribution`."""
    members = checked_graphs(graphs)
    if len(members) < 2:
        raise invalid("graphs", "at least two graphs", members)
    support = support_of(members, correspond=correspond, initial=initial)
    strength = strength_of(shrinkage)
    values = []
    for index, member in enumerate(members):
        others = members[:index] + members[index + 1 :]
        found = fitted(others, support, strength=strength, others=[member])
        values.append(found.log_prob(member))
    return np.asarray(values)


def most_likely_leave_one_out(
    graphs: Sequence[Graph],
    labels: Sequence[str],
    *,
    correspond: Correspond = "auto",
    shrinkage: Shrinkage = "auto",
    initial: "Graph | None" = None,
) -> "pd.DataFrame":
    """Return the most likely label of every graph when it is left out; see `GraphDistribution.most_likely`.

    A label with n graphs has n distributions, each fitted to n − 1 of them. A graph of this label is evaluated under
    the one without itself; graphs of other labels under all n, and ln P is their mean. All have the same possible nodes
    and edges, or stages.
    """
    import pandas as pd

    members, names = checked_graphs(graphs), [str(label) for label in labels]
    if len(members) != len(names):
        raise ArgumentError(
            f"labels must be one for each graph, got {counted(len(names), 'label')} for {counted(len(members), 'graph')}"
        )
    groups = {name: [index for index, own in enumerate(names) if own == name] for name in names}
    small = [name for name, group in groups.items() if len(group) < 2]
    if len(groups) < 2:
        raise invalid("labels", "at least two different labels", names[0] if names else "none")
    if small:
        raise invalid("labels", "at least two graphs of each label", f"one graph of {small[0]!r}")
    support = support_of(members, correspond=correspond, initial=initial)
    strength = strength_of(shrinkage)
    values: dict[str, FloatArray] = {}
    for name, group in groups.items():
        under = np.empty((len(group), len(members)))
        for row, left_out in enumerate(group):
            own: list[igraph.Graph] = [members[index] for index in group if index != left_out]
            found = fitted(own, support, strength=strength, others=members)
            under[row] = [found.log_prob(graph) for graph in members]
        values[name] = under.mean(axis=0)
        values[name][group] = [under[row, index] for row, index in enumerate(group)]
    rows = []
    for index, label in enumerate(names):
        found_values = {name: float(under[index]) for name, under in values.items()}
        predicted = _choice(found_values).name
        columns = {f"log_prob_{name}": value for name, value in found_values.items()}
        rows.append({"label": label, "predicted": predicted, "correct": predicted == label, **columns})
    return pd.DataFrame(rows)


def _different_outcomes(first: GraphDistribution, other: GraphDistribution) -> str:
    """Return in which way the possible graphs of two distributions differ; empty if they do not."""
    one, two = first.model, other.model
    if isinstance(one, StageModel) or isinstance(two, StageModel):
        if not (isinstance(one, StageModel) and isinstance(two, StageModel)):
            return "nodes correspond in only one"
        if len(one.sizes) != len(two.sizes) or one.ends.tolist() != two.ends.tolist():
            return "the stages of input and output differ"
        return ""
    if one.support.names != two.support.names or one.support.pairs.tolist() != two.support.pairs.tolist():
        return "the possible nodes and edges differ"
    return ""


def _choice(log_prob: dict[str, float]) -> MostLikely:
    values = np.asarray(list(log_prob.values()))
    best = values.max()
    if np.isneginf(best):
        return MostLikely(None, log_prob, dict.fromkeys(log_prob, float("nan")))
    shares = np.exp(values - best)
    posterior = dict(zip(log_prob, (shares / shares.sum()).tolist(), strict=True))
    return MostLikely(list(log_prob)[int(values.argmax())], log_prob, posterior)
