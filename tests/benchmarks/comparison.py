# ruff: noqa: T201  # a command that prints
"""Prints the tables of docs/testing.md: ``python -m tests.benchmarks.comparison``.

The level: how often tests of two sets that do not differ reject at 0.05. The power: how often they see a difference
that is there. The fit: how often `graphtask.GraphDistribution.goodness_of_fit` rejects a distribution at 0.1, true or not. Graphs are made and measured once; each simulated experiment draws its sets from them without
replacement, at random, so that the two sets of a null experiment are exchangeable.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import igraph
import numpy as np
import pandas as pd

import graphtask as gt
from graphtask.types import FloatArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: tests are no package

LEVEL = 0.05
POOL = 240
N_PERMUTATIONS = 299  # (1 + 14)/(1 + 299) = 0.05: the level is attained; 5 against 5 (252 ways) are exact
TWO_SAMPLE = ("mmd", "energy", "wl")
METRICS = ("mean, Holm", "mean, Westfall-Young", "rank, Holm", "rank, Westfall-Young")
TRENDS = ("Jonckheere, Holm", "Jonckheere, Westfall-Young", "Page, Holm", "Page, Westfall-Young")
CORRECTIONS = {"Holm": "p_holm", "Westfall-Young": "p_westfall_young"}
FIT_METRICS = ["nodes", "edges", "log_paths", "mean_path", "ln_communicability"]
QUICK = {"n_permutations": 19, "folds": 2, "steps": 8, "width": 4}  # of the classifier, 2,000 times over


@dataclass(frozen=True)
class Graphs:
    """Graphs and their features."""

    graphs: list[igraph.Graph]
    table: pd.DataFrame

    def __getitem__(self, rows: Sequence[int]) -> "Graphs":
        return Graphs([self.graphs[row] for row in rows], self.table.iloc[list(rows)])


def measured(graphs: list[igraph.Graph]) -> Graphs:
    """Graphs with their features."""
    return Graphs(graphs, gt.measure_all(graphs))


def null_graphs(n: int = POOL, *, n_nodes: int = 16) -> Graphs:
    """Graphs of very different densities; graph i and graph i + n/2 are alike, as the two of a pair are."""
    rng = np.random.default_rng(0)
    densities = np.tile(rng.uniform(0.1, 0.5, size=n // 2), 2)
    return measured([gt.priors.erdos_renyi_dag(n_nodes, p=p, seed=seed) for seed, p in enumerate(densities)])


def draws(seed: int) -> np.random.Generator:
    """Chance that the relabelings of the same seed do not share."""
    return np.random.default_rng([seed, 1])


def null_sets(pool: Graphs, n: int, paired: bool, seed: int) -> tuple[Graphs, Graphs]:
    """Two sets of n graphs that differ by chance only; paired ones have partners of the same density."""
    rng = draws(seed)
    half = len(pool.graphs) // 2
    if not paired:
        rows = rng.choice(2 * half, size=2 * n, replace=False)
        return pool[rows[:n]], pool[rows[n:]]
    pairs = rng.choice(half, size=n, replace=False)
    swapped = rng.random(n) < 0.5
    return pool[np.where(swapped, pairs, pairs + half)], pool[np.where(swapped, pairs + half, pairs)]


Sets = Callable[[int], tuple[Graphs, Graphs]]


def two_sample_p(sets: Sets, method: str, n_sims: int, *, paired: bool, **options: int) -> FloatArray:
    """The p-values of a two-sample test in ``n_sims`` experiments."""
    found = []
    for seed in range(n_sims):
        a, b = (each.graphs if method == "wl" else each.table for each in sets(seed))
        options = {"n_permutations": N_PERMUTATIONS, "seed": seed} | options
        found.append(gt.two_sample_test(a, b, method=method, paired=paired, **options).p_value)
    return np.asarray(found)


def metric_p(sets: Sets, n_sims: int, *, paired: bool) -> dict[str, FloatArray]:
    """The smallest corrected p-value of any metric in ``n_sims`` experiments, for every test and correction."""
    found: dict[str, list[float]] = {name: [] for name in METRICS}
    for seed in range(n_sims):
        a, b = sets(seed)
        for statistic in ("mean", "rank"):
            table = gt.inference.metric_tests(
                a.table, b.table, paired=paired, statistic=statistic, n_permutations=N_PERMUTATIONS, seed=seed
            )
            for name, column in CORRECTIONS.items():
                found[f"{statistic}, {name}"].append(table[column].min())
    return {name: np.asarray(values) for name, values in found.items()}


def trend_p(tables: Callable[[int], pd.DataFrame], n_sims: int, *, order: list[str]) -> dict[str, FloatArray]:
    """The smallest corrected p-value of the trend of any metric in ``n_sims`` experiments, likewise."""
    found: dict[str, list[float]] = {name: [] for name in TRENDS}
    for seed in range(n_sims):
        rows = tables(seed)
        for test, block in (("Jonckheere", None), ("Page", "block")):
            table = gt.inference.trend_test(
                rows, by="data", order=order, block=block, n_permutations=N_PERMUTATIONS, seed=seed
            )
            for name, column in CORRECTIONS.items():
                found[f"{test}, {name}"].append(table[column].min())
    return {name: np.asarray(values) for name, values in found.items()}


def classifier_p(sets: Sets, n_sims: int, *, paired: bool, **options: float) -> FloatArray:
    """The p-values of the classifier test in ``n_sims`` experiments."""
    found = []
    for seed in range(n_sims):
        a, b = sets(seed)
        found.append(
            gt.inference.classifier_test(a.graphs, b.graphs, paired=paired, seed=seed, **options).p_value
        )
    return np.asarray(found)


def null_trend(pool: Graphs, n: int, labels: list[str], seed: int) -> pd.DataFrame:
    """``n`` graphs of each label, at random."""
    rows = draws(seed).choice(len(pool.graphs), size=n * len(labels), replace=False)
    return pool[rows].table.assign(data=np.repeat(labels, n), block=np.tile(range(n), len(labels)))


def level_rows(n_sims: int) -> Iterator[tuple[str, str, str, FloatArray]]:
    """Test, design, graphs, and the p-values of the experiments."""
    pool, small = null_graphs(), null_graphs(n_nodes=8)
    for n, paired in ((5, False), (6, True), (10, False), (10, True)):
        design, graphs = "paired" if paired else "unpaired", f"{n} against {n}"
        sets = partial(null_sets, pool, n, paired)
        for method in TWO_SAMPLE:
            yield method, design, graphs, two_sample_p(sets, method, n_sims, paired=paired)
        for name, found in metric_p(sets, n_sims, paired=paired).items():
            yield f"any metric: {name}", design, graphs, found
    for labels, n in (("abc", 3), ("abcde", 6)):
        for name, found in trend_p(
            partial(null_trend, pool, n, list(labels)), n_sims, order=list(labels)
        ).items():
            design = "blocked" if name.startswith("Page") else "unblocked"
            yield f"any trend: {name}", design, f"{len(labels)} labels × {n}", found
    for n, paired in ((5, False), (6, True)):
        found = classifier_p(partial(null_sets, small, n, paired), n_sims, paired=paired, **QUICK)
        yield "classifier", "paired" if paired else "unpaired", f"{n} against {n}", found


def banded_like(n_nodes: int, *, p: float, bandwidth: int, seed: int) -> igraph.Graph:
    """As many edges on average as an Erdős-Rényi DAG, but none longer than ``bandwidth``."""
    rng = np.random.default_rng(seed)
    near = sum(n_nodes - step for step in range(1, bandwidth + 1))
    probability = p * n_nodes * (n_nodes - 1) / 2 / near
    return gt.dag_from_predicate(
        n_nodes, lambda i, j: j - i <= bandwidth and bool(rng.random() < probability), stages=3
    )


def scenarios() -> dict[str, tuple[Callable[[int], igraph.Graph], Callable[[int], igraph.Graph]]]:
    """Differences that are there: what makes a graph of either set from a seed."""
    return {
        "none (density 0.2)": (lambda seed: gt.priors.erdos_renyi_dag(40, p=0.2, seed=seed),) * 2,
        "density 0.2, 0.22": tuple(
            lambda seed, p=p: gt.priors.erdos_renyi_dag(40, p=p, seed=seed) for p in (0.2, 0.22)
        ),
        "density 0.2, 0.25": tuple(
            lambda seed, p=p: gt.priors.erdos_renyi_dag(40, p=p, seed=seed) for p in (0.2, 0.25)
        ),
        "density 0.2, banded (25) or not": (
            lambda seed: gt.priors.erdos_renyi_dag(40, p=0.2, seed=seed),
            lambda seed: banded_like(40, p=0.2, bandwidth=25, seed=seed),
        ),
        "80 edges, random or small world": (
            lambda seed: gt.priors.watts_strogatz_dag(40, neighbors=4, p=1.0, seed=seed),
            lambda seed: gt.priors.watts_strogatz_dag(40, neighbors=4, p=0.5, seed=seed),
        ),
        "out-degree 3, constant or Poisson": tuple(
            lambda seed, law=law: gt.random_dag(40, out_degree=3, law=law, seed=seed)
            for law in ("constant", "poisson")
        ),
    }


def drawn(a: Graphs, b: Graphs, n: int, seed: int) -> tuple[Graphs, Graphs]:
    """``n`` graphs of each kind."""
    rng = draws(seed)
    rows = [rng.choice(len(each.graphs), n, replace=False) for each in (a, b)]
    return a[rows[0]], b[rows[1]]


def power_rows(n_sims: int, n_classifier: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Difference, graphs, and the power of every test."""
    for name, (make_a, make_b) in scenarios().items():
        seeds = count()
        a, b = (measured([make(next(seeds)) for _ in range(POOL)]) for make in (make_a, make_b))
        for n in (5, 10):
            sets = partial(drawn, a, b, n)
            found = {method: two_sample_p(sets, method, n_sims, paired=False) for method in TWO_SAMPLE}
            found |= metric_p(sets, n_sims, paired=False)
            if n_classifier:
                found["classifier"] = classifier_p(sets, n_classifier, paired=False, n_permutations=19)
            powers = {test: float((values <= LEVEL).mean()) for test, values in found.items()}
            yield name, f"{n} against {n}", powers


def thin_or_thick(n: int, *, seed: int) -> list[igraph.Graph]:
    """Graphs of two densities, as no model of independent edges gives them."""
    from distribution.sets import prunings

    thin, thick = n // 2, n - n // 2
    return [*prunings(thin, seed=2 * seed, keep=0.4), *prunings(thick, seed=2 * seed + 1, keep=0.9)]


def fit_rows(n_sims: int, *, stages: bool) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Where graphs come from, how many, and p-values of `graphtask.GraphDistribution.goodness_of_fit`: a row for each experiment."""
    from distribution.sets import known_model

    from graphtask.distribution.size_factor import SizeFactor

    pairs = known_model(3, nodes=7, certain_nodes=False)
    sizes = float(pairs.presence.sum()), float(pairs.probability.sum())
    by_pair = gt.GraphDistribution(pairs, 10, *sizes)
    narrow = gt.GraphDistribution(pairs, 10, *sizes, size_factor=SizeFactor(3.0, 0.3, *sizes))
    cases: list[tuple[str, bool, int, Callable[..., list[igraph.Graph]]]] = []
    for n in (5, 20):
        cases.append(("true: pairs of nodes", True, n, partial(by_pair.sample, n)))
        cases.append(("true: pairs of nodes, nearly one size", True, n, partial(narrow.sample, n)))
    cases.append(("not true: half thin, half thick", True, 10, partial(thin_or_thick, 10)))
    if stages:
        graphs = [
            gt.random_dag(n, out_degree=3, law="poisson", seed=n + 9 * k)
            for n in range(10, 17)
            for k in range(3)
        ]
        varied = gt.GraphDistribution.fit(graphs, correspond=False)
        cases += [("true: stages and distance", False, n, partial(varied.sample, n)) for n in (5, 20)]
    for name, correspond, n, draw in cases:
        found = []
        for seed in range(n_sims):
            graphs = draw(seed=1_000 + seed)
            table = gt.GraphDistribution.goodness_of_fit(
                graphs, metrics=FIT_METRICS, correspond=correspond, n_refits=9, n_sampled=30, seed=seed
            )
            p = table.set_index("metric")
            found.append({**p["p_value"], "any, corrected": p["p_westfall_young"].min()})
        yield name, n, pd.DataFrame(found)


def print_fit(n_sims: int, *, stages: bool) -> None:
    """The table of rejections of a distribution that was fitted."""
    columns = [*FIT_METRICS, "log_prob", "any, corrected"]
    print(f"| graphs | number | {' | '.join(columns)} | experiments |\n{'|---' * (3 + len(columns))}|")
    for name, n, found in fit_rows(n_sims, stages=stages):
        shares = " | ".join(f"{(found[column] <= 0.1 + 1e-9).mean():.2f}" for column in columns)
        print(f"| {name} | {n} | {shares} | {len(found)} |", flush=True)


def print_level(n_sims: int) -> None:
    """The table of rejections where nothing differs."""
    print(f"| test | design | graphs | rejected at {LEVEL} | experiments |\n|---|---|---|---|---|")
    for test, design, graphs, found in level_rows(n_sims):
        share = (found <= LEVEL).mean()
        print(f"| {test} | {design} | {graphs} | {share:.3f} | {len(found):,} |", flush=True)


def print_power(n_sims: int, n_classifier: int) -> None:
    """The table of rejections where something differs."""
    tests = [*TWO_SAMPLE, *METRICS, *(["classifier"] if n_classifier else [])]
    print("| difference | graphs | " + " | ".join(tests) + " |\n" + "|---" * (2 + len(tests)) + "|")
    for name, graphs, powers in power_rows(n_sims, n_classifier):
        shares = " | ".join(f"{powers[test]:.2f}" for test in tests)
        print(f"| {name} | {graphs} | {shares} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=2_000, help="experiments a row of the level")
    parser.add_argument("--power-sims", type=int, default=200, help="experiments a row of the power")
    parser.add_argument("--classifier-sims", type=int, default=20, help="the same of the classifier; 0: none")
    parser.add_argument("--fit-sims", type=int, default=60, help="the same of the goodness of fit")
    parser.add_argument(
        "--stages", action="store_true", help="also fits where nodes do not correspond, which take long"
    )
    parser.add_argument("--only", choices=["level", "power", "fit"])
    options = parser.parse_args()
    start = time.process_time()
    if options.only in {None, "level"}:
        print_level(options.sims)
    if options.only in {None, "power"}:
        print()
        print_power(options.power_sims, options.classifier_sims)
    if options.only in {None, "fit"}:
        print()
        print_fit(options.fit_sims, stages=options.stages)
    print(f"\n{time.process_time() - start:.0f} s of CPU time")


if __name__ == "__main__":
    main()
