import io
import json
import math
import subprocess
import sys
import zipfile

import pytest
import torch
from torch import Tensor, nn

import graphtask as gt
from graphtask.compiler.export import export_program
from graphtask.errors import FormatError
from graphtask.graph import edge_names
from graphtask.storage.torch_program import parse

pytestmark = pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning")


class Net(nn.Module):
    """A branch, a shared weight, a value made of parameters alone, several results of one operation, two outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
        self.gate = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.first(images)
        left, right = torch.chunk(self.block(x) * torch.tanh(self.gate), 2, dim=1)
        joined = torch.cat([left, right + left], dim=1)
        return self.first(joined[:, :3]).mean(), joined


def saved(program):
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def exported(module, *example, dynamic=False):
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    return torch.export.export(module.eval(), example, dynamic_shapes=shapes, strict=False)


PROGRAMS = {
    "net": lambda: exported(Net(), torch.zeros(2, 3, 8, 8)),
    "dynamic": lambda: exported(Net(), torch.zeros(2, 3, 8, 8), dynamic=True),
    "attention": lambda: exported(
        nn.TransformerEncoderLayer(8, 2, dim_feedforward=8, batch_first=True), torch.zeros(1, 5, 8)
    ),
    "compiled": lambda: exported(
        gt.compile(gt.random_dag(9, seed=1, stages=2), channels=2, execution="plain"), torch.zeros(1, 3, 8, 8)
    ),
}


def by_fx(program):
    """Edges, operations and numbers of parameters, from the graph that PyTorch itself makes of the file."""
    signature, state = program.graph_signature, program.state_dict
    names, parameters, edges, found = {}, {}, set(), {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in signature.user_inputs:
            names[node] = node.name
            found[node.name] = ("input", 0)
        elif node.op == "placeholder":
            own = signature.inputs_to_parameters.get(node.name)
            parameters[node] = frozenset([own] if own else [])
        elif node.op == "call_function":
            reads = [argument for argument in node.all_input_nodes if argument in names]
            used = frozenset().union(*(parameters.get(read, ()) for read in node.all_input_nodes))
            is_tensor = not isinstance(node.meta.get("val"), int | torch.SymInt)
            if reads and is_tensor and "getitem" in str(node.target):
                names[node] = names[reads[0]]
            elif reads and is_tensor:
                names[node] = node.name
                size = sum(math.prod(state[name].shape) for name in used)
                found[node.name] = (node.target._schema.name.split("::")[1], size)
                edges |= {(names[read], node.name) for read in reads}
            else:
                parameters[node] = used
    for name in signature.user_outputs:
        if name is not None:
            source = next(names[node] for node in names if node.name == name)
            edges.add((source, f"output:{name}"))
            found[f"output:{name}"] = ("output", 0)
    return edges, found


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_graph_is_that_of_pytorch_itself(name):
    content = saved(PROGRAMS[name]())
    parts = parse(content)
    expected_edges, expected = by_fx(torch.export.load(io.BytesIO(content)))

    names, columns = parts.vertex_columns["name"], parts.vertex_columns
    shown = _without_results(names, parts.edges, expected)
    counts = [value or 0 for value in columns["parameters"]]
    assert shown == expected_edges
    found = {one: (op, n) for one, op, n in zip(names, columns["op"], counts, strict=True)}
    assert sorted(found.values()) == sorted(expected.values())


def _without_results(names, edges, expected):
    """Return the edges with operations of several results under the name that fx has for them."""
    renamed = {name: name for name in expected}
    others = [name for name in names if name not in expected]
    missing = [name for name in expected if name not in names]
    assert len(others) == len(missing)
    renamed |= dict(zip(others, missing, strict=True))
    return {(renamed[names[i]], renamed[names[j]]) for i, j in edges}


def test_shapes_and_modules_are_attributes():
    parts = parse(saved(PROGRAMS["dynamic"]()))
    rows = {
        name: (op, shape, module)
        for name, op, shape, module in zip(
            *(parts.vertex_columns[column] for column in ("name", "op", "shape", "module")), strict=True
        )
    }
    free = rows["images"][1].split("x")[0]
    assert not free.isdigit()
    assert rows["images"] == ("input", f"{free}x3x8x8", None)
    assert rows["conv2d"] == ("conv2d", f"{free}x4x8x8", "first")
    assert rows["relu"] == ("relu", f"{free}x4x8x8", "block.1")


def test_an_exported_network_becomes_an_architecture_without_pytorch(tmp_path):
    net = gt.compile(gt.random_dag(6, seed=2, stages=2), channels=2)
    path = export_program(net, tmp_path / "net.pt2", size=8)
    code = f"import graphtask as gt, sys; print(gt.read({str(path)!r}, stages=2).vcount(), 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    graph = gt.read(path, stages=2)
    assert shown.split() == [str(graph.vcount()), "False"]
    assert {"conv2d", "batch_norm", "linear"} <= set(graph.vs["op"])
    assert edge_names(graph)[-1][1].startswith("output:")


def archive(document, member="archive/models/model.json", method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr(member, document if isinstance(document, bytes | str) else json.dumps(document))
    return buffer.getvalue()


GRAPH = {"nodes": [], "tensor_values": {}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK", "not a complete torch.export program"),
        (archive("{}", "other.json"), "it has no models/model.json"),
        (archive("["), "not a complete torch.export program"),
        (archive("[" * 100_000), "nested too deeply"),
        (archive([]), "not a complete torch.export program"),
        (archive({"graph_module": {"graph": GRAPH, "signature": {}}}), "KeyError: 'input_specs'"),
        (archive({"graph_module": {"graph": {"nodes": [3]}, "signature": {"input_specs": []}}}), "TypeError"),
        (archive(b" " * 50_000_000, method=zipfile.ZIP_DEFLATED), "is larger than"),
    ],
)
def test_what_is_not_a_program_is_one_line(content, words):
    with pytest.raises(FormatError, match=words) as error:
        parse(content)
    assert "\n" not in str(error.value)
