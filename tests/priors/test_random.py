import hashlib
import itertools
import json
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import graphtask as gt
from graphtask.errors import ArgumentError
from graphtask.graph import node_order, size_by_stage
from graphtask.priors import random
from graphtask.priors.random import _out_degrees, _preferential_attachment, _rewired_ring
from graphtask.priors.words import Words

ORDERS = st.sampled_from(["ids", "ids", "ids", "x", "radius", "bifocal"])
SEEDS = st.integers(0, 2**64)

PRIORS = {
    "erdos-renyi": lambda seed: gt.priors.erdos_renyi_dag(60, p=0.1, seed=seed),
    "watts-strogatz": lambda seed: gt.priors.watts_strogatz_dag(60, neighbors=4, p=0.3, seed=seed),
    "barabasi-albert": lambda seed: gt.priors.barabasi_albert_dag(60, attachments=3, seed=seed),
    "constant": lambda seed: gt.random_dag(60, seed=seed),
    "uniform": lambda seed: gt.random_dag(60, law="uniform", decay="none", seed=seed),
    "poisson": lambda seed: gt.random_dag(
        60, law="poisson", out_degree=3.5, decay="power", rate=1.0, block=1, seed=seed
    ),
    "geometric": lambda seed: gt.random_dag(60, law="geometric", out_degree=3.5, seed=seed),
}

# Graphs for seeds 0, 1 and 12345: a change here changes what a seed means to everybody.
PINNED = {
    "erdos-renyi": ["44f21a75af8b82f1", "c81e06bf797a861d", "76f7e646049a0462"],
    "watts-strogatz": ["f048ae32af224748", "84da643f58e1863d", "ac2d025199bb9e67"],
    "barabasi-albert": ["42fc558f14bebb94", "d0acabd40fb527bb", "bef2d06d9970ea98"],
    "constant": ["0d57b515e4fb1a0a", "23d42cffcf69b21f", "c47c46d5182425a1"],
    "uniform": ["2866ad811c907394", "6aa5bcb6d5b990f5", "76b6b25182e426af"],
    "poisson": ["93d9fbfa8261bd49", "4d0eaf1d8ef8d1c9", "2521789cdb37c3aa"],
    "geometric": ["cd5936446df9a15d", "64d2c00a5dae523a", "f7b5d7686c9cbff8"],
}


def fingerprint(graph):
    return hashlib.sha256(repr(graph.get_edgelist()).encode()).hexdigest()[:16]


def n_drawn(graph):
    return graph.ecount() - gt.provenance(graph)["prior"]["repaired_edges"]


def assert_is_a_prior(graph, n_nodes):
    gt.check_graph(graph)
    assert graph.vs["name"] == [f"v{index}" for index in range(n_nodes)]
    assert node_order(graph) == list(range(n_nodes))
    assert gt.provenance(graph)["initial"] == size_by_stage(graph)
    assert json.loads(json.dumps(gt.provenance(graph))) == gt.provenance(graph)


@pytest.mark.parametrize("name", PRIORS)
def test_the_graphs_of_a_seed_are_pinned(name):
    assert [fingerprint(PRIORS[name](seed)) for seed in (0, 1, 12345)] == PINNED[name]


def test_small_graphs_of_seed_0_are_pinned_edge_by_edge():
    assert gt.priors.erdos_renyi_dag(6, p=0.5, seed=0).get_edgelist() == [
        (0, 2), (0, 3), (0, 4), (2, 5), (3, 5), (0, 1), (1, 2), (4, 5),
    ]  # fmt: skip
    assert gt.priors.watts_strogatz_dag(6, neighbors=2, p=0.5, seed=0).get_edgelist() == [
        (0, 1), (0, 3), (0, 5), (1, 2), (1, 3), (4, 5), (3, 4), (2, 3),
    ]  # fmt: skip
    assert gt.priors.barabasi_albert_dag(6, attachments=2, seed=0).get_edgelist() == [
        (0, 1), (0, 2), (0, 3), (1, 3), (1, 4), (2, 4), (2, 5), (3, 5), (4, 5),
    ]  # fmt: skip
    assert gt.random_dag(6, out_degree=2, seed=0).get_edgelist() == [
        (0, 1), (0, 2), (1, 2), (1, 4), (2, 3), (2, 4), (3, 4), (3, 5), (4, 5),
    ]  # fmt: skip


@pytest.mark.parametrize("name", PRIORS)
def test_nothing_touches_or_reads_the_global_generator(name):
    np.random.seed(0)  # noqa: NPY002 - the generator that must not matter
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = fingerprint(PRIORS[name](5))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert fingerprint(PRIORS[name](5)) == first


@pytest.mark.parametrize("name", PRIORS)
def test_seeds_give_different_graphs(name):
    assert len({fingerprint(PRIORS[name](seed)) for seed in range(20)}) == 20


@given(st.integers(2, 25), st.floats(0, 1), SEEDS, ORDERS)
def test_every_erdos_renyi_graph_is_valid(n_nodes, p, seed, order):
    assert_is_a_prior(gt.priors.erdos_renyi_dag(n_nodes, p=p, seed=seed, order=order), n_nodes)


@given(st.integers(3, 25), st.floats(0, 1), SEEDS, ORDERS, st.data())
def test_every_watts_strogatz_graph_is_valid_and_keeps_its_number_of_edges(n_nodes, p, seed, order, data):
    neighbors = 2 * data.draw(st.integers(1, (n_nodes - 1) // 2))
    graph = gt.priors.watts_strogatz_dag(n_nodes, neighbors=neighbors, p=p, seed=seed, order=order)
    assert_is_a_prior(graph, n_nodes)
    assert n_drawn(graph) == n_nodes * neighbors // 2


@given(st.integers(2, 25), SEEDS, ORDERS, st.data())
def test_every_barabasi_albert_graph_is_valid_and_has_its_number_of_edges(n_nodes, seed, order, data):
    attachments = data.draw(st.integers(1, n_nodes - 1))
    graph = gt.priors.barabasi_albert_dag(n_nodes, attachments=attachments, seed=seed, order=order)
    assert_is_a_prior(graph, n_nodes)
    assert n_drawn(graph) == (n_nodes - attachments) * attachments
    assert n_drawn(graph) == nx.barabasi_albert_graph(n_nodes, attachments, seed=0).number_of_edges()


@given(
    st.integers(2, 25),
    st.sampled_from(["constant", "uniform", "poisson", "geometric"]),
    st.one_of(st.integers(1, 40), st.floats(1, 1e300)),
    st.sampled_from(["none", "exponential", "power"]),
    st.floats(0, 1000),
    st.integers(1, 30),
    st.floats(0, 1000),
    SEEDS,
)
def test_every_random_dag_is_valid_without_repair(n_nodes, law, mean, decay, rate, block, attraction, seed):
    mean = float(int(mean)) if law in {"constant", "uniform"} else mean
    graph = gt.random_dag(
        n_nodes,
        law=law,
        out_degree=mean,
        decay=decay,
        rate=rate,
        block=block,
        attraction=attraction,
        seed=seed,
    )
    assert_is_a_prior(graph, n_nodes)
    assert n_drawn(graph) == graph.ecount()


@pytest.mark.parametrize(
    "make",
    [
        lambda: gt.priors.erdos_renyi_dag(2000, p=0.0, seed=0),
        lambda: gt.priors.erdos_renyi_dag(2000, p=0.01, seed=0),
        lambda: gt.priors.watts_strogatz_dag(2000, neighbors=10, p=1.0, seed=0),
        lambda: gt.priors.barabasi_albert_dag(2000, attachments=1, seed=0),
        lambda: gt.random_dag(2000, seed=0),
        lambda: gt.random_dag(2000, law="geometric", decay="power", seed=0),
    ],
)
def test_two_thousand_nodes_are_no_trouble(make):
    assert_is_a_prior(make(), 2000)


def test_erdos_renyi_at_0_is_the_repaired_chain_and_at_1_the_full_dag():
    assert gt.priors.erdos_renyi_dag(9, p=0, seed=3).get_edgelist() == gt.chain_dag(9).get_edgelist()
    assert gt.priors.erdos_renyi_dag(9, p=1, seed=3).get_edgelist() == gt.full_dag(9).get_edgelist()


def test_the_edges_of_erdos_renyi_graphs_are_binomial_and_equally_likely():
    n_nodes, p, n_graphs = 30, 0.2, 400
    pairs = n_nodes * (n_nodes - 1) // 2
    counts, hits = [], np.zeros((n_nodes, n_nodes))
    for seed in range(n_graphs):
        graph = gt.priors.erdos_renyi_dag(n_nodes, p=p, seed=seed)
        counts.append(n_drawn(graph))
        for edge in graph.get_edgelist()[: counts[-1]]:
            hits[edge] += 1
    z = (np.sum(counts) - n_graphs * pairs * p) / math.sqrt(n_graphs * pairs * p * (1 - p))
    assert abs(z) < 3.5
    spread = np.var(counts, ddof=1) / (pairs * p * (1 - p)) * (n_graphs - 1)
    assert 1e-3 < stats.chi2(n_graphs - 1).cdf(spread) < 1 - 1e-3
    squares = (hits[np.triu_indices(n_nodes, 1)] - n_graphs * p) ** 2 / (n_graphs * p * (1 - p))
    assert 1e-3 < stats.chi2(pairs).cdf(squares.sum()) < 1 - 1e-3


@pytest.mark.parametrize(("n_nodes", "neighbors"), [(3, 2), (10, 2), (10, 4), (11, 10)])
def test_watts_strogatz_without_rewiring_is_the_ring(n_nodes, neighbors):
    graph = gt.priors.watts_strogatz_dag(n_nodes, neighbors=neighbors, p=0, seed=1)
    ring = nx.watts_strogatz_graph(n_nodes, neighbors, 0)
    edges = {tuple(sorted(edge)) for edge in ring.edges}
    assert set(graph.get_edgelist()[: n_drawn(graph)]) == edges
    assert all(degree == neighbors for _, degree in ring.degree)


def test_watts_strogatz_rewires_the_share_asked_for():
    n_nodes, neighbors, p = 200, 4, 0.3
    ring = {tuple(edge) for edge in _rewired_ring(n_nodes, neighbors=neighbors, p=0, words=Words(0))}
    kept = [
        len(
            ring
            & {tuple(edge) for edge in _rewired_ring(n_nodes, neighbors=neighbors, p=p, words=Words(seed))}
        )
        for seed in range(60)
    ]
    # An edge of the ring stays with probability 1 - p; a rewired one lands on a gap in the ring in ~0.3 % of cases.
    expected, deviation = 400 * (1 - p) + 120 * 60 / (200 * 200 / 2), math.sqrt(400 * p * (1 - p) / 60)
    assert abs(np.mean(kept) - expected) < 3.5 * deviation


def test_watts_strogatz_rewires_to_any_stranger_alike():
    # With 7 nodes on a plain ring, the first rewired edge of node 0 (0-1) can go to 2 ... 5.
    targets = []
    for seed in range(6000):
        words = Words(seed)
        if (words.uniform(7) < 0.1).tolist() == [True] + [False] * 6:
            edges = {tuple(edge) for edge in _rewired_ring(7, neighbors=2, p=0.1, words=Words(seed)).tolist()}
            targets += [j for j in range(2, 6) if (0, j) in edges]
    counts = [targets.count(j) for j in range(2, 6)]
    assert sum(counts) > 200
    assert stats.chisquare(counts).pvalue > 1e-3


def test_barabasi_albert_starts_as_a_star():
    edges = _preferential_attachment(5, attachments=4, words=Words(0))
    assert {tuple(sorted(edge)) for edge in edges.tolist()} == {(0, 1), (0, 2), (0, 3), (0, 4)}


def test_barabasi_albert_prefers_nodes_in_proportion_to_their_degree():
    # A star 0-1; node 2 joins either end; node 3 then finds degrees 2, 1, 1; node 4 what follows from that.
    expected = {}
    for a, b, c in itertools.product(range(2), range(3), range(4)):
        degree = np.array([1.0, 1, 0, 0, 0])
        probability = 1.0
        for node, target in ((2, a), (3, b), (4, c)):
            probability *= degree[target] / degree.sum()
            degree[[node, target]] += 1
        expected[a, b, c] = probability
    assert math.isclose(sum(expected.values()), 1)
    drawn = []
    for seed in range(4000):
        edges = _preferential_attachment(5, attachments=1, words=Words(seed)).tolist()
        target = {source: other for source, other in edges if source > 1}
        drawn.append((target[2], target[3], target[4]))
    counts = [drawn.count(key) for key in expected]
    assert stats.chisquare(counts, [4000 * value for value in expected.values()]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("law", "mean", "distribution"),
    [
        ("uniform", 3, stats.randint(1, 6)),
        ("poisson", 3.5, stats.poisson(2.5, loc=1)),
        ("poisson", 40, stats.poisson(39, loc=1)),
        ("geometric", 3.5, stats.geom(1 / 3.5)),
        ("geometric", 1.2, stats.geom(1 / 1.2)),
    ],
)
def test_out_degrees_follow_their_law(law, mean, distribution):
    degrees = _out_degrees(20_000, mean, law=law, words=Words(11))
    assert math.isclose(distribution.mean(), mean)
    values = np.arange(0, 200)
    expected = 20_000 * distribution.pmf(values)
    common = expected > 8
    counts = np.bincount(degrees, minlength=200)[:200]
    observed = [*counts[common], 20_000 - counts[common].sum()]
    wanted = [*expected[common], 20_000 - expected[common].sum()]
    if wanted[-1] < 1:
        assert observed.pop() <= 5
        wanted.pop()
        wanted = np.asarray(wanted) * sum(observed) / sum(wanted)
    assert stats.chisquare(observed, wanted).pvalue > 1e-3


@pytest.mark.parametrize("law", ["constant", "uniform", "poisson", "geometric"])
def test_mean_out_degree_1_is_the_chain(law):
    assert gt.random_dag(30, law=law, out_degree=1, seed=2).get_edgelist() == gt.chain_dag(30).get_edgelist()


def test_the_paper_s_laplace_law_is_the_geometric_one():
    scale = 3.0
    laplace = [stats.expon(scale=scale).cdf(k) - stats.expon(scale=scale).cdf(k - 1) for k in range(1, 30)]
    assert np.allclose(laplace, stats.geom(1 - math.exp(-1 / scale)).pmf(np.arange(1, 30)))
    mean = 1 / (1 - math.exp(-1 / scale))
    degrees = _out_degrees(50_000, mean, law="geometric", words=Words(1))
    assert abs(degrees.mean() - mean) < 4 * degrees.std() / math.sqrt(50_000)


@pytest.mark.parametrize(
    ("decay", "f"),
    [
        ("none", lambda _: 1.0),
        ("exponential", lambda x: math.exp(-0.7 * x)),
        ("power", lambda x: (1 + x) ** -0.7),
    ],
)
def test_far_targets_are_as_unlikely_as_the_decay_says(decay, f):
    # Every node has two edges, capped near the end. Node 0's first goes to node 1, its second follows the law.
    n_nodes, n_graphs = 12, 1500
    degree = [min(2, n_nodes - 1 - node) for node in range(n_nodes - 1)] + [2]
    weights = np.array([degree[j] ** 0.5 * f(j // 3) for j in range(2, n_nodes)])
    counts = np.zeros(n_nodes)
    for seed in range(n_graphs):
        graph = gt.random_dag(n_nodes, out_degree=2, decay=decay, rate=0.7, block=3, seed=seed)
        first, second = graph.successors(0)
        assert first == 1
        counts[second] += 1
    assert stats.chisquare(counts[2:], n_graphs * weights / weights.sum()).pvalue > 1e-3


@pytest.mark.parametrize("law", ["constant", "uniform", "poisson", "geometric"])
@pytest.mark.parametrize(
    ("decay", "rate"), [("none", 2.0), ("exponential", 0.1), ("exponential", 8.0), ("power", 30.0)]
)
@pytest.mark.parametrize("attraction", [0.0, 0.5, 30.0])
def test_nodes_too_far_away_to_be_drawn_are_skipped_and_nothing_changes(
    monkeypatch, law, decay, rate, attraction
):
    def edges():
        return gt.random_dag(
            400, law=law, out_degree=4, decay=decay, rate=rate, attraction=attraction, block=2, seed=3
        ).get_edgelist()

    skipping = edges()
    monkeypatch.setattr(random, "SPREAD", math.inf)
    assert skipping == edges()


def test_random_dags_look_at_near_nodes_only():
    """The number of words, of which every one takes the same time, is linear in the nodes."""
    n_words = []
    uniform = Words.uniform
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Words, "uniform", lambda self, size: n_words.append(size) or uniform(self, size))
        gt.random_dag(3_000, seed=0)
        assert sum(n_words) < 130 * 3_000


def test_constant_out_degrees_are_kept_up_to_the_number_of_later_nodes():
    graph = gt.random_dag(60, out_degree=3, seed=9)
    assert graph.outdegree() == [3] * 57 + [2, 1, 0]


def test_short_range_edges_are_shorter():
    def length(decay):
        return np.mean(
            [np.diff(gt.random_dag(60, decay=decay, seed=seed).get_edgelist()) for seed in range(5)]
        )

    assert length("exponential") < length("power") < length("none")


def test_the_order_changes_directions_but_not_the_undirected_graph():
    by_ids = gt.priors.watts_strogatz_dag(30, neighbors=4, p=0.2, seed=1)
    plain = nx.Graph(by_ids.get_edgelist()[: n_drawn(by_ids)])
    for order in ("x", "radius", "bifocal"):
        graph = gt.priors.watts_strogatz_dag(30, neighbors=4, p=0.2, seed=1, order=order)
        assert nx.is_isomorphic(plain, nx.Graph(graph.get_edgelist()[: n_drawn(graph)]))
        assert gt.provenance(graph)["prior"]["arguments"]["order"] == order


def test_provenance_says_how_to_draw_the_graph_again():
    graph = gt.priors.barabasi_albert_dag(12, attachments=2, seed=np.int64(7), stages=[5, 7])
    prior = gt.provenance(graph)["prior"]
    assert prior["name"] == "barabasi-albert"
    assert prior["arguments"] == {
        "n_nodes": 12,
        "attachments": 2,
        "seed": 7,
        "order": "ids",
        "stages": [5, 7],
    }
    again = gt.priors.barabasi_albert_dag(**prior["arguments"])
    assert again.get_edgelist() == graph.get_edgelist()
    assert gt.provenance(again) == gt.provenance(graph)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gt.priors.erdos_renyi_dag(1, p=0.5, seed=0), "n_nodes must be an integer >= 2, got 1"),
        (lambda: gt.priors.erdos_renyi_dag(5, p=1.5, seed=0), r"p must be a number in \[0, 1\], got 1.5"),
        (lambda: gt.priors.erdos_renyi_dag(5, p=float("nan"), seed=0), "p must be .*got nan"),
        (lambda: gt.priors.erdos_renyi_dag(5, p="0.5", seed=0), "p must be .*got '0.5'"),
        (lambda: gt.priors.erdos_renyi_dag(5, p=0.5, seed=-1), "seed must be .*got -1"),
        (lambda: gt.priors.erdos_renyi_dag(5, p=0.5, seed=0, order="z"), "order must be one of .*got 'z'"),
        (lambda: gt.priors.erdos_renyi_dag(5, p=0.5, seed=0, stages=9), r"stages must be .*\[1, 5\], got 9"),
        (
            lambda: gt.priors.watts_strogatz_dag(5, neighbors=3, p=0.5, seed=0),
            "neighbors must be an even integer .*got 3",
        ),
        (
            lambda: gt.priors.watts_strogatz_dag(4, neighbors=4, p=0.5, seed=0),
            "neighbors must be an even integer .*got 4",
        ),
        (
            lambda: gt.priors.watts_strogatz_dag(5, neighbors=0, p=0.5, seed=0),
            "neighbors must be an integer >= 2, got 0",
        ),
        (
            lambda: gt.priors.barabasi_albert_dag(5, attachments=5, seed=0),
            "attachments must be an integer .*got 5",
        ),
        (lambda: gt.priors.barabasi_albert_dag(5, attachments=0, seed=0), "attachments must be .*got 0"),
        (
            lambda: gt.random_dag(5, seed=0, law="normal"),
            "law must be one of constant, uniform.*got 'normal'",
        ),
        (lambda: gt.random_dag(5, seed=0, decay="linear"), "decay must be one of .*got 'linear'"),
        (
            lambda: gt.random_dag(5, seed=0, out_degree=2.5),
            "out_degree must be an integer for law='constant', got 2.5",
        ),
        (lambda: gt.random_dag(5, seed=0, out_degree=0.5), "out_degree must be .*got 0.5"),
        (
            lambda: gt.random_dag(5, seed=0, out_degree=float("inf"), law="poisson"),
            "out_degree must be .*got inf",
        ),
        (lambda: gt.random_dag(5, seed=0, rate=-1), "rate must be .*got -1"),
        (lambda: gt.random_dag(5, seed=0, block=0), "block must be .*got 0"),
        (lambda: gt.random_dag(5, seed=0, attraction=-1), "attraction must be .*got -1"),
        (lambda: gt.random_dag(5, seed=1.5), "seed must be .*got 1.5"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
