"""The networks that are timed: those of the paper, and random ones."""

from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import igraph
import numpy as np

import graphtask as gt

BUDGET = 853_018  # parameters of a ResNet-56


@dataclass(frozen=True)
class Workload:
    """A network and what is done with it."""

    name: str
    graph: igraph.Graph
    batch: int
    channels: int
    training: bool = True
    """Whether a training step is timed, else inference."""
    size: int = 32
    """Pixels a side."""


def workloads() -> dict[str, Workload]:
    """All of them, by name."""
    full = gt.full_dag(60, stages=3)
    cifar10 = pruned_like(sizes=(16, 17, 15), inside=(40, 52, 61), edges=299)
    cmnist = pruned_like(sizes=(4, 3, 6), inside=(4, 2, 9), edges=21)
    random_200, random_500 = (gt.random_dag(n, out_degree=4, seed=0, stages=3) for n in (200, 500))
    found = [
        Workload("full DAG, 60 nodes, batch 128", full, 128, 11),
        Workload("full DAG, 60 nodes, batch 32", full, 32, 11),
        Workload("pruned to 17 % (CIFAR10-like)", cifar10, 128, 11),
        Workload("pruned to 25 edges (CMNIST-like)", cmnist, 128, 11),
        Workload(
            "random DAG, 200 nodes", random_200, 32, gt.compiler.fit_channels(random_200, budget=BUDGET)
        ),
        Workload(
            "random DAG, 500 nodes", random_500, 32, gt.compiler.fit_channels(random_500, budget=BUDGET)
        ),
        Workload("inference, full DAG, batch 128", full, 128, 11, training=False),
    ]
    return {workload.name: workload for workload in found}


class Pruned(NamedTuple):
    """What a network of the paper was pruned to, in the mean over ten seeds (its Table 1)."""

    sizes: tuple[int, ...]
    """Nodes of each stage."""
    inside: tuple[int, ...]
    """Edges inside each stage."""
    edges: int
    """Edges in all."""
    parameters: int
    """Parameters of the network."""
    faster: float
    """How many times faster an epoch of it was than one of the full DAG (Table 3)."""


PAPER = {
    "CMNIST": Pruned((4, 3, 6), (4, 2, 9), 21, 166_000, 7.0),
    "CKMNIST": Pruned((4, 4, 10), (3, 2, 18), 32, 253_000, 5.6),
    "CFashionMNIST": Pruned((9, 7, 11), (18, 12, 34), 115, 333_000, 3.6),
    "CIFAR10": Pruned((16, 17, 15), (40, 52, 61), 299, 615_000, 1.6),
    "CIFAR10_T8": Pruned((16, 15, 17), (55, 47, 81), 375, 613_000, 1.4),
}


def like_the_paper(name: str, *, seed: int = 0) -> igraph.Graph:
    """A random graph of the size that a data set's network was pruned to: nodes, edges, and nearly the parameters.

    Parameters tell how many nodes lead into each later stage, because each of these has a block of its own.
    """
    sizes, inside, edges, parameters, _ = PAPER[name]
    graphs = []
    for share in np.linspace(0.05, 1, 20):
        with suppress(ValueError):  # so few nodes that they have not so many edges
            graphs.append(pruned_like(sizes=sizes, inside=inside, edges=edges, share=share, seed=seed))
    return min(graphs, key=lambda graph: abs(gt.compiler.count_parameters(graph, channels=11) - parameters))


def pruned_like(
    *, sizes: tuple[int, ...], inside: tuple[int, ...], edges: int, share: float = 1.0, seed: int = 0
) -> igraph.Graph:
    """A random graph with about so many edges in all and inside each stage, orphans repaired.

    Only a share of the nodes leads into each later stage.
    """
    rng = np.random.default_rng(seed)
    stage = np.repeat(np.arange(len(sizes)), sizes)
    i, j = np.triu_indices(len(stage), k=1)
    chosen = set()
    for number, count in enumerate(inside):
        chosen |= _pick(rng, i, j, (stage[i] == number) & (stage[j] == number), count)
    leads = np.random.default_rng([seed, 1]).random((len(stage), len(sizes))) < share
    chosen |= _pick(rng, i, j, (stage[i] < stage[j]) & leads[i, stage[j]], edges - sum(inside))
    return gt.dag_from_predicate(len(stage), lambda a, b: (a, b) in chosen, stages=list(sizes))


def _pick(rng, i, j, allowed, count) -> set[tuple[int, int]]:
    places = rng.choice(np.flatnonzero(allowed), size=count, replace=False)
    return set(zip(i[places].tolist(), j[places].tolist(), strict=True))
