import igraph
import pytest

from graphtask.parameters import parameter_polynomial


def staged(edges, stages):
    graph = igraph.Graph(n=len(stages), edges=edges, directed=True)
    graph.vs["name"] = [f"v{index}" for index in range(len(stages))]
    graph.vs["stage"] = stages
    return graph


def pair(inputs, outputs):
    return 9 * inputs * outputs + inputs * outputs + 4 * outputs


def counted_one_by_one(graph, channels, in_channels, n_classes):
    stage = graph.vs["stage"]
    width = [channels * 2**s for s in stage]
    source, sink = graph.vs.select(_indegree=0)[0].index, graph.vs.select(_outdegree=0)[0].index
    total = pair(in_channels, width[source]) + width[sink] * n_classes + n_classes + graph.ecount()
    total += sum(pair(width[node], width[node]) for node in range(graph.vcount()) if node != source)
    reduces = {(a, stage[b]) for a, b in graph.get_edgelist() if stage[a] != stage[b]}
    return total + sum(pair(width[a], channels * 2**to) for a, to in reduces)


def test_the_papers_full_dag_has_863300_parameters():
    graph = staged([(i, j) for j in range(60) for i in range(j)], [node // 20 for node in range(60)])
    assert parameter_polynomial(graph, in_channels=3, n_classes=10).at(11) == 863_300


@pytest.mark.parametrize(
    ("edges", "stages"),
    [
        ([(0, 1)], [0, 0]),
        ([(0, 1)], [0, 3]),
        ([(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)], [1, 1, 2, 4]),
        ([(2, 1), (1, 0), (2, 0), (2, 3), (3, 0)], [2, 1, 0, 1]),
        ([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 4)], [0, 0, 70, 70, 71]),
    ],
)
@pytest.mark.parametrize(("channels", "in_channels", "n_classes"), [(1, 3, 10), (11, 3, 10), (7, 1, 2)])
def test_the_polynomial_equals_a_count_block_by_block(edges, stages, channels, in_channels, n_classes):
    graph = staged(edges, stages)
    polynomial = parameter_polynomial(graph, in_channels=in_channels, n_classes=n_classes)
    assert polynomial.at(channels) == counted_one_by_one(graph, channels, in_channels, n_classes)
