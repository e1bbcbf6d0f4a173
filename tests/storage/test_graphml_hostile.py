"""Files that nobody means well with: each is read as what it says, or refused in one line, in little time and memory."""

import encodings.aliases
import random
import time
import tracemalloc
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from mutations import MUTATIONS

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.storage import graphml_fast, graphml_parser, limits

FIXTURES = Path(__file__).parents[2] / "fixtures"
SEEDS = [
    *(FIXTURES / "graphs" / f"{name}_diamond.graphml" for name in ("igraph", "networkx", "gephi", "yed")),
    FIXTURES / "graphs" / "trained_12.graphml",
    FIXTURES / "foreign" / "networkx_two_inputs.graphml",
]
N_MUTANTS_PER_SEED = 300


def read_or_refuse(path, **options):
    """The graph, or None if it was refused in one line; any other exception passes through and fails the test."""
    message = None
    try:
        graph = gt.read(path, **options)
    except gt.GraphtaskError as error:
        message = str(error)
    if message is None:
        gt.check_graph(graph)
        return graph
    assert len(message.splitlines()) == 1
    assert len(message) < 1000
    assert message.startswith(f"{path}: ")
    return None


def edges_by_elementtree(data):
    """The edges of the one graph in the file, by the standard library's parser and in the simplest way."""
    root = ET.fromstring(data)
    space = root.tag.removesuffix("graphml")
    keys = {key.get("id"): key for key in root.findall(f"{space}key")}
    (graph,) = root.findall(f"{space}graph")
    names = {}
    for node in graph.findall(f"{space}node"):
        names[node.get("id")] = node.get("id")
        for item in node.findall(f"{space}data"):
            if keys[item.get("key")].get("attr.name") == "name":
                names[node.get("id")] = item.text or ""
    edges = [(names[edge.get("source")], names[edge.get("target")]) for edge in graph.findall(f"{space}edge")]
    return set(names.values()), edges


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.stem)
def test_a_damaged_file_is_read_as_what_it_says_or_refused_in_one_line(seed, tmp_path):
    """300 mutants of each of 6 files; what is read has the nodes and edges that another parser finds."""
    rng = random.Random(seed.stem)
    original, path = seed.read_bytes(), tmp_path / "mutant.graphml"
    n_read = 0
    started = time.process_time()
    for _ in range(N_MUTANTS_PER_SEED):
        mutant = original
        for _ in range(rng.choice([1, 1, 2])):
            mutant = rng.choice(MUTATIONS)(mutant or b" ", rng) if len(mutant) > 200 else mutant
        path.write_bytes(mutant)
        join = seed.stem == "networkx_two_inputs" or rng.random() < 0.5
        graph = read_or_refuse(path, stages=2, join=join)
        if graph is not None:
            n_read += 1
            names, edges = edges_by_elementtree(mutant)
            assert names <= set(graph.vs["name"])
            assert len(graph.vs) - len(names) <= 2 * join
            assert edge_names(graph)[: len(edges)] == edges  # those of the joining come last
            assert len(graph.es) == len(edges) or join
    assert 0.02 * N_MUTANTS_PER_SEED < n_read < 0.9 * N_MUTANTS_PER_SEED
    assert time.process_time() - started < 0.1 * N_MUTANTS_PER_SEED


@pytest.mark.parametrize(
    "encoding", sorted({*encodings.aliases.aliases.values(), "unicode_escape", "idna", "punycode"})
)
def test_no_encoding_that_python_knows_leads_to_a_crash(encoding, tmp_path):
    path = tmp_path / "encoded.graphml"
    head = f'<?xml version="1.0" encoding="{encoding.replace("_", "-")}"?>'.encode()
    path.write_bytes(
        head + b'<graphml><graph edgedefault="directed"><node id="a"/><node id="b\xe4"/></graph></graphml>'
    )

    assert read_or_refuse(path, stages=1) is None


def document(*, head="", keys="", body="", root=""):
    return (
        f'{head}<graphml{root}>{keys}<graph edgedefault="directed"><node id="a"/><node id="b"/>'
        f'<edge source="a" target="b"/>{body}</graph></graphml>'
    ).encode()


def entities(n_levels):
    levels = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, n_levels))
    return f'<!DOCTYPE graphml [<!ENTITY e0 "ha">{levels}]>'


def hostile_files():
    """What each file tries, and a function that makes it."""
    kilo, mega = 1000, 1_000_000
    key = '<key id="d" for="node" attr.name="x" attr.type="string"/>'
    own = ' xmlns:gt="urn:graphtask:graphml" gt:version="1"'
    own_key = '<key id="d" for="node" attr.name="x" attr.type="string" gt:type="json"/>'
    many = 9_999
    return {
        "billion laughs": lambda: document(head=entities(10), body='<node id="&e9;"/>'),
        "quadratic blow-up": lambda: document(
            head=f'<!DOCTYPE g [<!ENTITY a "{"x" * 100 * kilo}">]>', keys=key, body="&a;" * 10 * kilo
        ),
        "external entity": lambda: document(head='<!DOCTYPE g [<!ENTITY a SYSTEM "file:///etc/passwd">]>', body="&a;"),
        "parameter entity": lambda: document(head='<!DOCTYPE g [<!ENTITY % a SYSTEM "http://localhost/x"> %a;]>'),
        "external document type": lambda: document(head='<!DOCTYPE g SYSTEM "http://localhost/x.dtd">'),
        "bare document type": lambda: document(head="<!DOCTYPE graphml>"),
        "undefined entity": lambda: document(body="&a;"),
        "attribute of 20 MB": lambda: document(body=f'<node id="{"x" * 20 * mega}"/>'),
        "attribute of 20 MB that does not end": lambda: document(body=f'<node id="{"x" * 20 * mega}')[:-30],
        "comment of 20 MB": lambda: document(body=f"<!--{'x' * 20 * mega}-->"),
        "instruction of 20 MB": lambda: document(body=f"<?x {'x' * 20 * mega}?>"),
        "name of 2 MB": lambda: document(body=f"<{'x' * 2 * mega}/>"),
        "value of 20 MB": lambda: document(keys=key, body=f'<node id="c"><data key="d">{"x" * 20 * mega}</data></node>'),
        "text of 20 MB": lambda: document(body="x" * 20 * mega),
        "100,000 deep": lambda: document(body="<desc>" + "<x>" * 100 * kilo),
        "100,000 deep, of graphs": lambda: b"<graphml>" + b'<graph edgedefault="directed"><node id="a">' * 50 * kilo,
        "60,000 XML attributes": lambda: document(
            body='<node id="c" ' + " ".join(f'a{i}="1"' for i in range(60 * kilo)) + "/>"
        ),
        "20,000 keys": lambda: document(keys="".join(f'<key id="k{i}" for="node"/>' for i in range(20 * kilo))),
        "room for 100 million values": lambda: document(
            keys="".join(f'<key id="k{i}" for="node" attr.name="k{i}"/>' for i in range(many)),
            body="".join(f'<node id="c{i}"/>' for i in range(10 * kilo))
            + "<node id='z'>" + "".join(f'<data key="k{i}">1</data>' for i in range(many)) + "</node>",
        ),
        "100 million defaults": lambda: document(
            keys="".join(f'<key id="k{i}" for="node" attr.name="k{i}"><default>1</default></key>' for i in range(many)),
            body="".join(f'<node id="c{i}"/>' for i in range(10 * kilo)),
        ),
        "100 million Nones of ours": lambda: document(
            root=own,
            keys="".join(
                f'<key id="k{i}" for="node" attr.name="k{i}" gt:type="int"/>' for i in range(many)
            ),
            body="".join(f'<node id="c{i}"/>' for i in range(10 * kilo)),
        ),
        "deep JSON": lambda: document(
            root=own, keys=own_key, body=f'<node id="c"><data key="d">{"[" * mega}</data></node>'
        ),
        "number of a million digits": lambda: document(
            root=own, keys=own_key, body=f'<node id="c"><data key="d">{"9" * mega}</data></node>'
        ),
        "cycle of 20,000": lambda: (
            '<graphml><graph edgedefault="directed">'
            + "".join(f'<node id="{i}"/>' for i in range(20 * kilo))
            + "".join(f'<edge source="{i}" target="{(i + 1) % (20 * kilo)}"/>' for i in range(20 * kilo))
            + "</graph></graphml>"
        ).encode(),
        "50,000 edges to nowhere": lambda: document(body='<edge source="a" target="?"/>' * 50 * kilo),
        "stage beyond memory": lambda: document(
            keys='<key id="s" for="node" attr.name="stage" attr.type="long"><default>9999999999999</default></key>'
        ),
        "stage beyond int64": lambda: document(
            keys=f'<key id="s" for="node" attr.name="stage" attr.type="long"><default>{10**40}</default></key>'
        ),
        "zeros": lambda: b"\0" * 20 * mega,
        "compressed": lambda: b"\x1f\x8b\x08\0" + b"x" * 1000,
        "pickle": lambda: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "long name in an error": lambda: document(body=f'<edge source="{"a" * 500 * kilo}" target="b"/>'),
        "long names in a cycle": lambda: document(
            body=f'<node id="{"c" * 500 * kilo}"/><edge source="b" target="{"c" * 500 * kilo}"/>'
            f'<edge source="{"c" * 500 * kilo}" target="b"/>'
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", hostile_files())
def test_a_hostile_file_is_refused_within_seconds_and_a_small_multiple_of_its_size(name, tmp_path):
    path = tmp_path / "hostile.graphml"
    path.write_bytes(hostile_files()[name]())
    size = path.stat().st_size
    tracemalloc.start()
    started = time.process_time()
    try:
        assert read_or_refuse(path, stages=1) is None
        seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert seconds < 20  # traced, which is several times slower
    assert peak < (64 << 20) + 30 * size


@pytest.mark.parametrize(
    ("module", "limit", "value", "words"),
    [
        (limits, "MAX_BYTES", 1000, "is larger than 1,000 bytes"),
        (limits, "MAX_NODES", 11, "more than 11 nodes"),
        (limits, "MAX_EDGES", 37, "more than 37 edges"),
        (limits, "MAX_CELLS", 100 - 6441, "more than 100 attribute values"),
        (graphml_parser, "_MAX_KEYS", 3, "more than 3 keys"),
        (graphml_parser, "MAX_VALUE", 5, "longer than 5 characters"),
        (graphml_parser, "_MAX_DEPTH", 2, "nested more than 2 deep"),
    ],
)
def test_a_file_just_over_a_limit_is_refused(monkeypatch, module, limit, value, words):
    file = FIXTURES / "graphs" / ("yed_diamond.graphml" if limit == "_MAX_DEPTH" else "trained_12.graphml")
    gt.read(file)
    monkeypatch.setattr(graphml_fast, "_MAX_BYTES", 0)  # leaves all files to the parser
    monkeypatch.setattr(module, limit, value)

    with pytest.raises(gt.errors.FormatError, match=words):
        gt.read(file)


def test_what_would_not_be_read_back_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "MAX_BYTES", 1000)

    with pytest.raises(gt.errors.GraphError, match="files over 1,000 are not read back"):
        gt.write(gt.full_dag(12, stages=1), tmp_path / "large.graphml")
    assert not list(tmp_path.iterdir())


def test_a_long_value_arrives_whole_although_the_file_comes_in_pieces(tmp_path):
    graph = gt.full_dag(3, stages=1)
    graph["story"] = "once & upon\r\n" * 300_000
    graph.vs["name"] = ["a" * 100_000, "b", "c"]
    gt.write(graph, tmp_path / "long.graphml")

    again = gt.read(tmp_path / "long.graphml")
    assert again["story"] == graph["story"]
    assert again.vs["name"] == graph.vs["name"]
