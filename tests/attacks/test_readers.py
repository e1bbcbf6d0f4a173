"""Files that make a reader compute for ever, fill the memory, run a program, or write elsewhere."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

import graphtask as gt
from graphtask.corpus.cache import RowCache
from graphtask.corpus.feature_tables import read_table
from graphtask.corpus.rows import Settings
from graphtask.errors import FormatError, GraphtaskError, RunError
from graphtask.runs.history import EdgeHistory, load_history
from graphtask.storage.limits import n_elements
from graphtask.storage.toml import read_toml

EDGES = torch.tensor([[0, 1], [1, 2]])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "fields",
    [
        {"x": torch.zeros(1).expand(3, 10**9)},
        {"foo": torch.zeros(1).expand(10**6, 10**4)},
        {"edge_index": torch.zeros(1, 1, dtype=torch.long).expand(2, 7_000_000), "num_nodes": 1},
        {"self": 1},
        {"num_nodes": float("nan")},
    ],
    ids=lambda fields: ", ".join(fields),
)
def test_a_file_of_torch_is_no_larger_than_its_bytes(tmp_path, fields):
    pytest.importorskip("torch_geometric")
    torch.save({"edge_index": EDGES, **fields}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"a\.pt"):
        gt.read(tmp_path / "a.pt", stages=1)


def onnx_model(n_operations=1, dims=()):
    onnx = pytest.importorskip("onnx")
    nodes = [
        onnx.helper.make_node("Relu", [f"t{i - 1}" if i else "x"], [f"t{i}"]) for i in range(n_operations)
    ]
    nodes.append(onnx.helper.make_node("Add", [f"t{n_operations - 1}", "w"], ["y"]))
    graph = onnx.GraphProto(name="g", node=nodes)
    graph.input.append(onnx.helper.make_tensor_value_info("x", 1, None))
    graph.initializer.append(onnx.TensorProto(name="w", dims=dims))
    return onnx.ModelProto(graph=graph).SerializeToString()


@pytest.mark.timeout(60)
def test_operations_of_one_name_take_linear_time(tmp_path):
    (tmp_path / "a.onnx").write_bytes(onnx_model(20_000))
    graph = gt.read(tmp_path / "a.onnx", stages=1)
    assert graph.vs["name"][1:4] == ["Relu", "Relu_2", "Relu_3"]
    assert len(set(graph.vs["name"])) == graph.vcount() == 20_002


@pytest.mark.timeout(60)
@pytest.mark.parametrize("dims", [[2**62] * 100_000, [2**62] * 2, [-1]], ids=["many", "large", "negative"])
def test_sizes_of_a_model_are_those_of_tensors(tmp_path, dims):
    (tmp_path / "a.onnx").write_bytes(onnx_model(dims=dims))
    with pytest.raises(FormatError, match=r"a\.onnx: has a tensor of .* dimensions that no computer holds"):
        gt.read(tmp_path / "a.onnx", stages=1)


def test_the_number_of_elements_is_the_product():
    assert n_elements([]) == 1
    assert n_elements([3, 0, 5]) == 0
    assert n_elements([2**31, 2**31]) == 2**62


def program(size=3, n_parameters=1):
    """A ``.pt2`` file: a chain of values, each of the one before and of another parameter."""
    tensor = {"as_tensor": {"name": "x"}}
    parameters = [f"p{i}" for i in range(n_parameters)]
    nodes = [
        {
            "target": "torch.ops.aten.add.Tensor",
            "inputs": [{"arg": {"as_tensor": {"name": name}}} for name in (f"q{i - 1}", parameters[i])],
            "outputs": [{"as_tensor": {"name": f"q{i}"}}],
        }
        for i in range(n_parameters)
    ]
    nodes.append(
        {
            "target": "torch.ops.aten.mul.Tensor",
            "inputs": [{"arg": tensor}, {"arg": {"as_tensor": {"name": f"q{n_parameters - 1}"}}}],
            "outputs": [{"as_tensor": {"name": "y"}}],
        }
    )
    document = {
        "graph_module": {
            "graph": {"nodes": nodes, "tensor_values": {"p0": {"sizes": [{"as_int": size}]}}},
            "signature": {
                "input_specs": [
                    *({"parameter": {"arg": {"name": name}}} for name in parameters),
                    {"user_input": {"arg": tensor}},
                ],
                "output_specs": [{"user_output": {"as_tensor": {"name": "y"}}}],
            },
        }
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/models/model.json", json.dumps(document))
    return buffer.getvalue()


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: program(float("inf")), "a size that is not an integer of 64 bits"),
        (lambda: program(2**64), "a size that is not an integer of 64 bits"),
        (lambda: program(True), "a size that is not an integer of 64 bits"),
        (lambda: program(n_parameters=12_000), "an operation that reads more than 1,000 parameters"),
    ],
    ids=["infinite", "large", "flag", "chain"],
)
def test_a_program_is_read_in_bounds(tmp_path, content, words):
    (tmp_path / "a.pt2").write_bytes(program())
    assert gt.read(tmp_path / "a.pt2", stages=1).vcount() == 3
    (tmp_path / "a.pt2").write_bytes(content())
    with pytest.raises(FormatError, match=words):
        gt.read(tmp_path / "a.pt2", stages=1)


def test_a_history_has_each_array_once(tmp_path):
    path = tmp_path / "history.npz"
    EdgeHistory((("a", "b"),), np.zeros((2, 1), dtype=np.float32)).save(path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("w.npy", archive.read("w.npy"))
    with pytest.raises(
        RunError, match="5 arrays; they must be w, source, target, gate and factors, each once"
    ):
        load_history(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("key", ['"a"', "'a'", "a", '"a" ', "'a b'"])
def test_a_long_key_is_refused_at_once(tmp_path, key):
    (tmp_path / "q.toml").write_text(f"{key}." * 50_000 + "a = 1\n")
    with pytest.raises(ValueError, match="nested too deeply"):
        read_toml(tmp_path / "q.toml")


@pytest.mark.parametrize("metadata", ["5", '{"index_columns": 5}', '{"columns": [5], "index_columns": []}'])
def test_metadata_of_pandas_are_ignored(tmp_path, metadata):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"graph": ["a", "b"], "edges": [1, 2]})
    pq.write_table(table.replace_schema_metadata({b"pandas": metadata.encode()}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["edges"].tolist() == [1, 2]


ENDLESS = "with recursive n(key, row, crc) as (select 1, x'00', 1 union all select key + 1, row, crc from n)"
ROWS = "create table rows (key blob primary key, row blob, crc integer) without rowid;"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "script",
    [
        f"create view rows as {ENDLESS} select * from n;",
        f"{ROWS} create trigger t after insert on rows begin delete from rows; end;",
        f"{ROWS} create table other (x);",
    ],
    ids=["view", "trigger", "table"],
)
def test_another_database_is_not_used_as_a_cache(tmp_path, script):
    import sqlite3

    with sqlite3.connect(tmp_path / "k.sqlite") as database:
        database.executescript(script)
    check_unused(tmp_path / "k.sqlite", "another database")


def test_a_cache_is_not_opened_through_a_link_or_a_pipe(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "l.sqlite").symlink_to(tmp_path / "outside.sqlite")
    check_unused(tmp_path / "in" / "l.sqlite", "link")
    os.mkfifo(tmp_path / "in" / "k.sqlite-journal")
    check_unused(tmp_path / "in" / "k.sqlite", "pipe")
    assert not (tmp_path / "outside.sqlite").exists()


def check_unused(path, words):
    messages = []
    cache = RowCache(path, Settings(metrics=["edges"]), notify=messages.append)
    cache.put(b"k", {"edges": 1})
    cache.close()
    assert len(messages) == 1
    assert words in messages[0]


def test_a_study_is_not_written_through_a_link(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "s.toml").write_text(
        'name = "s"\nout = "st"\nseeds = 1\nepochs = 1\n[priors.full]\nnodes = 4\n[data.cdigits]\n'
    )
    gt.Study.read(tmp_path / "s.toml").save()
    (tmp_path / "st" / "cdigits").symlink_to("../outside")
    study = gt.Study.read(tmp_path / "st")
    for use in (study.status, study.results, study.run):
        with pytest.raises(GraphtaskError, match="cdigits: is a symbolic link"):
            use()
    assert not any((tmp_path / "outside").iterdir())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["settings", "bytes", "pipe"])
def test_settings_of_libraries_in_the_current_folder_are_ignored(tmp_path, kind):
    gt.write(gt.full_dag(4), tmp_path / "g.graphml")
    if kind == "pipe":
        os.mkfifo(tmp_path / "matplotlibrc")
    else:
        text = b"text.usetex: True\n" if kind == "settings" else b"\xff\xfe\n"
        (tmp_path / "matplotlibrc").write_bytes(text)
    command = [sys.executable, "-P", "-m", "graphtask", "draw", "g.graphml", "-o", "a.svg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.svg").is_file()


@pytest.mark.timeout(60)
def test_operations_on_one_edge_of_a_cell_take_linear_time(tmp_path):
    (tmp_path / "c.txt").write_text("|" + "|".join(["nor_conv_3x3~0"] * 8_000) + "|")
    graph = gt.read(tmp_path / "c.txt", stages=1)
    assert len(set(graph.vs["name"])) == graph.vcount() == 8_002


@pytest.mark.timeout(60)
def test_a_long_chain_of_dot_takes_linear_time(tmp_path):
    (tmp_path / "a.dot").write_text("digraph {" + "->".join(f"n{i}" for i in range(100_000)) + "}")
    assert gt.read(tmp_path / "a.dot", stages=1).ecount() == 99_999


def test_all_groups_of_dot_have_one_bound(tmp_path):
    (tmp_path / "a.dot").write_text("digraph {" + " -> ".join(["{a b c d e f g h}"] * 20_000) + "}")
    with pytest.raises(FormatError, match="edges between subgraphs make more than 1,000,000 edges"):
        gt.read(tmp_path / "a.dot")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["node", "edge"])
def test_defaults_of_dot_do_not_multiply(tmp_path, kind):
    defaults = ",".join(f"a{i}=1" for i in range(20_000))
    members = ";".join(f"n{i}" if kind == "node" else f"n->n{i}" for i in range(20_000))
    (tmp_path / "a.dot").write_text(f"digraph {{ {kind} [{defaults}] {members} }}")
    with pytest.raises(FormatError, match="attribute values, present or absent"):
        gt.read(tmp_path / "a.dot")
