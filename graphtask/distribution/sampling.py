"""Draws of valid graphs from a model, its normalizing constant, and the shifts that keep the observed mean sizes.

Graphs are drawn by rejection where enough independent draws are valid; each graph is then an exact, independent draw.
Otherwise every graph is the last state of its own Markov chain (`graphtask.distribution.conditioned`). Its length is
three times the number of sweeps after which chains from the smallest and from the largest graphs have the same mean
sizes.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.conditioned import mixing_time, random_generators
from graphtask.distribution.normalizer import N_CHAINS, LogNormalizer, by_ladder
from graphtask.distribution.pair_model import PairModel, PairSampler
from graphtask.distribution.stage_chains import StageSampler
from graphtask.distribution.stage_model import StageModel
from graphtask.errors import DisconnectedError
from graphtask.types import FloatArray

Model = PairModel | StageModel

LEAST_SHARE = 0.01  # of valid graphs for rejection in general
_LEAST_EXACT_SHARE = 1e-4  # where Z is known exactly, so that graphs are small
_TRIALS = 400  # independent draws that estimate this share
_SAFETY = 3  # chains are this much longer than the measured mixing time
_LEAST_SWEEPS, _MOST_SWEEPS = 24, 384
_SMALL = -6.0  # shift of the log-odds under which chains become small graphs
_BATCH = 64  # chains that run in parallel
_STEPS = 12  # of Newton's method at most
_AVERAGED = 12  # sweeps that the means of one step are taken over
_CLOSE = 0.03  # distance from the wanted means, in standard deviations of one graph, that is close enough
_LARGEST_CHANGE = 0.5  # of a step
_LARGEST_TILT = 4.0
_CONSTANT = 1e-3  # variance of a count below which a shift has no effect on it


class Tilt(NamedTuple):
    """Shifts of the log-odds of nodes and edges at which valid graphs have the observed mean sizes."""

    nodes: float = 0.0
    edges: float = 0.0


NO_TILT = Tilt()


class SamplingPlan(NamedTuple):
    """Method of drawing valid graphs, with its diagnostics."""

    method: Literal["rejection", "mcmc"]
    share_valid: float
    """Estimated probability that an independent draw is valid."""
    sweeps: int = 0
    """Length of every chain; 0 for rejection."""
    r_hat: float = 1.0
    """Gelman and Rubin's R of the mean sizes of chains from small and from large graphs, after a third of the sweeps."""


def sampling_plan(model: Model) -> SamplingPlan:
    """Choose rejection or Markov chains, and measure the mixing of the chains.

    Raises:
        DisconnectedError: No valid graph is possible.
    """
    exact = model.exact_log_normalizer()
    if exact is not None:
        share, least = float(np.exp(exact.value)), _LEAST_EXACT_SHARE
    else:
        share, least = model.share_valid(_generator(1), n=_TRIALS), LEAST_SHARE
    if share >= least:
        return SamplingPlan("rejection", share)
    low, high = _opposite_samplers(model, seed=2)
    sweeps, r_hat = mixing_time(low, high, most=_MOST_SWEEPS // _SAFETY)
    return SamplingPlan("mcmc", share, max(_LEAST_SWEEPS, _SAFETY * sweeps), r_hat)


def _opposite_samplers(
    model: Model, *, seed: int
) -> tuple[PairSampler | StageSampler, PairSampler | StageSampler]:
    """Return chains at small and chains at large graphs."""
    low, high = (model.sampler(random_generators(_BATCH // 2, seed=[0, seed, end])) for end in range(2))
    low.retune(model.shifted(_SMALL, _SMALL))
    for _ in range(_LEAST_SWEEPS // 3):
        low.sweep()
    low.retune(model)
    return low, high


def draw_graphs(model: Model, plan: SamplingPlan, n: int, *, seed: int) -> Iterator[igraph.Graph]:
    """Yield valid graphs; graph k depends on the seed and on k only.

    Raises:
        DisconnectedError: Rejection found no valid graph.
    """
    for first in range(0, n, _BATCH):
        generators = random_generators(min(_BATCH, n - first), seed=[seed, 0], first=first)
        if plan.method == "rejection":
            yield from (_rejected(model, plan, rng) for rng in generators)
        else:
            sampler = model.sampler(generators)
            for _ in range(plan.sweeps):
                sampler.sweep()
            yield from sampler.graphs()


def calibrated_tilt(
    model: Model, *, nodes: float, edges: float, start: Tilt | None = None, n_steps: int = _STEPS
) -> Tilt:
    """Return the shifts at which valid graphs have these mean numbers of nodes and edges.

    Valid graphs form an exponential family in both shifts, so the solution is unique and has the largest likelihood.
    It is found by Newton's method on the means and covariances of parallel chains, with a fixed seed.

    Args:
        model: Model before conditioning.
        nodes: Mean number of nodes to reach.
        edges: Mean number of edges to reach.
        start: First guess.
        n_steps: Steps at most.

    Raises:
        DisconnectedError: No valid graph is possible.
    """
    samplers = _opposite_samplers(model.shifted(*(start or NO_TILT)), seed=3)
    mixing_time(*samplers, most=_MOST_SWEEPS // _SAFETY)
    target = np.array([nodes, edges])
    highest = np.array([min(model.largest_tilt, _LARGEST_TILT), _LARGEST_TILT])
    tilt = np.array(start or Tilt(), dtype=np.float64)
    kept = []
    for _ in range(n_steps):
        parts = []
        for sampler in samplers:
            sampler.retune(model.shifted(*tilt))
            parts.append(_advanced(sampler, burn=_AVERAGED))
        counts = np.concatenate(parts, axis=1)
        mean = counts.mean(axis=(0, 1))
        covariance = np.cov(counts.reshape(-1, 2).T)
        covariance += 1e-3 * np.diag(np.diag(covariance))  # nodes and edges may depend on each other exactly
        varies = np.diag(covariance) > _CONSTANT
        # A shift at its bound stays there if the means ask for more of it.
        varies &= ~((tilt >= highest) & (target > mean)) & ~((tilt <= -_LARGEST_TILT) & (target < mean))
        gap = np.where(varies, target - mean, 0.0)
        if np.abs(gap / np.sqrt(np.maximum(np.diag(covariance), _CONSTANT))).max() < _CLOSE:
            break
        change = np.zeros(2)
        change[varies] = np.linalg.solve(covariance[np.ix_(varies, varies)], gap[varies])
        change *= min(1.0, _LARGEST_CHANGE / np.abs(change).max())
        tilt = np.clip(tilt + change, -_LARGEST_TILT, highest)
        kept.append(tilt)
    else:  # the steps scatter around the solution: their mean is nearer
        tilt = np.mean(kept[n_steps // 2 :], axis=0)
    return Tilt(float(tilt[0]), float(tilt[1]))


def _advanced(sampler: PairSampler | StageSampler, *, burn: int) -> FloatArray:
    """Advance the chains, and return nodes and edges of the last sweeps, shape (sweeps, chains, 2)."""
    for _ in range(burn):
        sampler.sweep()
    counts = []
    for _ in range(_AVERAGED):
        sampler.sweep()
        counts.append(sampler.counts)
    return np.stack(counts).astype(np.float64)


def log_normalizer(model: Model) -> LogNormalizer:
    """Return ln Z, the logarithm of the probability of a valid graph: exact for few nodes, else estimated.

    Raises:
        DisconnectedError: No valid graph is possible.
    """
    exact = model.exact_log_normalizer()
    if exact is not None:
        return exact
    sampler = model.independent_sampler(random_generators(N_CHAINS, seed=[0, 4]))
    return by_ladder(sampler.violations)


def _rejected(model: Model, plan: SamplingPlan, rng: np.random.Generator) -> igraph.Graph:
    graph, n_draws = model.draw_valid(rng, most=int(50 / max(plan.share_valid, 1e-6)) + 1_000)
    if graph is None:
        raise DisconnectedError(
            f"none of {n_draws:,} independent draws was valid; fit with more shrinkage, or to more graphs"
        )
    return graph


def _generator(stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([0, stream]))
