"""Builders that several tests share."""

import json
import struct
from concurrent.futures import Future

import igraph
import numpy as np
import pytest
from hypothesis import strategies as st

import graphtask as gt


@st.composite
def architectures(draw, *, max_nodes=12):
    """Valid graphs: any set of forward edges on up to `max_nodes` nodes, orphans repaired, any number of stages."""
    n_nodes = draw(st.integers(2, max_nodes))
    n_pairs = n_nodes * (n_nodes - 1) // 2
    chosen = iter(draw(st.lists(st.booleans(), min_size=n_pairs, max_size=n_pairs)))
    return gt.dag_from_predicate(n_nodes, lambda _i, _j: next(chosen), stages=draw(st.integers(1, n_nodes)))


@st.composite
def weighted_architectures(draw, *, max_nodes=12):
    """Valid graphs with a weight in [0, 1] on every edge; equal weights, 0 and 1 come up often."""
    graph = draw(architectures(max_nodes=max_nodes))
    weight = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    graph.es["weight"] = draw(st.lists(weight, min_size=graph.ecount(), max_size=graph.ecount()))
    return graph


def shuffled(graph: igraph.Graph, seed: int) -> igraph.Graph:
    """The same graph with its vertices and its edges in another order."""
    rng = np.random.default_rng(seed)
    order, edge_order = rng.permutation(graph.vcount()), rng.permutation(graph.ecount())
    position = np.argsort(order)
    pairs = [graph.get_edgelist()[index] for index in edge_order]
    result = igraph.Graph(
        n=graph.vcount(), edges=[(position[i], position[j]) for i, j in pairs], directed=True
    )
    for attribute in graph.attributes():
        result[attribute] = graph[attribute]
    for attribute in graph.vs.attributes():
        result.vs[attribute] = [graph.vs[int(index)][attribute] for index in order]
    for attribute in graph.es.attributes():
        result.es[attribute] = [graph.es[int(index)][attribute] for index in edge_order]
    return result


def staged(edges, stage, names=None):
    """A valid graph from edges between vertex numbers and the stage of every vertex; the names are n0, n1 …"""
    graph = igraph.Graph(n=len(stage), edges=edges, directed=True)
    graph.vs["name"] = names or [f"n{index}" for index in range(len(stage))]
    graph.vs["stage"] = list(stage)
    gt.check_graph(graph)
    return graph


@st.composite
def staged_dags(draw, *, max_nodes=8, max_stage=3):
    """Valid graphs of 2 … max_nodes nodes, with skipped and repeated stages, vertices and edges in any order."""
    n = draw(st.integers(2, max_nodes))
    stage = sorted(draw(st.lists(st.integers(0, max_stage), min_size=n, max_size=n)))
    pairs = [(i, j) for j in range(n) for i in range(j)]
    edges = set(draw(st.lists(st.sampled_from(pairs), unique=True)))
    for j in range(1, n):  # one input: everybody has a predecessor, near or far
        if not any(target == j for _, target in edges):
            edges.add((draw(st.integers(0, j - 1)), j))
    for i in range(n - 1):  # one output
        if not any(source == i for source, _ in edges):
            edges.add((i, draw(st.integers(i + 1, n - 1))))
    place = draw(st.permutations(range(n)))
    order = draw(st.permutations(sorted(edges)))
    return staged(
        [(place[i], place[j]) for i, j in order],
        [stage[place.index(k)] for k in range(n)],
        [f"n{place.index(k)}" for k in range(n)],
    )


def bits(value):
    """The value in a form whose equality means the same type and, for floats, the same bits (NaN and -0.0 too)."""
    if isinstance(value, float):
        return float, struct.pack(">d", value)
    if isinstance(value, list | tuple):
        return type(value), [bits(item) for item in value]
    if isinstance(value, dict):
        return dict, [(bits(key), bits(item)) for key, item in value.items()]
    return type(value), value


def assert_same_graph(left: igraph.Graph, right: igraph.Graph):
    """Same vertices and edges in the same order, same attributes with the same values of the same types."""
    assert left.vcount() == right.vcount()
    assert left.get_edgelist() == right.get_edgelist()
    for ours, theirs in ((left, right), (left.vs, right.vs), (left.es, right.es)):
        assert sorted(ours.attributes()) == sorted(theirs.attributes())
        for name in ours.attributes():
            assert bits(ours[name]) == bits(theirs[name]), name


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, -(2**31), 2**63 - 1, 2**63, -(2**63) - 1, 10**400]),
    st.floats(),
    st.sampled_from([-0.0, 5e-324, float("inf"), -float("inf"), float("nan")]),
    st.text(),
    st.text(alphabet="\0\x01\x1f\r\n\t <&>\"']\ufffe\U0001f600"),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(
            st.one_of(st.text(max_size=3), st.sampled_from(["$tuple", "$float"])), inner, max_size=3
        ),
        st.dictionaries(st.one_of(st.integers(), st.tuples(st.integers())), inner, max_size=2),
    ),
    max_leaves=6,
)
_COLUMN_KINDS = (st.booleans(), st.integers(), st.floats(), st.text(), _SCALARS, _VALUES)


@st.composite
def attributed_architectures(draw, *, max_nodes=6):
    """Valid graphs in topological order with attributes of every type and name on the graph, vertices, and edges."""
    graph = draw(architectures(max_nodes=max_nodes))
    names = st.lists(st.text(), min_size=graph.vcount(), max_size=graph.vcount(), unique=True)
    graph.vs["name"] = draw(st.one_of(names, st.just(graph.vs["name"])))
    attributes = st.sampled_from(
        ["x", "label", "index", "attr", "a b", "ü", "<&\"'>", "e0", "names", "line\nbreak", ""]
    )
    graph["provenance"] = draw(st.dictionaries(st.text(max_size=3), _VALUES, max_size=3))
    for name in draw(st.sets(attributes, max_size=2)):
        graph[name] = draw(_VALUES)
    for items in (graph.vs, graph.es):
        for name in draw(st.sets(attributes, max_size=2)):
            kind = draw(st.sampled_from(_COLUMN_KINDS))
            items[name] = draw(st.lists(kind, min_size=len(items), max_size=len(items)))
    for name, values in (("weight", st.floats(0, 1)), ("w", st.floats(allow_nan=False))):
        if draw(st.booleans()):
            graph.es[name] = draw(st.lists(values, min_size=graph.ecount(), max_size=graph.ecount()))
    return graph


def random_graphs(count, *, seed, most_nodes=9):
    """Valid graphs of 2 … most_nodes nodes and all densities, their vertices in an order of chance."""
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(count):
        n, density = int(rng.integers(2, most_nodes + 1)), rng.random()
        stages = int(rng.integers(1, min(n, 4) + 1))
        chosen = np.triu(rng.random((n, n)) < density, 1)
        graph = gt.dag_from_predicate(n, lambda i, j, chosen=chosen: bool(chosen[i, j]), stages=stages)
        graphs.append(shuffled(graph, int(rng.integers(2**31))))
    return graphs


def loose_dags(count, *, seed, most_nodes=9):
    """DAGs of 1 … most_nodes nodes with any number of inputs, outputs and pieces, in an order of chance."""
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(count):
        n = int(rng.integers(1, most_nodes + 1))
        pairs = np.argwhere(np.triu(rng.random((n, n)) < rng.random() ** 2, 1)).tolist()
        graph = igraph.Graph(n=n, edges=pairs, directed=True)
        graph.vs["stage"] = sorted(rng.integers(0, 4, size=n).tolist())
        graphs.append(shuffled(graph, int(rng.integers(2**31))))
    return graphs


def layout_distances(n: int, *, seed: int) -> np.ndarray:
    """Distances in a connected graph of chance, of shape (n, n)."""
    chosen = np.random.default_rng(seed).random((n, n)) < 0.2
    pairs = [(i, j) for j in range(n) for i in range(j) if j == i + 1 or chosen[i, j]]
    return np.array(igraph.Graph(n=n, edges=pairs).distances())


def repeated(count):
    """Parametrize ``count``, of graphs for example: a fifth of it, and all of it in a slow test."""
    return pytest.mark.parametrize("count", [count // 5, pytest.param(count, marks=pytest.mark.slow)])


def every(step):
    """Parametrize ``step``, of a slice of graphs for example: every so many, and all in a slow test."""
    return pytest.mark.parametrize("step", [step, pytest.param(1, marks=pytest.mark.slow)])


def roughen(patch):
    """Calibrate sizes and estimate ln Z of distributions with few and short steps, for tests of something else."""
    from graphtask.distribution import normalizer, sampling

    for name, value in {"_STEPS": 2, "_AVERAGED": 3, "_BURN": 1, "_MOST_SWEEPS": 24}.items():
        patch.setattr(sampling, name, value)
    for name, value in {"N_SWEEPS": 2, "N_WARM": 1}.items():
        patch.setattr(normalizer, name, value)


class Inline:
    """An engine that performs tasks at once and in this process."""

    def slots(self):
        return 1

    def stop(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class InlineParts(Inline):
    """Performs parts; fails as planned, by the number of the attempt."""

    def __init__(self, tasks, plan=()):
        self.tasks, self.plan, self.performed = tasks, dict(plan), []

    def slots(self):
        return 2

    def submit(self, part):
        from graphtask.corpus.part_worker import perform_values

        attempt = len(self.performed)
        self.performed.append(part)
        future = Future()
        planned = self.plan.get(attempt)
        if planned == "Ctrl-C":
            raise KeyboardInterrupt
        future.set_result(planned or perform_values(json.loads(json.dumps(part.to_dict()))))
        return future


class InlineEngine(Inline):
    """Performs jobs of studies; this process has PyTorch already."""

    def submit(self, job):
        from graphtask.study.worker import perform

        future = Future()
        future.set_result(perform(job))
        return future
