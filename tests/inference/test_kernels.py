from collections import Counter

import igraph
import numpy as np
import pytest
from helpers import loose_dags, random_graphs, shuffled

import graphtask as gt
from graphtask.inference.kernels import wl_kernel


def labels_as_text(graph, iterations):
    """Weisfeiler-Lehman with the whole neighborhood written out as a text: slow, and hard to get wrong."""
    before = {node: graph.predecessors(node) for node in range(graph.vcount())}
    after = {node: graph.successors(node) for node in range(graph.vcount())}
    text = [
        f"{graph.vs[node]['stage']}{'i' if not before[node] else ''}{'o' if not after[node] else ''}"
        for node in range(graph.vcount())
    ]
    seen = Counter(text)
    for _ in range(iterations):
        text = [
            f"({text[node]}<{','.join(sorted(text[k] for k in before[node]))}"
            f">{','.join(sorted(text[k] for k in after[node]))})"
            for node in range(graph.vcount())
        ]
        seen.update(text)
    return seen


def naive_kernel(graphs, iterations):
    counts = [labels_as_text(graph, iterations) for graph in graphs]
    product = [[sum(a[key] * b[key] for key in a) for b in counts] for a in counts]
    return [
        [product[i][j] / np.sqrt(product[i][i] * product[j][j]) for j in range(len(graphs))]
        for i in range(len(graphs))
    ]


@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_the_kernel_counts_the_labels_of_a_naive_refinement(iterations):
    graphs = [*random_graphs(25, seed=iterations), *loose_dags(10, seed=iterations)]

    np.testing.assert_allclose(
        wl_kernel(graphs, iterations=iterations), naive_kernel(graphs, iterations), atol=1e-14
    )


def test_numbering_and_names_and_weights_do_not_matter():
    graphs = random_graphs(12, seed=1)
    others = [shuffled(graph, 7 + index) for index, graph in enumerate(graphs)]
    for graph in others:
        graph.vs["name"] = [f"other {index}" for index in range(graph.vcount())]
        graph.es["weight"] = [0.5] * graph.ecount()

    similarities = wl_kernel([*graphs, *others], iterations=3)

    np.testing.assert_allclose(np.diag(similarities[:12, 12:]), 1, rtol=1e-15)
    np.testing.assert_array_equal(similarities[:12, :12], similarities[12:, 12:])


def test_similarities_are_a_kernel():
    similarities = wl_kernel(random_graphs(40, seed=2), iterations=2)

    np.testing.assert_array_equal(similarities, similarities.T)
    np.testing.assert_allclose(np.diag(similarities), 1)
    assert similarities.min() >= 0
    assert np.linalg.eigvalsh(similarities).min() > -1e-12


def edges(pairs, n):
    graph = igraph.Graph(n=n, edges=pairs, directed=True)
    graph.vs["stage"] = [0] * n
    return graph


def test_the_direction_of_edges_counts():
    out_tree, in_tree = edges([(0, 1), (0, 2)], 3), edges([(1, 0), (2, 0)], 3)

    # One input and two outputs against two inputs and one output: 1·2 + 2·1 of 1² + 2²; then nothing is the same.
    assert wl_kernel([out_tree, in_tree], iterations=0)[0, 1] == pytest.approx(4 / 5)
    assert wl_kernel([out_tree, in_tree], iterations=1)[0, 1] == pytest.approx(4 / 10)
    assert wl_kernel([out_tree, out_tree.copy()])[0, 1] == pytest.approx(1)


def test_a_label_sees_as_many_edges_far_as_there_are_iterations():
    """Two chains that differ three edges from their ends only: deeper labels tell more of their nodes apart."""
    first, second = gt.chain_dag(9, stages=[4, 1, 4]), gt.chain_dag(9, stages=[4, 2, 3])
    found = [wl_kernel([first, second], iterations=h)[0, 1] for h in range(4)]

    assert found == sorted(found, reverse=True)
    assert found[0] > found[3]


def test_graphs_of_thousands_of_nodes_are_compared():
    big = [gt.random_dag(2_000, out_degree=5, seed=seed) for seed in range(2)]

    found = wl_kernel([*big, gt.chain_dag(2_000)], iterations=2)
    assert found[0, 1] > found[0, 2]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (igraph.Graph.Ring(3), "graphs\\[1\\] is undirected"),
        (igraph.Graph(directed=True), "graphs\\[1\\] has no vertices"),
        (igraph.Graph(n=2, edges=[(0, 1)], directed=True), "graphs\\[1\\] has no `stage`"),
        ("graph", "graphs\\[1\\] must be a graph"),
    ],
)
def test_what_is_no_staged_graph_is_an_error(bad, message):
    with pytest.raises(gt.GraphtaskError, match=message):
        wl_kernel([gt.full_dag(4), bad])


def test_iterations_are_whole_numbers():
    with pytest.raises(gt.ArgumentError, match="iterations must be"):
        wl_kernel([gt.full_dag(4)], iterations=-1)
