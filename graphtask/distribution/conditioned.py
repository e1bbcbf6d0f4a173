"""Markov chains over graphs of independent nodes and edges, conditioned on being valid; many in parallel.

A graph is valid if every node but the input has a predecessor and every node but the output a successor. Every missing
one is a violation. The chains have the stationary distribution

    P(G)·λ^(violations of G),

(times a factor of the sizes, if the model has one), the valid graphs alone for λ = 0 and independent nodes and edges for λ = 1. One step redraws one node with all its
edges from their exact conditional distribution given the rest (block Gibbs): edges to neighbors that have no other
successor (or predecessor) have the odds θ/((1 − θ)·λ), the others θ/(1 − θ); the node is present with edges, or present
and violates, or is absent, in proportion to the sums over its edges. Nothing is rejected, unless there is a factor of
the sizes (`graphtask.distribution.size_factor`): the step is then a proposal of Metropolis and Hastings.

With λ = 0 a node stays as long as another one needs it. Every valid graph can still be reached from every other one if
a missing node fits into every edge that passes it (i → j possible, i < v < j: so are i → v and v → j), as in full and
in banded DAGs: the missing nodes of a graph can be added one by one, and from all nodes every graph is reached by
removing some. In other supports, such as those of sparse random DAGs, two nodes may have to come and go together. The
chains then run at some λ > 0, at which everything is reached, and count only where they are valid: the chain that is
observed at its valid states has the stationary distribution P(G | valid). `mixing_time` measures the convergence from
opposite starting points.

Source:
    Geman & Geman, IEEE Trans. Pattern Anal. 6 (1984); Gelman & Rubin, Stat. Sci. 7 (1992) for the diagnostic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from graphtask.distribution.size_factor import NO_FACTOR, SizeFactor
from graphtask.types import BoolArray, FloatArray, IntArray


class Uniforms(NamedTuple):
    """Random numbers of one step, uniform in [0, 1)."""

    edges: FloatArray
    """One for each possible edge of the node, shape (chains, nodes)."""
    presence: FloatArray
    """Shape (chains,)."""
    first_in: FloatArray
    """Shape (chains,)."""
    first_out: FloatArray
    """Shape (chains,)."""
    accept: FloatArray | None = None
    """Shape (chains,); needed for a factor of the sizes."""


@dataclass
class Chains:
    """States of parallel chains, one valid graph each.

    Nodes stand in topological order; the input is the first one. Chains of smaller graphs are padded with absent nodes.
    """

    present: BoolArray
    """Shape (chains, nodes)."""
    edges: BoolArray
    """From rows to columns, shape (chains, nodes, nodes)."""
    last: IntArray
    """Position of the output, shape (chains,)."""

    def __post_init__(self) -> None:
        self.n_successors = self.edges.sum(axis=2)
        self.n_predecessors = self.edges.sum(axis=1)
        self._places = np.arange(self.present.shape[1])
        self._is_last = self._places == self.last[:, None]

    @property
    def n_nodes(self) -> IntArray:
        """Nodes of every chain, shape (chains,)."""
        return np.asarray(self.present.sum(axis=1))

    @property
    def n_edges(self) -> IntArray:
        """Edges of every chain, shape (chains,)."""
        return np.asarray(self.edges.sum(axis=(1, 2)))

    @property
    def n_violations(self) -> IntArray:
        """Missing predecessors and successors of every chain, shape (chains,)."""
        no_predecessor = (self.present & (self.n_predecessors == 0))[:, 1:].sum(axis=1)
        no_successor = (self.present & (self.n_successors == 0) & ~self._is_last).sum(axis=1)
        return np.asarray(no_predecessor + no_successor)

    def redraw(self, node: int, probability: FloatArray, uniforms: Uniforms, target: "Target") -> None:
        """Redraw one node with its edges in all chains, in place.

        Args:
            node: Position of the node.
            probability: θ, 0 where no edge is possible, shape (chains or 1, nodes, nodes).
            uniforms: Random numbers.
            target: Distribution of nodes, and λ.
        """
        old_in, old_out = self.edges[:, :, node], self.edges[:, node, :]
        p_in = np.where(self.present, probability[:, :, node], 0.0)
        p_out = np.where(self.present, probability[:, node, :], 0.0)
        needs_in = self.present & (self.n_successors == old_in) & ~self._is_last & (self._places < node)
        needs_out = self.present & (self.n_predecessors == old_out) & (self._places > node)
        starts, ends = np.asarray(node == 0), self._is_last[:, node]
        new_in, weight_in = node_edges(
            p_in, needs_in, starts, uniforms.edges, uniforms.first_in, target.penalty
        )
        new_out, weight_out = node_edges(
            p_out, needs_out, ends, uniforms.edges, uniforms.first_out, target.penalty
        )
        here = self.present[:, node].copy()
        odds = None if target.odds is None else float(target.odds[node])
        if odds is not None and not np.isinf(odds):
            n_needs = needs_in.sum(axis=1) + needs_out.sum(axis=1)
            absent = np.power(target.penalty, n_needs)
            weight = odds * weight_in * weight_out
            here = uniforms.presence * (weight + absent) < weight
        new_in &= here[:, None]
        new_out &= here[:, None]
        if uniforms.accept is not None:
            change = (new_in.sum(axis=1) + new_out.sum(axis=1)) - (old_in.sum(axis=1) + old_out.sum(axis=1))
            n, m = self.n_nodes, self.n_successors.sum(axis=1)
            further = here.astype(np.int64) - self.present[:, node]
            gain = target.factor.log(n + further, m + change) - target.factor.log(n, m)
            rejected = np.log(uniforms.accept) >= gain
            here = np.where(rejected, self.present[:, node], here)
            new_in = np.where(rejected[:, None], old_in, new_in)
            new_out = np.where(rejected[:, None], old_out, new_out)
        self.n_successors += new_in
        self.n_successors -= old_in
        self.n_predecessors += new_out
        self.n_predecessors -= old_out
        self.n_predecessors[:, node] = new_in.sum(axis=1)
        self.n_successors[:, node] = new_out.sum(axis=1)
        self.present[:, node] = here
        self.edges[:, :, node] = new_in
        self.edges[:, node, :] = new_out

    def sweep(self, probability: FloatArray, uniforms: FloatArray, target: "Target") -> None:
        """Redraw every node once, in order.

        Args:
            probability: θ, shape (chains or 1, nodes, nodes).
            uniforms: Shape (chains, nodes, nodes + 3), or nodes + 4 for a factor of the sizes.
            target: Distribution of nodes, λ, and the factor.
        """
        n = len(self._places)
        for node in range(n):
            own = uniforms[:, node]
            accept = own[:, n + 3] if target.factor.is_active else None
            drawn = Uniforms(own[:, :n], own[:, n], own[:, n + 1], own[:, n + 2], accept)
            self.redraw(node, probability, drawn, target)


class Target(NamedTuple):
    """Stationary distribution, but for θ."""

    odds: FloatArray | None = None
    """π/(1 − π) of every node, infinite for those that are always present, shape (nodes,); None if all nodes stay."""
    penalty: float = 0.0
    """λ."""
    factor: SizeFactor = NO_FACTOR


class Sampler(Protocol):
    """Parallel chains of a model; every chain has its own random generator."""

    def sweep(self, penalty: float = 0.0) -> None:
        """Advance every chain by one sweep at λ."""

    @property
    def counts(self) -> IntArray:
        """Nodes and edges of every chain, shape (chains, 2)."""


def random_generators(n: int, *, seed: Sequence[int], first: int = 0) -> list[np.random.Generator]:
    """Return one generator for each chain, numbered from ``first``; a chain does not depend on how many others run."""
    return [np.random.Generator(np.random.PCG64([*seed, number])) for number in range(first, first + n)]


def mixing_time(
    low: Sampler, high: Sampler, *, most: int, penalty: float = 0.0, window: int = 8, limit: float = 1.02
) -> tuple[int, float]:
    """Measure after how many sweeps chains from opposite starting points agree.

    The mean numbers of nodes and edges over ``window`` sweeps and all chains of either sampler are compared with the
    spread over the chains: R² = 1 + (difference of the means)²/(2·variance), the between-chain term of Gelman and
    Rubin for two groups of chains.

    Args:
        low: Chains that start at small graphs.
        high: As many chains that start at large ones.
        most: Sweeps at most.
        penalty: λ.
        window: Sweeps of one comparison.
        limit: Largest R that counts as agreement.

    Returns:
        Sweeps until R ≤ limit (``most`` if it is never reached), and R then.
    """
    found = np.inf
    for start in range(0, most, window):
        sums = []
        for sampler in (low, high):
            values = []
            for _ in range(window):
                sampler.sweep(penalty)
                values.append(sampler.counts)
            sums.append(np.stack(values).astype(np.float64))
        means = [value.mean(axis=(0, 1)) for value in sums]
        variance = (sums[0].var(axis=(0, 1)) + sums[1].var(axis=(0, 1))) / 2
        ratio = np.square(means[0] - means[1]) / (2 * np.maximum(variance, 1e-12))
        # A count that varies in no chain agrees if it is the same everywhere.
        ratio = np.where(np.abs(means[0] - means[1]) < 1e-9, 0.0, ratio)
        found = float(np.sqrt(1 + ratio.max()))
        if found <= limit:
            return start + window, found
    return most, found


def fits_everywhere(possible: BoolArray) -> bool:
    """Return True if, with every edge i → j, the edges i → v and v → j are possible for all v between i and j.

    Args:
        possible: Possible edges between nodes in topological order, shape (nodes, nodes).

    Example:
        >>> full = np.triu(np.ones((5, 5), bool), 1)
        >>> (
        ...     fits_everywhere(full),
        ...     fits_everywhere(full & ~np.triu(full, 3)),
        ...     fits_everywhere(full ^ np.triu(full, 2) ^ np.triu(full, 3)),
        ... )
        (True, True, False)
    """
    far = np.triu(possible, 2)
    # One step nearer from either end; all others follow.
    return not ((far[:, 1:] & ~possible[:, :-1]).any() or (far[:-1] & ~possible[1:]).any())


def is_valid(present: BoolArray, edges: BoolArray) -> BoolArray:
    """Return for each graph if every node has the neighbors that it needs; the output is the last node.

    Args:
        present: Shape (graphs, nodes).
        edges: Shape (graphs, nodes, nodes).

    Example:
        >>> chain, edges = np.ones((1, 3), bool), np.eye(3, k=1, dtype=bool)[None]
        >>> is_valid(chain, edges).tolist(), is_valid(chain, edges & False).tolist()
        ([True], [False])
    """
    has_predecessor, has_successor = edges.any(axis=1), edges.any(axis=2)
    entered = (has_predecessor | ~present)[:, 1:].all(axis=1)
    left = (has_successor | ~present)[:, :-1].all(axis=1)
    return np.asarray(entered & left)


def accepted(factor: SizeFactor, present: BoolArray, edges: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Return True with probability h for each of independent draws; arguments as for `is_valid`."""
    if not factor.is_active:
        return np.ones(len(present), dtype=np.bool_)
    log = factor.log(present.sum(axis=1), edges.sum(axis=(1, 2)))
    return np.asarray(np.log(rng.random(len(present))) < log)


def node_edges(
    probability: FloatArray,
    needed: BoolArray,
    is_end: BoolArray,
    uniforms: FloatArray,
    first: FloatArray,
    penalty: float,
) -> tuple[BoolArray, FloatArray]:
    """Draw the edges of a node in one direction, with the sum of their weights.

    Where the node needs at least one of them, the first one that exists is drawn from the distribution of the first
    success given that there is one; later ones are independent of it.

    Args:
        probability: θ, shape (chains, nodes).
        needed: Neighbors that violate without the edge.
        is_end: Whether the node may have no edge: the input, and the output, shape () or (chains,).
        uniforms: Shape (chains, nodes).
        first: Shape (chains,).
        penalty: λ.
    """
    factor = np.where(needed, probability + (1 - probability) * penalty, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        tuned = np.where(needed, np.where(factor > 0, probability / factor, 0.0), probability)
    exists = 1 - np.cumprod(1 - tuned, axis=1)  # that one of the first edges exists
    some = exists[:, -1]
    none = 1 - some
    allowed_none = np.where(is_end, 1.0, penalty) * none
    place = first * (some + allowed_none)  # below ``some``: at least one edge
    start = (exists <= place[:, None]).sum(axis=1)
    places = np.arange(probability.shape[1])
    drawn = (uniforms < tuned) & (places > start[:, None]) | (places == start[:, None])
    return np.asarray(drawn), np.asarray(np.prod(factor, axis=1) * (some + allowed_none))
