"""Do two sets of graphs come from one distribution? Permutation tests, valid at every sample size."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np

from graphtask.errors import ArgumentError
from graphtask.features.samples import Sample, are_graphs, is_frame, pool
from graphtask.features.table import features_of
from graphtask.inference.discrepancy import (
    Discrepancy,
    Estimator,
    distances,
    inhomogeneity,
    median_bandwidth,
    rbf,
)
from graphtask.inference.kernels import DEFAULT_ITERATIONS, wl_kernel
from graphtask.inference.permutations import Relabelings, null_distribution, p_values, relabelings
from graphtask.types import FloatArray
from graphtask.validation import choice, number

Method = Literal["mmd", "energy", "wl"]

QUANTILES = (0.05, 0.5, 0.95, 0.99)


@dataclass(frozen=True, kw_only=True, repr=False)
class TwoSampleResult:
    """What a test between two sets of graphs found, and what is needed to repeat it.

    The null hypothesis is that the labels say nothing: that the graphs of both sets (or, paired, the two graphs of
    each pair) could be exchanged.
    """

    __test__: ClassVar[bool] = False  # pytest shall not take it for a test

    method: str
    """``mmd``, ``energy``, ``wl`` or ``classifier``."""
    statistic: float
    """The observed value; large ones speak against the null hypothesis."""
    p_value: float
    """Share of relabelings whose statistic is at least as large; the observed labeling counts as one of them."""
    effect_size: float
    """How large the difference is, whatever the number of graphs: about 0 for none, 1 for the largest possible."""
    effect: str
    """What ``effect_size`` is."""
    n_a: int
    """Graphs in the first set."""
    n_b: int
    """Graphs in the second set."""
    paired: bool
    """Whether graph i of the first set was compared with graph i of the second."""
    n_permutations: int
    """Relabelings behind the p-value."""
    exact: bool
    """Whether these are all there are, so that the p-value has no random error."""
    null_quantiles: dict[float, float]
    """Quantiles of the statistic over the relabelings."""
    kernel: str
    """How graphs were compared."""
    bandwidth: float | None
    """b of the RBF kernel exp(−d²/(2b²)); ``None`` where there is none."""
    seed: int
    """Seed of the relabelings (and of the classifier)."""
    notes: tuple[str, ...] = ()
    """What was done about features that are undefined or the same for all graphs; what limits the test."""

    def __repr__(self) -> str:
        sets = f"{self.n_a} {'pairs' if self.paired else f'against {self.n_b}'}"
        how = f"all {self.n_permutations:,}" if self.exact else f"{self.n_permutations:,} random"
        return (
            f"TwoSampleResult({self.method}, {sets}: p={self.p_value:.3g} ({how} relabelings), "
            f"statistic={self.statistic:.4g}, {self.effect}={self.effect_size:.3g})"
        )

    def row(self) -> dict[str, Any]:
        """All of it as one row of a table: quantiles as ``null_q95`` …, notes as one text."""
        row: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        quantiles = row.pop("null_quantiles")
        row |= {f"null_q{round(100 * level):02d}": value for level, value in quantiles.items()}
        return row | {"notes": "; ".join(row.pop("notes"))}


class _Compared(NamedTuple):
    """The pooled sample, as the tests see it."""

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
    estimator: Estimator = "unbiased",
    bandwidth: float | Literal["median"] = "median",
    iterations: int = DEFAULT_ITERATIONS,
    n_permutations: int = 9_999,
    seed: int = 0,
) -> TwoSampleResult:
    """Whether two sets of graphs come from one distribution.

    ``mmd`` is the squared maximum mean discrepancy with an RBF kernel, and ``energy`` the energy distance, both of
    the standardized features; ``wl`` is the squared MMD with the Weisfeiler-Lehman kernel of the graphs themselves
    (`graphtask.inference.kernels.wl_kernel`). Standardization and bandwidth come from the pooled sample, so they do
    not depend on the labels. The p-value is the share of relabelings with a statistic at least as large as the
    observed one: over all of them if they are no more than ``n_permutations`` (7 against 7 graphs, 13 pairs), or
    else (1 + that many)/(1 + ``n_permutations``) over a random sample.

    Args:
        a: Graphs; or, but for ``wl``, a table of their features (`graphtask.measure_all`) or an array (graphs, features).
        b: The other set, of the same kind. At least 2 graphs each; sizes may differ unless paired.
        method: The statistic.
        paired: Whether ``a[i]`` and ``b[i]`` belong together (the same seed and two data sets, say), so that labels are
            exchanged within pairs only. Say so if they do: a paired test sees what differences between pairs hide.
        features: What to compare; by default the 15 of the paper's Tables 1 and 2. For what is undefined see
            `graphtask.features_of`.
        estimator: ``unbiased`` leaves out the similarity of a graph to itself (and to its partner); its values may be
            negative. For sets of the same size the p-value is the same.
        bandwidth: b of the RBF kernel exp(−d²/(2b²)), above 0; by default the median distance in the pooled sample.
        iterations: Of the Weisfeiler-Lehman kernel, at least 0.
        n_permutations: Random relabelings, at least 1.
        seed: Seed of the random relabelings.

    Raises:
        ArgumentError: An argument is out of range, or the sets cannot be compared.

    Example:
        >>> import graphtask as gt
        >>> sparse = [gt.erdos_renyi_dag(20, p=0.2, seed=seed) for seed in range(6)]
        >>> dense = [gt.erdos_renyi_dag(20, p=0.4, seed=seed) for seed in range(6, 12)]
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
        compared = _by_features(a, b, features, method=method, bandwidth=bandwidth)
    labelings = relabelings(
        compared.n_a, compared.n_b, paired=paired, n_permutations=n_permutations, seed=seed
    )
    form = Discrepancy(compared.similarities, n_a=compared.n_a, paired=paired, estimator=estimator)
    null = null_distribution(form, labelings=labelings)
    return TwoSampleResult(
        method=method,
        statistic=float(null[0]),
        p_value=float(p_values(null, rounding=form.rounding)),
        effect_size=inhomogeneity(compared.similarities, n_a=compared.n_a, paired=paired),
        effect="H",
        kernel=compared.kernel,
        bandwidth=compared.bandwidth,
        **facts(labelings, null),
        notes=(*compared.notes, *limits(labelings)),
    )


def facts(labelings: Relabelings, null: FloatArray) -> dict[str, Any]:
    """What every result says about its relabelings."""
    return {
        "n_a": labelings.n_a,
        "n_b": labelings.n_b,
        "paired": labelings.paired,
        "n_permutations": labelings.n_drawn,
        "exact": labelings.exact,
        "null_quantiles": {level: float(np.quantile(null, level)) for level in QUANTILES},
        "seed": labelings.seed,
    }


def limits(labelings: Relabelings, *, level: float = 0.05) -> tuple[str, ...]:
    """A note if there are too few graphs for any p-value to reach ``level``."""
    if labelings.least_p <= level:
        return ()
    return (f"with so few relabelings no p-value can be below {labelings.least_p:.3g}",)


def _by_features(
    a: Sample, b: Sample, features: Sequence[str] | None, *, method: str, bandwidth: float | str
) -> _Compared:
    import pandas as pd

    pooled = pool(a, b, features=features)
    found = features_of(pd.DataFrame(pooled.matrix, columns=list(pooled.names)), features=list(pooled.names))
    apart, notes = distances(found.standardized()), found.notes
    if method == "energy":
        what = f"minus the Euclidean distance of {len(pooled.names)} standardized features"
        return _Compared(-apart, pooled.n_a, pooled.n_b, what, None, notes)
    width = median_bandwidth(apart) if bandwidth == "median" else _width(bandwidth)
    what = f"RBF of {len(pooled.names)} standardized features"
    return _Compared(rbf(apart, bandwidth=width), pooled.n_a, pooled.n_b, what, width, notes)


def _by_neighborhoods(a: Sample, b: Sample, iterations: int) -> _Compared:
    if not (are_graphs(a) and are_graphs(b)):
        what = "tables" if is_frame(a) or is_frame(b) else "features"
        raise ArgumentError(f"method='wl' compares graphs, not {what}; give two lists of graphs")
    similarities = wl_kernel([*a, *b], iterations=iterations)
    what = f"Weisfeiler-Lehman subtree kernel over stages, {iterations} iterations"
    return _Compared(similarities, len(a), len(b), what, None, ())


def _width(bandwidth: float | str) -> float:
    width = number(bandwidth, name="bandwidth", least=0)
    if width == 0:
        raise ArgumentError("bandwidth=0 does not work; give a number above 0, or 'median'")
    return width
