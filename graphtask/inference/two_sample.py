"""Permutation tests if two sets of graphs come from one distribution; valid at every sample size."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.features.samples import Sample, are_graphs, as_graphs, is_frame, pool
from graphtask.features.table import prepared
from graphtask.inference.discrepancy import (
    Discrepancy,
    Estimator,
    distances,
    inhomogeneity,
    median_bandwidth,
    rbf,
)
from graphtask.inference.kernels import DEFAULT_ITERATIONS, wl_kernel
from graphtask.inference.permutations import Permutations, null_distribution, p_values, permutations_of
from graphtask.inference.power import detectable_effect, power
from graphtask.types import FloatArray
from graphtask.validation import choice, invalid, number

Method = Literal["mmd", "energy", "wl"]

QUANTILES = (0.05, 0.5, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True, repr=False)
class TwoSampleResult:
    """Result of a test between two sets of graphs, with everything needed to repeat it.

    The null hypothesis is that the labels are exchangeable: over all graphs, or, paired, within each pair. A large
    p-value is no evidence of equal distributions: ``least_p`` and ``power`` state what the test could have detected.
    """

    __test__: ClassVar[bool] = False  # not a test class of pytest

    method: str
    """``mmd``, ``energy``, ``wl`` or ``classifier``."""
    statistic: float
    """Observed value; large ones are evidence against the null hypothesis."""
    p_value: float
    """Share of permutations whose statistic is at least as large; the observed labels count as one of them."""
    least_p: float
    """Smallest attainable p-value."""
    power: float
    """Probability of p ≤ 0.05 for means of one feature that differ by one standard deviation (`inference.power`)."""
    detectable: float
    """Difference of the means of one feature, in standard deviations, with a power of 0.8; infinite if there is none."""
    effect_size: float
    """Size of the difference, independent of the number of graphs: about 0 for none, 1 for the largest possible."""
    effect: str
    """Name of the effect size."""
    n_a: int
    """Graphs in the first set."""
    n_b: int
    """Graphs in the second set."""
    paired: bool
    """True if graph i of the first set was compared with graph i of the second."""
    n_permutations: int
    """Permutations behind the p-value."""
    exact: bool
    """True if these are all permutations, so that the p-value has no random error."""
    null_quantiles: dict[float, float]
    """Quantiles of the statistic over the permutations."""
    kernel: str
    """Description of the comparison of two graphs."""
    bandwidth: float | None
    """b of the RBF kernel exp(−d²/(2b²)); None for other methods."""
    seed: int
    """Random seed of the permutations (and of the classifier)."""
    notes: tuple[str, ...] = ()
    """Treatment of undefined and constant features; limits of the test."""

    def __repr__(self) -> str:
        sets = f"{self.n_a} {'pairs' if self.paired else f'against {self.n_b}'}"
        how = f"all {self.n_permutations:,}" if self.exact else f"{self.n_permutations:,} random"
        return (
            f"TwoSampleResult({self.method}, {sets}: p={self.p_value:.3g} ({how} permutations, "
            f"smallest attainable {self.least_p:.3g}), statistic={self.statistic:.4g}, "
            f"{self.effect}={self.effect_size:.3g}, power {self.power:.2g} for 1 sd)"
        )

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import test_card

        return test_card(self)

    def row(self) -> dict[str, Any]:
        """Return all fields as one row of a table: quantiles as ``null_q95`` …, notes as one text."""
        row: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        quantiles = row.pop("null_quantiles")
        row |= {f"null_q{round(100 * level):02d}": value for level, value in quantiles.items()}
        return row | {"notes": "; ".join(row.pop("notes"))}


class _Compared(NamedTuple):
    """Similarities of the pooled sample."""

    similarities: FloatArray
    n_a: int
    n_b: int
    kernel: str
    bandwidth: float | None
    notes: tuple[str, ...]


def two_sample_test(
    a: Sample,
    b: Sample,
    *,
    method: Method = "mmd",
    paired: bool = False,
    features: Sequence[str] | None = None,
    max_correlation: float | None = None,
    estimator: Estimator = "unbiased",
    bandwidth: float | Literal["median"] = "median",
    iterations: int = DEFAULT_ITERATIONS,
    n_permutations: int = 9_999,
    seed: int = 0,
) -> TwoSampleResult:
    """Test if two sets of graphs come from one distribution.

    ``mmd`` is the squared maximum mean discrepancy with an RBF kernel, and ``energy`` the energy distance, both of
    the standardized features; ``wl`` is the squared MMD with the Weisfeiler-Lehman kernel of the graphs themselves
    (`graphtask.inference.kernels.wl_kernel`). Standardization and bandwidth come from the pooled sample, so they do
    not depend on the labels. The p-value is the share of permutations with a statistic at least as large as the
    observed one: over all of them if they are no more than ``n_permutations`` (7 against 7 graphs, 13 pairs),
    otherwise (1 + that many)/(1 + ``n_permutations``) over a random sample.

    Args:
        a: Graphs; or, except for ``wl``, a table of their features (`graphtask.measure_all`) or an
            array (graphs, features).
        b: The other set, of the same kind. At least 2 graphs each; sizes may differ unless paired.
        method: The statistic.
        paired: ``a[i]`` and ``b[i]`` are partners (the same seed and two data sets, for example), so that labels are
            exchanged within pairs only. A paired test detects effects that differences between pairs hide.
        features: Metrics or columns to compare; by default the 15 of the paper's Tables 1 and 2. `features_of`
            documents the treatment of undefined values.
        max_correlation: Leave out features that repeat an earlier one of the pooled sample, e.g. 0.9. Features that
            repeat one another hide differences in the others.
        estimator: ``unbiased`` excludes the similarity of a graph to itself (and to its partner); its values may be
            negative. For sets of the same size the p-value is the same.
        bandwidth: b of the RBF kernel exp(−d²/(2b²)), above 0; by default the median distance in the pooled sample.
        iterations: Depth of the Weisfeiler-Lehman kernel, at least 0. It is sensitive to wiring, little to density.
        n_permutations: Random permutations, at least 1.
        seed: Random seed of the permutations.

    Raises:
        ArgumentError: An argument is out of range, or the sets cannot be compared.

    Example:
        >>> import graphtask as gt
        >>> sparse = [gt.priors.erdos_renyi_dag(20, p=0.2, seed=seed) for seed in range(6)]
        >>> dense = [gt.priors.erdos_renyi_dag(20, p=0.4, seed=seed) for seed in range(6, 12)]
        >>> result = gt.two_sample_test(sparse, dense)
        >>> result.exact, result.n_permutations, round(result.p_value, 4)
        (True, 924, 0.0022)

    Source:
        Gretton et al., A kernel two-sample test, JMLR 13 (2012); Székely & Rizzo, Energy statistics, J. Stat. Plan.
        Inference 143 (2013); Phipson & Smyth, Permutation p-values should never be zero, SAGMB 9 (2010).
    """
    choice(method, name="method", choices=get_args(Method))
    choice(estimator, name="estimator", choices=get_args(Estimator))
    if method == "wl":
        compared = _by_neighborhoods(a, b, iterations)
    else:
        compared = _by_features(a, b, features, max_correlation, method=method, bandwidth=bandwidth)
    permutations = permutations_of(
        compared.n_a, compared.n_b, paired=paired, n_permutations=n_permutations, seed=seed
    )
    form = Discrepancy(compared.similarities, n_a=compared.n_a, paired=paired, estimator=estimator)
    null = null_distribution(form, permutations=permutations)
    return TwoSampleResult(
        method=method,
        statistic=float(null[0]),
        p_value=float(p_values(null, rounding=form.rounding)),
        effect_size=inhomogeneity(compared.similarities, n_a=compared.n_a, paired=paired),
        effect="H",
        kernel=compared.kernel,
        bandwidth=compared.bandwidth,
        **facts(permutations, null),
        notes=(*compared.notes, *limits(permutations)),
    )


def facts(permutations: Permutations, null: FloatArray) -> dict[str, Any]:
    """Return the fields of every result that depend on the permutations alone."""
    return {
        "least_p": permutations.least_p,
        "power": power(permutations),
        "detectable": detectable_effect(permutations),
        "n_a": permutations.n_a,
        "n_b": permutations.n_b,
        "paired": permutations.paired,
        "n_permutations": permutations.n_drawn,
        "exact": permutations.exact,
        "null_quantiles": {level: float(np.quantile(null, level)) for level in QUANTILES},
        "seed": permutations.seed,
    }


def limits(permutations: Permutations, *, level: float = 0.05) -> tuple[str, ...]:
    """Return a note if there are too few graphs for any p-value to reach ``level``."""
    if permutations.least_p <= level:
        return ()
    return (
        f"no p-value can be below {permutations.least_p:.3g} with so few graphs: a large one is no evidence of equal sets",
    )


def _by_features(
    a: Sample,
    b: Sample,
    features: Sequence[str] | None,
    max_correlation: float | None,
    *,
    method: str,
    bandwidth: float | str,
) -> _Compared:
    pooled = pool(a, b, features=features)
    found = prepared(pooled.matrix, pooled.names, pooled.errors)
    if max_correlation is not None:
        found = found.without_correlated(max_correlation)
    apart, notes = distances(found.standardized()), found.notes
    n_features = len(pooled.names) if max_correlation is None else len(found.names)
    if method == "energy":
        what = f"minus the Euclidean distance of {n_features} standardized features"
        return _Compared(-apart, pooled.n_a, pooled.n_b, what, None, notes)
    width = median_bandwidth(apart) if bandwidth == "median" else _width(bandwidth)
    what = f"RBF of {n_features} standardized features"
    return _Compared(rbf(apart, bandwidth=width), pooled.n_a, pooled.n_b, what, width, notes)


def _by_neighborhoods(a: Sample, b: Sample, iterations: int) -> _Compared:
    if not (are_graphs(a) and are_graphs(b)):
        what = "tables" if is_frame(a) or is_frame(b) else "features"
        raise ArgumentError(f"a and b must be lists of graphs for method='wl', got {what}")
    similarities = wl_kernel([*as_graphs(a, name="a"), *as_graphs(b, name="b")], iterations=iterations)
    what = f"Weisfeiler-Lehman subtree kernel over stages, {iterations} iterations"
    return _Compared(similarities, len(a), len(b), what, None, ())


def _width(bandwidth: float | str) -> float:
    width = number(bandwidth, name="bandwidth", least=0)
    if width == 0:
        raise invalid("bandwidth", "a number > 0 or 'median'", bandwidth)
    return width
