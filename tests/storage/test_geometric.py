import sys

import pytest
import torch
from helpers import architectures, assert_same_graph, attributed_architectures, shuffled
from hypothesis import given

import graphtask as gt


def data_class():
    # Imported as the library does it, for its import warns of what torch means to change.
    from graphtask.storage.geometric import data_class as data_class_of_pyg

    return data_class_of_pyg()


def other_class(name):
    return getattr(sys.modules[data_class().__module__.rpartition(".")[0]], name)


def data(**fields):
    return data_class()(**fields)


@given(attributed_architectures())
def test_a_graph_comes_back_with_every_bit(graph):
    assert_same_graph(gt.from_geometric(gt.to_geometric(graph)), graph)


@given(architectures())
def test_vertices_in_any_order_come_back_sorted(graph):
    mixed = shuffled(graph, 7)

    assert_same_graph(gt.from_geometric(gt.to_geometric(mixed)), gt.as_architecture(mixed))


@given(attributed_architectures())
def test_data_come_back_field_by_field(graph):
    first = gt.to_geometric(graph)
    second = gt.to_geometric(gt.from_geometric(first))

    assert first.keys() == second.keys()
    for key in first.keys():  # noqa: SIM118 - iterating over Data gives pairs
        if isinstance(first[key], torch.Tensor):
            assert first[key].dtype == second[key].dtype
            torch.testing.assert_close(first[key], second[key], rtol=0, atol=0, equal_nan=True)
        else:
            assert repr(first[key]) == repr(second[key])


def test_the_fields_are_tensors_of_the_types_that_are_promised():
    graph = gt.full_dag(4, stages=2)
    graph.es["weight"] = [0.5] * 6
    graph.es["w"] = [-1.0] * 6
    graph.vs["flag"] = [True] * 4
    graph.vs["label"] = ["a", None, "b", "c"]
    graph.es["big"] = [2**63] * 6
    result = gt.to_geometric(graph)

    assert (result.edge_index.dtype, tuple(result.edge_index.shape)) == (torch.int64, (2, 6))
    assert (result.stage.dtype, result.stage.tolist()) == (torch.int64, [0, 0, 1, 1])
    assert (result.weight.dtype, result.w.dtype) == (torch.float64, torch.float64)
    assert (result.node_attr_flag.dtype, result.node_attr_label) == (torch.bool, ["a", None, "b", "c"])
    assert result.edge_attr_big == [2**63] * 6
    assert (result.num_nodes, result.names) == (4, ["v0", "v1", "v2", "v3"])
    assert '"full"' in result.provenance
    assert result.validate()


def test_data_of_others_keep_node_edge_and_graph_fields():
    graph = gt.from_geometric(
        data(
            edge_index=torch.tensor([[0, 0, 1], [1, 2, 2]]),
            x=torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
            edge_attr=torch.tensor([[1], [2], [3]]),
            y=torch.tensor([7]),
            num_nodes=3,
        ),
        stages=3,
    )

    assert graph.vs["name"] == ["v0", "v1", "v2"]
    assert graph.vs["x"] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert graph.es["edge_attr"] == [[1], [2], [3]]
    assert graph["y"] == [7]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "edge_index"),
        ({"edge_index": torch.zeros(3, 2, dtype=torch.int64)}, "edge_index"),
        ({"edge_index": torch.zeros(2, 3)}, "integer tensor"),
        ({"edge_index": torch.zeros(2, 0, dtype=torch.int64), "num_nodes": 2}, "no edges"),
        ({"edge_index": torch.tensor([[0], [5]]), "num_nodes": 2}, "from 0 to 5, but there are 2 nodes"),
        ({"edge_index": torch.tensor([[-1], [1]]), "num_nodes": 2}, "from -1 to 1"),
        ({"edge_index": torch.tensor([[0, 1], [1, 0]])}, "cycle"),
        ({"edge_index": torch.tensor([[0], [1]]), "names": ["a"]}, "'name' has 1 value for 2 nodes"),
        (
            {"edge_index": torch.tensor([[0], [1]]), "weight": torch.tensor([0.5, 0.5])},
            "has 2 values for 1 edge",
        ),
    ],
)
def test_data_that_cannot_be_an_architecture_are_refused_in_one_line(fields, words):
    with pytest.raises(gt.errors.GraphError, match=words) as caught:
        gt.from_geometric(data(**fields), stages=1)

    assert "\n" not in str(caught.value)


def test_what_is_no_data_is_refused():
    with pytest.raises(
        gt.errors.GraphError, match=r"data must be a torch_geometric\.data\.Data, got 'graph'"
    ):
        gt.from_geometric("graph")


def test_provenance_that_json_cannot_hold_is_named():
    graph = gt.full_dag(3, stages=1)
    graph["provenance"] = {"seed": {1, 2}}

    with pytest.raises(gt.errors.GraphError, match=r"'provenance' cannot be converted.*set"):
        gt.to_geometric(graph)


def test_without_torch_geometric_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)

    with pytest.raises(gt.GraphtaskError, match=r"pip install 'graphtask-nn\[geometric\]'") as caught:
        gt.to_geometric(gt.full_dag(3, stages=1))
    assert "\n" not in str(caught.value)


def test_edge_weight_of_others_is_weight_and_renamed_if_it_is_none():
    index = torch.tensor([[0, 0, 1], [1, 2, 2]])
    trained = gt.from_geometric(data(edge_index=index, edge_weight=torch.tensor([0.5, 1.0, 0.0])), stages=1)
    foreign = gt.from_geometric(data(edge_index=index, edge_weight=torch.tensor([0.5, 3.0, 0.0])), stages=1)

    assert trained.es["weight"] == [0.5, 1.0, 0.0]
    assert foreign.es["file_weight"] == [0.5, 3.0, 0.0]


def test_an_undirected_graph_is_read_with_an_order():
    both = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])

    with pytest.raises(gt.errors.GraphError, match=r"cycle.*read it with order='ids', stages=3"):
        gt.from_geometric(data(edge_index=both))
    assert gt.from_geometric(data(edge_index=both), order="ids", stages=1).get_edgelist() == [(0, 1), (1, 2)]


def test_features_are_float_columns_and_do_not_come_back_as_attributes():
    graph = gt.full_dag(4, stages=2)
    graph.es["weight"] = [0.25] * 6
    graph.vs["bias"] = [0.5, 1.0, 1.5, 2.0]
    result = gt.to_geometric(
        graph, features=["one_hot_stage", "position", "out_degree", "bias", "weight", "stage_step"]
    )

    assert result.x.dtype == result.edge_attr.dtype == torch.float32
    assert result.node_feature_names == [
        "one_hot_stage_0",
        "one_hot_stage_1",
        "position",
        "out_degree",
        "bias",
    ]
    assert result.x[1].tolist() == pytest.approx([1, 0, 1 / 3, 2, 1])
    assert result.edge_feature_names == ["weight", "stage_step"]
    assert result.edge_attr.tolist()[1] == [0.25, 1.0]
    assert_same_graph(gt.from_geometric(result), graph)


@pytest.mark.parametrize(("feature", "words"), [("color", "among stage"), ("name", "numeric, got 'name'")])
def test_a_feature_that_is_unknown_or_no_number_is_named(feature, words):
    with pytest.raises(gt.errors.ArgumentError, match=words):
        gt.to_geometric(gt.full_dag(3), features=[feature])


def saved(value, path):
    torch.save(value, path)
    return path


EDGES = torch.tensor([[0, 1, 0], [1, 2, 2]])
UPPER = torch.triu(torch.ones(3, 3), 1)


def test_a_file_of_data_whose_fields_have_been_looked_up_is_read(tmp_path):
    found = data(x=torch.ones(3, 2), edge_attr=torch.ones(3), edge_index=EDGES, y=torch.tensor([1]))
    assert found.is_edge_attr("edge_attr")  # torch-geometric then stores a cache of the answers

    assert gt.read(saved(found, tmp_path / "a.pt"), stages=1).es["edge_attr"] == [1, 1, 1]


@pytest.mark.parametrize(
    "value",
    [
        EDGES,
        EDGES.T.contiguous(),
        UPPER,
        UPPER.bfloat16(),
        UPPER.half(),
        UPPER.bool(),
        [data(edge_index=EDGES)],
    ],
)
def test_a_file_of_a_tensor_or_of_one_graph_is_read(value, tmp_path):
    assert set(gt.read(saved(value, tmp_path / "a.pt"), stages=1).get_edgelist()) == {(0, 1), (1, 2), (0, 2)}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (data(x=torch.ones(3, 2)), "has no edge_index"),
        ([data(edge_index=EDGES)] * 2, "got list; store one graph per file"),
        (other_class("HeteroData")(), "holds a torch_geometric.data.hetero_data.HeteroData"),
        (torch.ones(3, 3).to_sparse(), "dense tensor"),
        (UPPER.to(torch.complex64), "must hold numbers, got complex64"),
        (UPPER.to(torch.complex64).conj(), "holds a tensor that is no matrix"),
    ],
)
def test_files_of_other_objects_are_refused_in_one_line(value, words, tmp_path):
    with pytest.raises(gt.errors.FormatError, match=words) as caught:
        gt.read(saved(value, tmp_path / "a.pt"), stages=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            other_class("Batch").from_data_list([data(edge_index=EDGES, num_nodes=3)] * 2),
            r"batch of 2; batch.to_data_list\(\) splits it",
        ),
        (other_class("HeteroData")(), r"data.to_homogeneous\(\) makes one graph of it"),
    ],
)
def test_batches_and_heterogeneous_graphs_are_refused_with_the_remedy(value, words):
    for function in (gt.measure, gt.as_igraph, gt.from_geometric):
        with pytest.raises(gt.GraphtaskError, match=words):
            function(value)


def test_a_batch_of_one_graph_is_that_graph():
    batch = other_class("Batch").from_data_list([gt.to_geometric(gt.full_dag(4))])

    assert_same_graph(gt.from_geometric(batch), gt.full_dag(4))


def test_a_batch_as_several_graphs_is_refused_with_the_remedy():
    batch = other_class("Batch").from_data_list([gt.to_geometric(gt.full_dag(4))] * 2)
    with pytest.raises(gt.GraphtaskError, match=r"batch.to_data_list\(\) splits it"):
        gt.measure_all(batch)
