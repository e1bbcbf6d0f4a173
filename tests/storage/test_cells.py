import json

import numpy as np
import pytest

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.reading import ReadOptions, from_bytes


def read(text, name, **options):
    return from_bytes(text.encode(), name=name, options=ReadOptions(**{"reading": "auto", **options}))


def ops(graph):
    return dict(zip(graph.vs["name"], graph.vs["op"], strict=True))


def test_a_nasbench101_cell_has_an_operation_on_each_node():
    cell = {
        "module_adjacency": [[0, 1, 1], [0, 0, 1], [0, 0, 0]],
        "module_operations": ["input", "conv3x3", "output"],
    }
    graph = read(json.dumps(cell), "cell.json")

    assert ops(graph) == {"0": "input", "1": "conv3x3", "2": "output"}
    assert edge_names(graph) == [("0", "1"), ("0", "2"), ("1", "2")]


def test_operations_on_the_edges_of_nasbench201_become_nodes_and_none_is_no_edge():
    graph = read(
        "|avg_pool_3x3~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|skip_connect~1|nor_conv_3x3~2|", "cell.txt"
    )

    assert ops(graph)["0>1"] == "avg_pool_3x3"
    assert "0>2" not in ops(graph)
    assert {("0", "0>1"), ("0>1", "1"), ("2", "2>3"), ("2>3", "3")} <= set(edge_names(graph))
    assert (ops(graph)["0"], ops(graph)["3"]) == ("input", "output")


def test_a_node_that_only_none_leads_to_is_left_out():
    graph = read("|none~0|+|conv~0|none~1|+|conv~0|skip~1|conv~2|", "cell.txt")

    assert "1" not in ops(graph)
    assert "1>3" not in ops(graph)
    gt.check_graph(graph)


GENOTYPE = (
    "DARTS = Genotype(normal=[('skip_connect', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 2), ('sep_conv_3x3', 0)], "
    "normal_concat=range(2, 4), reduce=[('avg_pool_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 2), "
    "('avg_pool_3x3', 1)], reduce_concat=[2, 3])"
)


def test_a_darts_genotype_is_its_two_cells_in_a_row():
    graph = read(GENOTYPE, "darts.txt")

    assert ops(graph)["normal:3<2"] == "dil_conv_3x3"
    assert {("normal:2", "normal:output"), ("normal:3", "normal:output")} <= set(edge_names(graph))
    assert ("normal:output", "reduce:c_{k-1}") in edge_names(graph)
    assert ops(graph)["reduce:output"] == "output"


PAIRS = {"normal": [["conv", 0], ["skip", 1]], "normal_concat": [2], "reduce": [["pool", 0], ["conv", 1]]}
LISTED = "Genotype(normal=[['conv', 0], ['skip', 1]], normal_concat={2}, reduce=[[('pool', 0), ('conv', 1)]])"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.txt", f"03/27 11:39:12 PM genotype = {LISTED}\n"),
        ("code.txt", f"# best of three\nGenotype = namedtuple('Genotype', 'normal reduce')\nPC = genotypes.{LISTED}  # 97 %\n"),
        ("cell.json", json.dumps(PAIRS)),
        ("cell.json", json.dumps({"genotype": PAIRS, "accuracy": 97})),
        ("cell.json", json.dumps(LISTED)),
        ("cell.json", json.dumps({"arch": LISTED})),
    ],
)  # fmt: skip
def test_a_genotype_in_the_forms_of_logs_code_and_json(name, text):
    graph = read(text, name)

    assert ops(graph)["normal:2<0"] == "conv"
    assert {"normal:2<1", "reduce:2<0", "reduce:2<1"} <= set(graph.vs["name"])


STRING = "|nor_conv_3x3~0|+|none~0|skip~1|"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cell.txt", f"'{STRING}'\n"),
        ("cell.txt", STRING.replace("+", " + ")),
        ("cell.json", json.dumps(STRING)),
        ("cell.json", json.dumps({"arch_str": STRING, "seed": 777})),
        ("cell.json", json.dumps({"cell/0_1": "conv_3x3", "cell/0_2": "none", "cell/1_2": "skip"})),
        ("cell.json", json.dumps({"0_1": "conv_3x3", "1_2": "skip"})),
    ],
)
def test_a_nasbench201_cell_in_the_forms_of_its_tools(name, text):
    graph = read(text, name)

    assert ops(graph) == {"0": "input", "0>1": "nor_conv_3x3", "1": "sum", "1>2": "skip", "2": "output"}


@pytest.mark.parametrize(
    "genome",
    [
        {"nodes": {"0": {"bias": 0.5}}, "connections": {"-1,0": {"weight": 0.5}, "-2,0": {"weight": 1, "enabled": False}}},
        {"nodes": {"0": {"bias": 0.5}}, "connections": {"(-1, 0)": {"weight": 0.5, "enabled": True}}},
        {"node_genes": [{"id": -1}, {"id": 0, "bias": 0.5}], "connection_genes": [{"in_node": -1, "out_node": 0, "weight": 0.5}]},
        {"nodes": [{"index": -1}, {"index": 0, "bias": 0.5}], "connections": [{"from": -1, "to": 0, "weight": 0.5}]},
    ],
)  # fmt: skip
def test_genomes_in_the_forms_of_their_libraries(genome):
    graph = read(json.dumps(genome), "genome.json")

    assert edge_names(graph) == [("-1", "0")]
    assert graph.es["weight"] == [0.5]
    assert dict(zip(graph.vs["name"], graph.vs["bias"], strict=True))["0"] == 0.5


@pytest.mark.parametrize("empty", ["reduce=[]", "reduce=None"])
def test_a_genotype_may_have_one_cell(empty):
    graph = read(f"Genotype(normal=[('conv', 0), ('skip', 1)], normal_concat=[2], {empty})", "cell.txt")

    assert ops(graph)["normal:output"] == "output"


def test_several_genotypes_are_refused():
    with pytest.raises(gt.errors.FormatError, match="holds 2 genotypes; a file may hold one"):
        read(f"{LISTED}\n{LISTED}", "log.txt")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Genotype(normal=__import__('os').system('x'))", "not a DARTS genotype"),
        ("Genotype(normal=[('conv', 5), ('conv', 0)], normal_concat=[2])", "input 5, which is not before it"),
        ("Genotype(normal=[('conv', 0)], normal_concat=[2])", "two a step"),
        ("Genotype(normal=[('conv', 0), ('conv', 1)], normal_concat=[9])", "step 9, which does not exist"),
        ("Genotype(normal=" + "[" * 5_000, "not a DARTS genotype"),
        ("|conv~3|", "input 3, which is not before it"),
        ("|conv~0|+|conv", "not a NAS-Bench-201 string"),
    ],
)
def test_damaged_cells_are_refused_in_one_line(text, words):
    with pytest.raises(gt.errors.FormatError, match=words) as caught:
        read(text, "cell.txt")

    assert "\n" not in str(caught.value)


def test_a_neat_genome_keeps_weights_and_drops_disabled_connections():
    genome = {
        "nodes": [{"id": 0, "kind": "input"}, {"id": 1, "kind": "output"}, {"id": 2, "kind": "hidden"}],
        "connections": [
            {"in": 0, "out": 1, "weight": 0.5, "enabled": False},
            {"in": 0, "out": 2, "weight": -1.5, "enabled": True, "innovation": 3},
            {"in": 2, "out": 1, "weight": 2.0},
        ],
    }
    graph = read(json.dumps(genome), "genome.json")

    assert edge_names(graph) == [("0", "2"), ("2", "1")]
    assert graph.es["file_weight"] == [-1.5, 2.0]
    assert graph.vs["kind"] == ["input", "hidden", "output"]


@pytest.mark.parametrize(
    "document",
    [
        {"matrix": [[0, 1]]},
        {"matrix": [[0, 1], [0, 0]], "ops": ["a"]},
        {"connections": [3]},
        {"connections": [{"in": 0}]},
    ],
)
def test_damaged_json_cells_are_refused(document):
    with pytest.raises(gt.errors.FormatError):
        read(json.dumps(document), "cell.json")


def test_an_onnx_model_is_its_operations_with_shapes_and_parameters():
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(__import__("numpy").zeros((4, 3, 3, 3), "float32"), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Add", ["a", "b"], ["y"], name="add"),
    ]
    shape = helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4, 6, 6])
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6])
    model = helper.make_model(
        helper.make_graph(nodes, "small", [image], [result], [weight], value_info=[shape])
    )
    graph = from_bytes(model.SerializeToString(), name="net.onnx", options=ReadOptions(stages=1))

    assert ops(graph) == {"x": "input", "conv": "Conv", "relu": "Relu", "add": "Add", "output:y": "output"}
    assert dict(zip(graph.vs["name"], graph.vs["parameters"], strict=True))["conv"] == 108
    assert dict(zip(graph.vs["name"], graph.vs["shape"], strict=True))["conv"] == "1x4x6x6"
    assert ("conv", "add") in edge_names(graph)
    assert onnx.__version__


def onnx_graph(nodes, initializers=()):
    onnx = pytest.importorskip("onnx")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], list(initializers)))
    return from_bytes(model.SerializeToString(), name="net.onnx", options=ReadOptions(stages=1))


def test_an_onnx_operation_reads_what_its_subgraphs_read():
    helper = pytest.importorskip("onnx").helper
    branches = [
        helper.make_graph([helper.make_node("Mul", ["a", "x"], [name])], name, [], [result])
        for name in ("then", "else")
        for result in [helper.make_tensor_value_info(name, 1, [1, 4])]
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="relu"),
        helper.make_node("Cast", ["x"], ["c"], name="cast", to=9),
        helper.make_node("If", ["c"], ["y"], name="if", then_branch=branches[0], else_branch=branches[1]),
    ]

    assert {("relu", "if"), ("x", "if"), ("cast", "if")} <= set(edge_names(onnx_graph(nodes)))


def test_operations_on_constants_are_constants_and_axes_are_no_parameters():
    onnx = pytest.importorskip("onnx")
    weight = onnx.numpy_helper.from_array(np.zeros((4, 4), "float32"), "w")
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    nodes = [
        onnx.helper.make_node("Transpose", ["w"], ["wt"], name="transpose"),
        onnx.helper.make_node("MatMul", ["x", "wt"], ["a"], name="matmul"),
        onnx.helper.make_node("ReduceSum", ["a", "axes"], ["y"], name="sum"),
    ]
    graph = onnx_graph(nodes, [weight, axes])

    assert graph.vs["name"] == ["x", "matmul", "sum", "output:y"]
    assert graph.vs["parameters"] == [None, 16, None, None]
