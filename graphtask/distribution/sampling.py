"""Draws of valid graphs from a model, its normalizing constant, and the calibration of the sizes.

Graphs are drawn by rejection where enough independent draws are valid; each graph is then an exact, independent draw.
Otherwise every graph is the last state of its own Markov chain (`graphtask.distribution.conditioned`). Its length is
three times the number of sweeps after which chains from the smallest and from the largest graphs have the same mean
sizes.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import igraph
import numpy as np

from graphtask.distribution.conditioned import mixing_time, random_generators
from graphtask.distribution.normalizer import N_CHAINS, LogNormalizer, by_ladder, by_powers
from graphtask.distribution.pair_model import NOTHING_POSSIBLE, PairModel, PairSampler
from graphtask.distribution.size_factor import NO_FACTOR, SizeFactor, narrower_variances
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
_STEPS = 8  # of Newton's method at most
_AVERAGED = 12  # sweeps that the moments of one step are taken over
_BURN = 6  # sweeps before them
_CLOSE = 0.03  # distance from the wanted means, in standard deviations of one graph, that is close enough
_LARGEST_CHANGE = 0.5  # of a step
_LARGEST_TILT = 4.0
_CLOSE_VARIANCE = 0.1  # of the logarithm of a variance
_MOST_EXACT = 8  # nodes for which the moments are exact
_DIFFERENCE = 1e-4  # of the shifts, for their derivatives
_CONSTANT = 1e-3  # variance of a count below which a shift has no effect on it
_PENALTIES = (0.5, 0.25, 0.12, 0.06, 0.03, 0.015)  # λ of chains that are not valid all the time
_LEAST_VALID = 0.25  # share of their states that are valid
_PATIENCE = 50  # sweeps for each valid state that is waited for


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
    penalty: float = 0.0
    """λ of the chains (`graphtask.distribution.conditioned`); above 0, only sweeps that end at valid graphs count."""


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
    penalty = chain_penalty(model)
    low, high = _opposite_samplers(model, seed=2, penalty=penalty)
    sweeps, r_hat = mixing_time(low, high, most=_MOST_SWEEPS // _SAFETY, penalty=penalty)
    return SamplingPlan("mcmc", share, max(_LEAST_SWEEPS, _SAFETY * sweeps), r_hat, penalty)


def chain_penalty(model: Model) -> float:
    """Return the λ at which chains reach every valid graph: 0 if valid ones connect, else the largest with enough of them.

    Raises:
        DisconnectedError: No valid graph is possible.
    """
    if model.is_connected:
        return 0.0
    sampler = model.sampler(random_generators(_BATCH, seed=[0, 5]))
    for penalty in _PENALTIES:
        n_violations = [sampler.violations(penalty) for _ in range(_BURN + _AVERAGED)]
        if (np.stack(n_violations[_BURN:]) == 0).mean() >= _LEAST_VALID:
            break
    return penalty


def _opposite_samplers(
    model: Model, *, seed: int, penalty: float
) -> tuple[PairSampler | StageSampler, PairSampler | StageSampler]:
    """Return chains at small and chains at large graphs."""
    low, high = (model.sampler(random_generators(_BATCH // 2, seed=[0, seed, end])) for end in range(2))
    low.retune(model.shifted(_SMALL, _SMALL))
    for _ in range(_LEAST_SWEEPS // 3):
        low.sweep(penalty)
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
            yield from _last_of_chains(model.sampler(generators), plan)


def _last_of_chains(sampler: PairSampler | StageSampler, plan: SamplingPlan) -> list[igraph.Graph]:
    """Return the graph of every chain after as many sweeps, or valid graphs, as planned."""
    if plan.penalty == 0:
        for _ in range(plan.sweeps):
            sampler.sweep()
        return sampler.graphs()
    found: dict[int, igraph.Graph] = {}
    n_valid = np.zeros(len(sampler.generators), dtype=np.int64)
    for _ in range(_PATIENCE * plan.sweeps):
        is_valid = sampler.violations(plan.penalty) == 0
        n_valid += is_valid
        ending = np.flatnonzero(is_valid & (n_valid == plan.sweeps)).tolist()
        if ending:
            graphs = sampler.graphs()
            found |= {chain: graphs[chain] for chain in ending}
        if len(found) == len(n_valid):
            return [found[chain] for chain in range(len(found))]
    raise DisconnectedError(
        f"fewer than {plan.sweeps:,} of {_PATIENCE * plan.sweeps:,} graphs of a Markov chain were valid; "
        f"fit with more shrinkage, or to more graphs"
    )


def calibrated_sizes(
    model: Model, observed: FloatArray, *, start: Tilt | None = None
) -> tuple[Tilt, SizeFactor]:
    """Return the shifts at which valid graphs have the mean sizes of the observed ones, and the factor that narrows them.

    Both are found by Newton's method, with a fixed seed: the shifts on the means of nodes and edges, whose derivatives
    are covariances with the number of nodes and with the number of edges minus its expectation given the nodes; the
    factor on the variances, as if they were those of a normal distribution. The moments are exact for few nodes that
    correspond, else those of parallel chains.

    Args:
        model: Model before conditioning.
        observed: Nodes and edges of the observed graphs, shape (graphs, 2).
        start: First guess of the shifts.

    Raises:
        DisconnectedError: No valid graph is possible.
    """
    exact = model.exact_log_normalizer() if _n_nodes(model) <= _MOST_EXACT else None
    if exact is not None and np.isneginf(exact.value):
        raise DisconnectedError(NOTHING_POSSIBLE)
    search = _Search(model, Tilt() if start is None else start, chains=exact is None)
    search.match(np.asarray(model.attainable_means))
    variances = narrower_variances(observed, search.variance)
    if np.isfinite(variances).any():
        search.narrow(variances, observed.mean(axis=0))
        search.match(np.asarray(model.attainable_means), variances)
    return search.tilt, search.factor


class _Moments(NamedTuple):
    """Moments of the sizes of valid graphs."""

    mean: FloatArray
    """Of nodes and edges, shape (2,)."""
    variance: FloatArray
    """Shape (2,)."""
    derivative: FloatArray
    """Of the means (rows) by the shifts (columns), shape (2, 2)."""


class _Search:
    """Search of the shifts and of the factor, from exact moments or from those of chains.

    Args:
        model: Model before conditioning.
        tilt: First guess.
        chains: Whether the moments are those of chains.
    """

    def __init__(self, model: Model, tilt: Tilt, *, chains: bool) -> None:
        self._model, self.tilt, self.factor = model, tilt, NO_FACTOR
        self._highest = np.array([min(model.largest_tilt, _LARGEST_TILT), _LARGEST_TILT])
        self._sampler: PairSampler | StageSampler | None = None
        self._penalty = chain_penalty(self._current) if chains else 0.0
        if chains:
            low, high = _opposite_samplers(self._current, seed=3, penalty=self._penalty)
            mixing_time(low, high, most=_MOST_SWEEPS // _SAFETY, penalty=self._penalty)
            self._sampler = low.joined(high)  # type: ignore[arg-type]  # both are of one kind
        self._close = _CLOSE if chains else _CLOSE / 1_000
        self.variance = np.zeros(2)

    @property
    def _current(self) -> Model:
        return replace(self._model.shifted(*self.tilt), factor=self.factor)

    def narrow(self, variances: FloatArray, center: FloatArray) -> None:
        """Start from the factor that would lead a normal distribution from its variances to these."""
        precision = np.maximum(1 / variances - 1 / np.maximum(self.variance, _CONSTANT), 0.0)
        self.factor = SizeFactor(*precision.tolist(), *center.tolist())

    def match(self, target: FloatArray, variances: FloatArray | None = None) -> None:
        """Search until means and variances are close to these, `_STEPS` steps at most."""
        kept = []
        for _ in range(_STEPS):
            moments = self._moments()
            self.variance = moments.variance
            change = self._change(moments, target)
            if change is None and (variances is None or not self._narrowed(moments, variances)):
                return
            tilt = np.array(self.tilt) + (np.zeros(2) if change is None else change)
            tilt = np.clip(tilt, -_LARGEST_TILT, self._highest)
            self.tilt = Tilt(*tilt.tolist())
            kept.append([*tilt, self.factor.nodes, self.factor.edges])
        # The steps scatter around the solution: their mean is nearer.
        nodes, edges, a, b = np.mean(kept[_STEPS // 2 :], axis=0).tolist()
        self.tilt, self.factor = Tilt(nodes, edges), self.factor._replace(nodes=a, edges=b)

    def _change(self, moments: _Moments, target: FloatArray) -> FloatArray | None:
        """Return the next step of the shifts; None if the means are close enough."""
        tilt, gap = np.array(self.tilt), target - moments.mean
        varies = moments.variance > _CONSTANT
        # A shift at its bound stays there if the means ask for more of it.
        varies &= ~((tilt >= self._highest) & (gap > 0)) & ~((tilt <= -_LARGEST_TILT) & (gap < 0))
        spread = np.sqrt(np.maximum(moments.variance, _CONSTANT))
        gap = np.where(varies, gap, 0.0) / spread
        if np.abs(gap).max() < self._close:
            return None
        # Nodes and edges may depend on each other exactly; a little is added to the diagonal.
        scaled = moments.derivative / spread / spread[:, None] + 1e-3 * np.eye(2)
        change = np.zeros(2)
        change[varies] = np.linalg.lstsq(scaled[np.ix_(varies, varies)], gap[varies], rcond=None)[0]
        change /= spread
        return np.asarray(change * min(1.0, _LARGEST_CHANGE / max(np.abs(change).max(), 1e-12)))

    def _narrowed(self, moments: _Moments, variances: FloatArray) -> bool:
        """Correct the factor; False if the variances are close enough."""
        variance, is_narrow = np.maximum(moments.variance, _CONSTANT), np.isfinite(variances)
        precision = 1 / variances - 1 / variance
        ratio = np.where(is_narrow, variance / variances, 1.0)
        off = is_narrow & (np.abs(np.log(np.maximum(ratio, _CONSTANT))) > _CLOSE_VARIANCE)
        own = np.array([self.factor.nodes, self.factor.edges])
        # At most halved in one step: variances near 0 are hardly normal, and noisy.
        a, b = (own + np.where(off, np.maximum(precision, -own / 2), 0.0)).tolist()
        changed = (a, b) != (self.factor.nodes, self.factor.edges)
        self.factor = self.factor._replace(nodes=a, edges=b)
        return changed

    def _moments(self) -> _Moments:
        return self._exact() if self._sampler is None else self._of_chains(self._sampler)

    def _of_chains(self, sampler: PairSampler | StageSampler) -> _Moments:
        sampler.retune(self._current)
        values = _advanced(sampler, burn=_BURN, penalty=self._penalty)
        sizes, scores = values[:, :2], np.stack([values[:, 0], values[:, 1] - values[:, 2]], axis=1)
        covariance = np.cov(np.concatenate([sizes, scores], axis=1).T)
        return _Moments(sizes.mean(axis=0), np.diag(covariance)[:2], covariance[:2, 2:])

    def _exact(self) -> _Moments:
        here, sizes = self.tilt, self._exact_sizes(self.tilt)
        mean, variance = _mean_and_variance(sizes)
        moved = [
            _mean_and_variance(self._exact_sizes(Tilt(here.nodes + nodes, here.edges + edges)))[0]
            for nodes, edges in ((_DIFFERENCE, 0.0), (0.0, _DIFFERENCE))
        ]
        return _Moments(mean, variance, np.stack([(own - mean) / _DIFFERENCE for own in moved], axis=1))

    def _exact_sizes(self, tilt: Tilt) -> FloatArray:
        model = replace(self._model.shifted(*tilt), factor=self.factor)
        assert isinstance(model, PairModel)
        return model.exact_sizes()


def _n_nodes(model: Model) -> float:
    return len(model.presence) if isinstance(model, PairModel) else np.inf


def _mean_and_variance(sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return those of nodes and edges, from the shares of all sizes."""
    shares = sizes / sizes.sum()
    places = np.moveaxis(np.indices(sizes.shape), 0, -1)
    mean = np.tensordot(shares, places, axes=2)
    return np.asarray(mean), np.asarray(np.tensordot(shares, np.square(places - mean), axes=2))


def _advanced(sampler: PairSampler | StageSampler, *, burn: int, penalty: float) -> FloatArray:
    """Advance the chains, and return nodes, edges and their expectation at the valid graphs, shape (graphs, 3).

    Raises:
        DisconnectedError: Hardly any graph is valid.
    """
    for _ in range(burn):
        sampler.sweep(penalty)
    counts: list[FloatArray] = []
    n_wanted, n_found = _AVERAGED * len(sampler.generators), 0
    for _ in range(_PATIENCE * _AVERAGED):
        is_valid = sampler.violations(penalty) == 0
        found = np.column_stack([sampler.counts, sampler.expected_edges])[is_valid]
        counts.append(found.astype(np.float64))
        n_found += len(found)
        if n_found >= n_wanted:
            return np.concatenate(counts)
    raise DisconnectedError(NOTHING_POSSIBLE)


def log_normalizer(model: Model) -> LogNormalizer:
    """Return ln Z, the logarithm of the probability of a valid graph: exact for few nodes, else estimated.

    A factor of the sizes is part of the probability.

    Raises:
        DisconnectedError: No valid graph is possible.
    """
    exact = model.exact_log_normalizer()
    if exact is not None:
        return exact
    plain = replace(model, factor=NO_FACTOR)
    sampler = plain.independent_sampler(random_generators(N_CHAINS, seed=[0, 4]))
    found = by_ladder(sampler.violations)
    if not model.factor.is_active or not np.isfinite(found.value):
        return found

    penalty = chain_penalty(model)

    def log_factor(power: float) -> FloatArray:
        sampler.retune(replace(model, factor=model.factor.power(power)))
        is_valid = sampler.violations(penalty) == 0
        return np.where(is_valid, model.factor.log(*sampler.counts.T), np.nan)

    further = by_powers(log_factor)
    return LogNormalizer(found.value + further.value, float(np.hypot(found.error, further.error)))


def _rejected(model: Model, plan: SamplingPlan, rng: np.random.Generator) -> igraph.Graph:
    graph, n_draws = model.draw_valid(rng, most=int(50 / max(plan.share_valid, 1e-6)) + 1_000)
    if graph is None:
        raise DisconnectedError(
            f"none of {n_draws:,} independent draws was valid; fit with more shrinkage, or to more graphs"
        )
    return graph


def _generator(stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([0, stream]))
