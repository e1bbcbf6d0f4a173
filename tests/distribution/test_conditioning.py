"""P(G | valid): sampled frequencies, probabilities and normalizing constants against sums over all graphs."""

import itertools
from collections import Counter
from dataclasses import replace

import igraph
import numpy as np
import pytest
from distribution.sets import prunings

import graphtask as gt
from graphtask.distribution import pair_model, sampling
from graphtask.distribution.conditioned import fits_everywhere, is_valid, random_generators
from graphtask.distribution.distances import DistanceRates
from graphtask.distribution.orders import canonical
from graphtask.distribution.pair_model import PairCounts, PairModel
from graphtask.distribution.sampling import SamplingPlan, chain_penalty, draw_graphs, log_normalizer
from graphtask.distribution.size_factor import NO_FACTOR, SizeFactor
from graphtask.distribution.sizes import SizeDistribution
from graphtask.distribution.stage_chains import as_graph
from graphtask.distribution.stage_model import StageModel
from graphtask.distribution.support import Support

NARROW = SizeFactor(nodes=0.8, edges=0.3, mean_nodes=3.5, mean_edges=4.2)


def random_model(prior, seed, *, low=0.1, high=0.9, factor=NO_FACTOR):
    """A model of the edges of a prior with random probabilities."""
    rng = np.random.default_rng(seed)
    support = Support.of(prior)
    edge = rng.uniform(low, high, size=len(support.pairs))
    presence = np.ones(len(support.names))
    presence[1:-1] = rng.uniform(0.2, 0.9, size=len(presence) - 2)
    nothing = PairCounts(1, np.ones(len(presence), int), np.ones(len(edge), int), np.ones(len(edge), int))
    return PairModel(support, presence, edge, nothing, edge, factor)


def key(graph):
    return frozenset(graph.vs["name"]), frozenset(gt.graph.edge_names(graph))


def valid_graphs(model):
    """P before conditioning of every valid graph of a support, by nodes and edges."""
    found = {}
    names, n = model.support.names, len(model.support.names)
    pairs = model.support.pairs.tolist()
    for bits in itertools.product((False, True), repeat=len(pairs)):
        edges = np.zeros((n, n), dtype=bool)
        for bit, (i, j) in zip(bits, pairs, strict=True):
            edges[i, j] = bit
        present = edges.any(axis=0) | edges.any(axis=1)
        if not (present[0] and present[-1]) or not is_valid(present[None], edges[None])[0]:
            continue
        graph = model.graph(present, edges)
        assert graph.vs["name"] == [name for name, own in zip(names, present, strict=True) if own]
        found[key(graph)] = np.exp(model.log_prob(graph)[0])
    return found


def noise(shares, n, *, draws=200):
    """The total variation of n true draws from the distribution: mean and standard deviation."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, shares / shares.sum(), size=draws)
    distances = np.abs(counts / n - shares / shares.sum()).sum(axis=1) / 2
    return distances.mean(), distances.std()


def assert_sampled_as_often_as_likely(graphs, expected, total):
    counts = Counter(map(key, graphs))
    assert set(counts) <= set(expected)
    shares = np.array(list(expected.values())) / total
    found = np.array([counts[one] for one in expected]) / len(graphs)
    mean, spread = noise(shares, len(graphs))
    assert np.abs(found - shares).sum() / 2 <= mean + 4.5 * spread


def beside(n_pairs, graph):
    """The graph, whose input and output are the first and the last node, with chains of two nodes beside it."""
    names, edges = graph.vs["name"], gt.graph.edge_names(graph)
    for pair in range(n_pairs):
        first, second = f"a{pair}", f"b{pair}"
        names = [*names[:-1], first, second, names[-1]]
        edges += [(names[0], first), (first, second), (second, names[-1])]
    found = igraph.Graph(n=len(names), directed=True)
    found.vs["name"], found.vs["stage"] = names, [0] * len(names)
    found.add_edges(edges)
    return gt.as_architecture(found)


PRIORS = {
    "2 nodes": gt.full_dag(2, stages=1),
    "3 nodes": gt.full_dag(3, stages=2),
    "4 nodes": gt.full_dag(4, stages=2),
    "5 nodes": gt.full_dag(5, stages=3),
    "5 nodes, banded": gt.banded_dag(5, bandwidth=2, stages=2),
    "5 nodes, random": gt.priors.erdos_renyi_dag(5, p=0.6, seed=1),
    "4 nodes, two of which come and go together": beside(1, gt.full_dag(2, stages=1)),
}


def every_support(*, most=5):
    """All initial graphs of 2 to ``most`` nodes in topological order."""
    for n in range(2, most + 1):
        pairs = list(itertools.combinations(range(n), 2))
        for bits in itertools.product((False, True), repeat=len(pairs)):
            edges = np.zeros((n, n), dtype=bool)
            for kept, pair in zip(bits, pairs, strict=True):
                edges[pair] = kept
            if is_valid(np.ones((1, n), dtype=bool), edges[None])[0]:
                yield as_graph(np.zeros(n, dtype=int), edges)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("method", ["rejection", "mcmc"])
def test_in_every_support_of_up_to_5_nodes_graphs_are_sampled_as_often_as_they_are_likely(method):
    supports = list(every_support())
    assert len(supports) == 1 + 2 + 10 + 122
    for seed, prior in enumerate(supports):
        assert_sampled_from_its_probabilities(random_model(prior, seed), method)


def one_node_connects(model):
    """Whether changes of single nodes, with their edges, lead from every valid graph to every other one."""
    states = list(valid_graphs(model))
    meeting, numbers = {}, igraph.Graph(len(states))
    for number, (nodes, edges) in enumerate(states):
        for node in model.support.names:
            rest = (node, nodes - {node}, frozenset(edge for edge in edges if node not in edge))
            numbers.add_edge(number, meeting.setdefault(rest, number))
    return numbers.is_connected()


@pytest.mark.parametrize("most", [4, pytest.param(5, marks=pytest.mark.slow)])
def test_nodes_that_fit_everywhere_connect_all_valid_graphs(most):
    found = Counter()
    for prior in every_support(most=most):
        model = random_model(prior, 0)
        fits, connects = fits_everywhere(model.edge_matrix > 0), one_node_connects(model)
        assert connects or not fits
        assert fits == (chain_penalty(model) == 0)
        found[fits, connects] += 1
    assert found[False, False] >= 1  # where a penalty is needed


def test_sizes_are_right_where_nodes_come_and_go_together():
    """Five chains of two nodes beside a full DAG, each of which a graph has or has not."""
    rng = np.random.default_rng(0)
    initial = beside(5, gt.full_dag(3, stages=1))
    observed = []
    for _ in range(12):
        graph = initial.copy()
        kept = set(np.flatnonzero(rng.random(5) < 0.4).tolist())
        graph.delete_vertices([f"{end}{pair}" for pair in range(5) if pair not in kept for end in "ab"])
        observed.append(graph)
    fitted = gt.GraphDistribution.fit(observed, initial=initial)
    model, n = fitted.conditioned_model, 128
    penalty = chain_penalty(model)
    assert len(fitted.model.presence) == 13
    assert penalty > 0
    chains = list(draw_graphs(model, SamplingPlan("mcmc", 0.0, 48, penalty=penalty), n, seed=0))
    share = model.share_valid(np.random.default_rng(0), n=20_000)
    exact = list(draw_graphs(model, SamplingPlan("rejection", share), n, seed=0))
    for count in (igraph.Graph.vcount, igraph.Graph.ecount):
        wanted, found, others = (
            np.array([count(own) for own in graphs]) for graphs in (observed, chains, exact)
        )
        error = others.std() / np.sqrt(n)
        assert found.std() > 0.7 * others.std() > 0
        assert abs(found.mean() - others.mean()) < 4.5 * np.sqrt(2) * error
        assert abs(others.mean() - wanted.mean()) < 4.5 * error + 0.1 * wanted.std()


def sampled_cases():
    """All priors, methods and factors; of the longest chains only those of two priors are not slow."""
    for prior, method, factor in itertools.product(PRIORS, ["rejection", "mcmc"], [NO_FACTOR, NARROW]):
        long = method == "mcmc" and factor is NARROW and prior not in ("4 nodes", "5 nodes")
        name = f"{prior}-{method}{'-narrow' if factor is NARROW else ''}"
        yield pytest.param(prior, method, factor, id=name, marks=[pytest.mark.slow] if long else [])


@pytest.mark.parametrize(("prior", "method", "factor"), list(sampled_cases()))
def test_graphs_are_sampled_as_often_as_they_are_likely(prior, method, factor):
    assert_sampled_from_its_probabilities(random_model(PRIORS[prior], 5, factor=factor), method)


def assert_sampled_from_its_probabilities(model, method):
    """The total variation is that of true draws, and ln P is that of the sampled graphs."""
    expected = valid_graphs(model)
    total = sum(expected.values())
    distribution = gt.GraphDistribution(model, 1, 5, 5, size_factor=model.factor)
    assert distribution.log_normalizer.error == 0
    assert distribution.log_normalizer.value == pytest.approx(np.log(total), abs=1e-12)
    n = 600
    if method == "rejection":
        graphs = distribution.sample(n, seed=1)
        assert distribution.sampling_plan.method == "rejection"
    else:
        n_sweeps = 96 if model.factor.is_active else 24  # narrow sizes mix more slowly
        plan = SamplingPlan("mcmc", total, n_sweeps, penalty=chain_penalty(model))
        graphs = list(draw_graphs(model, plan, n, seed=1))
    assert_sampled_as_often_as_likely(graphs, expected, total)
    values = [distribution.log_prob(graph) for graph in graphs[:5]]
    np.testing.assert_allclose(values, [np.log(expected[key(graph)] / total) for graph in graphs[:5]])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("correspond", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_fitted_distributions_are_sampled_as_their_probabilities_say(seed, correspond):
    """The mean of ln P over sampled graphs is minus the entropy, which takes all of P to be right."""
    fitted = gt.GraphDistribution.fit(prunings(6, seed=seed, nodes=5, keep=0.7), correspond=correspond)
    values = {}
    counts = Counter()
    for graph in fitted.sample(600, seed=seed):
        one = (
            canonical(graph).edges.tobytes() + canonical(graph).stage.tobytes()
            if not correspond
            else key(graph)
        )
        values[one] = fitted.log_prob(graph)
        counts[one] += 1
    often = [one for one, count in counts.items() if count >= 20]
    assert often
    for one in often:
        share = np.exp(values[one])
        error = np.sqrt(share * (1 - share) / 600) + share * fitted.log_normalizer.error
        assert counts[one] / 600 == pytest.approx(share, abs=4.5 * error)
    assert sum(np.exp(value) for value in values.values()) <= 1 + 4 * fitted.log_normalizer.error


@pytest.mark.parametrize("factor", [NO_FACTOR, SizeFactor(1.0, 0.2, 6.0, 11.0)])
def test_the_estimated_constant_is_the_exact_one_within_its_error(monkeypatch, factor):
    model = random_model(gt.full_dag(8, stages=3), 2, low=0.05, high=0.4, factor=factor)
    exact = log_normalizer(model)
    assert exact.error == 0
    monkeypatch.setattr(pair_model, "MOST_EXACT", 1)
    estimate = log_normalizer(model)
    assert 0 < estimate.error < 0.1
    assert estimate.value == pytest.approx(exact.value, abs=4.5 * estimate.error + 0.02)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_exact_sizes_are_those_of_all_valid_graphs(prior):
    model = random_model(PRIORS[prior], 7, factor=NARROW)
    expected = np.zeros_like(model.exact_sizes())
    for (nodes, edges), probability in valid_graphs(model).items():
        expected[len(nodes), len(edges)] += probability
    np.testing.assert_allclose(model.exact_sizes(), expected, atol=1e-15)


@pytest.mark.parametrize("seed", range(2))
def test_valid_graphs_have_the_wanted_mean_sizes_and_no_larger_variances(seed):
    graphs = prunings(6, seed=seed, nodes=5, keep=0.6)
    fitted = gt.GraphDistribution.fit(graphs)
    shares = valid_graphs(fitted.conditioned_model)
    sizes = np.array([[len(nodes), len(edges)] for nodes, edges in shares])
    probability = np.array(list(shares.values()))
    mean = probability @ sizes / probability.sum()
    np.testing.assert_allclose(mean, fitted.model.attainable_means, atol=1e-3)


def test_sizes_from_chains_are_calibrated_as_the_exact_ones(monkeypatch):
    graphs = prunings(8, seed=3, nodes=7, keep=0.45)
    exact = gt.GraphDistribution.fit(graphs)
    monkeypatch.setattr(sampling, "_MOST_EXACT", 1)
    from_chains = gt.GraphDistribution.fit(graphs)
    assert from_chains.tilt != exact.tilt
    np.testing.assert_allclose(from_chains.tilt, exact.tilt, atol=0.15)


def of_one_size(count, *, seed, nodes=7, edges=9):
    """Graphs pruned to one number of nodes and nearly one number of edges."""
    graphs = prunings(60 * count, seed=seed, nodes=nodes, keep=0.5)
    found = [g for g in graphs if g.vcount() == nodes - 1 and abs(g.ecount() - edges) <= 1]
    return found[:count]


@pytest.mark.parametrize("correspond", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_graphs_of_one_size_are_sampled_with_as_little_spread(correspond):
    graphs = of_one_size(8, seed=1)
    fitted = gt.GraphDistribution.fit(graphs, correspond=correspond)
    plain = replace(fitted, size_factor=NO_FACTOR)
    spread, before = (
        np.std([[graph.vcount(), graph.ecount()] for graph in own.sample(200, seed=0)], axis=0)
        for own in (fitted, plain)
    )
    assert fitted.size_factor.edges > 0
    assert (spread < 0.75 * before).all()
    mean = np.mean([[graph.vcount(), graph.ecount()] for graph in fitted.sample(200, seed=0)], axis=0)
    assert mean == pytest.approx([fitted.mean_nodes, fitted.mean_edges], abs=0.4)


def test_sizes_that_vary_as_independent_edges_do_are_not_narrowed():
    active = [
        gt.GraphDistribution.fit(prunings(8, seed=seed, nodes=7)).size_factor.is_active for seed in range(12)
    ]
    assert sum(active) <= 4  # of 24 counts, one in twenty


def stage_model(seed=0, factor=NO_FACTOR):
    rates = np.random.default_rng(seed).uniform(0.2, 0.9, size=(3, 3, 3))
    counts = np.ones(rates.shape, dtype=int)
    sizes = SizeDistribution(np.array([1, 2]), np.array([1, 1]), 0, 0.05)
    return StageModel(
        np.array([[0, 0]]), np.array([1]), (sizes,), DistanceRates(rates, counts, counts), factor
    )


def valid_classes(model, *, most=5):
    """P before conditioning of every isomorphism class of valid graphs, summed over ordered graphs."""
    found = {}
    for n in range(2, most + 1):
        stage = np.zeros(n, dtype=int)
        probability = model.probabilities(stage)
        pairs = np.triu_indices(n, 1)
        for bits in itertools.product((False, True), repeat=len(pairs[0])):
            edges = np.zeros((n, n), dtype=bool)
            edges[pairs] = bits
            if is_valid(np.ones((1, n), dtype=bool), edges[None])[0]:
                share = np.where(edges, probability, 1 - probability)[pairs].prod()
                share *= np.exp(model.factor.log(n, edges.sum()))
                form = canonical(as_graph(stage, edges))
                one = (n, form.edges.tobytes())
                found.setdefault(one, [form, 0.0])[1] += share * np.exp(model.log_prob_of_sizes(stage))
    return found


def test_graphs_without_identity_have_the_probability_of_all_their_orders():
    model = stage_model()
    classes = valid_classes(model)
    assert len(classes) == 111
    for form, probability in classes.values():
        assert model.log_prob(form)[0].value == pytest.approx(np.log(probability), abs=1e-12)


@pytest.mark.parametrize(
    ("method", "factor", "n"),
    [
        ("rejection", NARROW, 1_000),
        ("mcmc", NO_FACTOR, 250),
        pytest.param("rejection", NO_FACTOR, 1_000, marks=pytest.mark.slow),
        pytest.param("mcmc", NO_FACTOR, 1_000, marks=pytest.mark.slow),
        pytest.param("mcmc", NARROW, 1_000, marks=pytest.mark.slow),
    ],
)
def test_graphs_without_identity_are_sampled_as_often_as_they_are_likely(method, factor, n):
    model = stage_model(factor=factor)
    classes = valid_classes(model)
    total = sum(probability for _, probability in classes.values())
    graphs = list(draw_graphs(model, SamplingPlan(method, total, 24), n, seed=0))
    counts = Counter((graph.vcount(), canonical(graph).edges.tobytes()) for graph in graphs)
    shares = np.array([probability for _, probability in classes.values()]) / total
    found = np.array([counts[one] for one in classes]) / n
    mean, spread = noise(shares, n)
    assert np.abs(found - shares).sum() / 2 <= mean + 4.5 * spread + 0.002  # more than 3 inner nodes: 0.001
    estimate = log_normalizer(model)
    assert estimate.value == pytest.approx(np.log(total), abs=4.5 * estimate.error + 0.002)


def test_the_sum_over_sampled_orders_is_that_over_all_orders(monkeypatch):
    from graphtask.distribution import orders

    model = stage_model()
    forms = [form for form, _ in valid_classes(model).values()]
    exact = [model.log_prob(form)[0].value for form in forms]
    monkeypatch.setattr(orders, "MOST_ORDERS", 0)
    np.testing.assert_allclose([model.log_prob(form)[0].value for form in forms], exact, atol=0.05)


def renumbered(graph, seed):
    """The same graph with other names, in another topological order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(graph.vcount())
    position = np.argsort(order)
    other = type(graph)(
        n=graph.vcount(), edges=[(position[s], position[t]) for s, t in graph.get_edgelist()], directed=True
    )
    other.vs["stage"] = [graph.vs[int(node)]["stage"] for node in order]
    other.vs["name"] = [f"x{index}" for index in range(graph.vcount())]
    return gt.as_architecture(other)


@pytest.mark.parametrize("n_nodes", [8, pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("rough_once")  # the sizes do not matter here
def test_the_probability_does_not_depend_on_the_numbering_of_nodes_without_identity(n_nodes):
    graphs = [gt.random_dag(n_nodes, out_degree=2, seed=seed) for seed in range(4)]
    fitted = gt.GraphDistribution.fit(graphs, correspond=False)
    graph = gt.random_dag(n_nodes, out_degree=2, seed=9)
    values = [fitted.log_prob(renumbered(graph, seed)) for seed in range(5)]
    assert len(set(values)) == 1
    assert values[0] == fitted.log_prob(graph)
    again = gt.GraphDistribution.fit(
        [renumbered(one, seed) for seed, one in enumerate(graphs)], correspond=False
    )
    assert again.log_prob(graph) == fitted.log_prob(graph)
    assert fitted.log_prob(graph, per_edge=True) == pytest.approx(values[0] / graph.ecount())


def test_chains_forget_where_they_start():
    model = random_model(gt.full_dag(16, stages=3), 4, low=0.05, high=0.2)
    plan = sampling.sampling_plan(model)
    assert plan.method == "mcmc"
    assert plan.r_hat < 1.1
    dense, sparse = (model.sampler(random_generators(64, seed=[end])) for end in range(2))
    sparse.retune(model.shifted(-6.0, -6.0))
    for _ in range(6):
        sparse.sweep()
    sparse.retune(model)
    assert dense.counts[:, 1].mean() > 2 * sparse.counts[:, 1].mean()
    for _ in range(plan.sweeps):
        dense.sweep()
        sparse.sweep()
    spread = np.std(dense.counts[:, 1]) * np.sqrt(2 / 64)
    assert abs(dense.counts[:, 1].mean() - sparse.counts[:, 1].mean()) < 4.5 * spread


@pytest.mark.usefixtures("rough_once")
def test_equal_wirings_are_one_origin_and_unrelated_ones_of_equal_size_are_not():
    def trained(graph, seed):
        del graph["provenance"]
        graph.es["weight"] = np.random.default_rng(seed).random(graph.ecount()).tolist()
        return gt.prune(gt.graph.with_initial_size(graph), threshold=0.05)

    same = [trained(gt.full_dag(8), seed) for seed in range(3)]
    assert gt.GraphDistribution.fit(same).corresponds
    others = [trained(gt.priors.erdos_renyi_dag(8, p=0.5, seed=seed), seed) for seed in (1, 2)]
    sizes = {len(gt.provenance(graph)["initial"]["hash"]) for graph in others}
    assert sizes == {16}
    assert not gt.GraphDistribution.fit(others).corresponds


def test_the_same_constant_conditions_every_graph():
    model = random_model(gt.full_dag(6, stages=2), 8)
    distribution = gt.GraphDistribution(model, 1, 4, 6)
    dead_end = gt.chain_dag(6, stages=2)
    dead_end.delete_edges([4])
    dead_end.vs["name"] = [f"v{index}" for index in range(6)]
    assert distribution.log_prob(dead_end) == -np.inf
    assert distribution.obstacle(dead_end).startswith("it is not valid: ")
    tilted = replace(distribution, tilt=sampling.Tilt(0.3, -0.2))
    assert tilted.log_normalizer != distribution.log_normalizer
