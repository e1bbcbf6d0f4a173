import gzip
import io
import json
from pathlib import Path

import igraph
import networkx as nx
import numpy as np
import pytest
import scipy.io
from helpers import architectures, assert_same_graph, attributed_architectures, weighted_architectures
from hypothesis import given

import graphtask as gt
from graphtask.graph import edge_names
from graphtask.reading import ReadOptions, from_bytes
from graphtask.storage.formats import PARSERS
from graphtask.storage.writers import WRITERS, to_bytes

COMPLETE = (
    ".graphml",
    ".gml",
    ".gexf",
    ".dot",
    ".gv",
    ".json",
    ".cyjs",
    ".pt",
)  # names, stages, w, provenance
NAMED = (".net", ".csv", ".tsv", ".txt", ".edges", ".edgelist")
NUMBERED = (".npz", ".npy", ".mtx", ".g6", ".d6", ".s6", ".metis", ".graph")
UNDIRECTED = {".g6", ".s6", ".metis", ".graph"}


def read(content, suffix, **options):
    return from_bytes(content, name=f"graph{suffix}", options=ReadOptions(**options))


def trained(graph):
    graph.es["w"] = [weight - 0.5 for weight in graph.es["weight"]]
    return graph


def by_name(graph):
    weights = graph.es["weight"] if "weight" in graph.es.attributes() else [1.0] * graph.ecount()
    return dict(zip(edge_names(graph), weights, strict=True))


def positive(graph):
    graph.es["weight"] = [max(weight, 0.125) for weight in graph.es["weight"]]
    return graph


def test_every_suffix_is_in_one_group():
    assert sorted(COMPLETE + NAMED + NUMBERED) == sorted(WRITERS)


@pytest.mark.parametrize("suffix", [*COMPLETE, ".graphml.gz", ".json.gz"])
@given(graph=weighted_architectures())
def test_a_trained_graph_comes_back_whole(suffix, graph):
    graph = trained(graph)
    found = read(to_bytes(graph, suffix=suffix), suffix)

    assert (found.vs["name"], found.vs["stage"]) == (graph.vs["name"], graph.vs["stage"])
    assert found.get_edgelist() == graph.get_edgelist()
    assert (found.es["weight"], found.es["w"]) == (graph.es["weight"], graph.es["w"])
    assert gt.provenance(found) == gt.provenance(graph)


@pytest.mark.parametrize("suffix", [".json", ".cyjs"])
@given(graph=attributed_architectures())
def test_json_loses_nothing_but_what_its_keys_take(suffix, graph):
    for items, taken in ((graph.vs, {"id", "value"}), (graph.es, {"id", "source", "target"})):
        for name in set(items.attributes()) & taken:
            del items[name]
    for items in (graph.vs, graph.es):
        for name in items.attributes():
            if all(value is None for value in items[name]):
                del items[name]

    assert_same_graph(read(to_bytes(graph, suffix=suffix), suffix), graph)


@pytest.mark.parametrize("suffix", NAMED)
@given(graph=weighted_architectures())
def test_edges_names_and_weights_come_back(suffix, graph):
    assert by_name(read(to_bytes(graph, suffix=suffix), suffix, stages=1)) == by_name(graph)


@pytest.mark.parametrize("suffix", NUMBERED)
@given(graph=weighted_architectures())
def test_edges_come_back_by_number(suffix, graph):
    order = "ids" if suffix in UNDIRECTED else None
    found = read(to_bytes(positive(graph), suffix=suffix), suffix, stages=1, order=order)

    assert sorted(found.get_edgelist()) == sorted(graph.get_edgelist())
    if suffix in {".npz", ".npy", ".mtx"}:
        ours = dict(zip(graph.get_edgelist(), graph.es["weight"], strict=True))
        weights = found.es["weight"] if "weight" in found.es.attributes() else [1.0] * found.ecount()
        assert dict(zip(found.get_edgelist(), weights, strict=True)) == ours


@given(weighted_architectures())
def test_networkx_reads_what_we_write(graph):
    def content(suffix):
        return to_bytes(positive(graph), suffix=suffix)

    found = {
        ".gml": nx.parse_gml(content(".gml").decode(), label="name"),
        ".net": nx.parse_pajek(content(".net").decode()),
        ".json": nx.node_link_graph(json.loads(content(".json")), edges="links"),
        ".graphml": nx.relabel_nodes(
            named := nx.parse_graphml(content(".graphml").decode()), dict(named.nodes(data="name"))
        ),
        ".gexf": nx.relabel_nodes(
            labeled := nx.read_gexf(
                io.BytesIO(
                    content(".gexf")
                    .replace(b"http://gexf.net/1.3", b"http://www.gexf.net/1.2draft")
                    .replace(b'"1.3"', b'"1.2"')
                )
            ),
            dict(labeled.nodes(data="label")),
        ),
        ".cyjs": nx.cytoscape_graph({"multigraph": False, **json.loads(content(".cyjs"))}),
    }
    for suffix, other in found.items():
        weights = {(source, target): float(data["weight"]) for source, target, data in other.edges(data=True)}
        assert weights == by_name(graph), suffix


@given(architectures())
def test_others_read_matrices_and_graph6(graph):
    edges = {tuple(edge) for edge in graph.get_edgelist()}
    matrix = scipy.io.mmread(io.BytesIO(to_bytes(graph, suffix=".mtx"))).todense()

    assert set(map(tuple, np.argwhere(np.asarray(matrix)).tolist())) == edges
    assert set(map(tuple, np.argwhere(np.load(io.BytesIO(to_bytes(graph, suffix=".npy")))).tolist())) == edges
    for suffix, parse in ((".g6", nx.from_graph6_bytes), (".s6", nx.from_sparse6_bytes)):
        found = parse(to_bytes(graph, suffix=suffix).strip())
        assert {(min(edge), max(edge)) for edge in found.edges} == edges


@given(architectures(max_nodes=40))
def test_we_read_what_networkx_and_igraph_write(graph):
    other = nx.DiGraph(gt.to_networkx(graph).edges)
    undirected = nx.Graph([(source, target) for source, target in graph.get_edgelist()])
    undirected = nx.relabel_nodes(undirected, {node: node for node in sorted(undirected)})
    ordered = nx.Graph()
    ordered.add_nodes_from(range(graph.vcount()))
    ordered.add_edges_from(undirected.edges)
    gexf, pajek = io.BytesIO(), "\n".join(nx.generate_pajek(other))
    nx.write_gexf(other, gexf)
    for content, suffix in ((gexf.getvalue(), ".gexf"), (pajek.encode(), ".net")):
        assert set(edge_names(read(content, suffix, stages=1))) == set(edge_names(graph))
    for content, suffix in ((nx.to_graph6_bytes(ordered), ".g6"), (nx.to_sparse6_bytes(ordered), ".s6")):
        found = read(content, suffix, stages=1, order="ids")
        assert {(int(s), int(t)) for s, t in edge_names(found)} >= set(graph.get_edgelist())


def test_igraph_reads_what_we_write(tmp_path):
    graph = gt.random_dag(20, seed=1)
    for suffix, reader in (
        (".gml", igraph.Graph.Read_GML),
        (".net", igraph.Graph.Read_Pajek),
        (".graphml", igraph.Graph.Read_GraphML),
    ):
        path = tmp_path / f"graph{suffix}"
        path.write_bytes(to_bytes(graph, suffix=suffix))
        assert reader(str(path)).get_edgelist() == graph.get_edgelist()


@pytest.mark.parametrize(
    ("suffix", "change", "words"),
    [
        (".mtx", {"weight": [0.0, 0.5]}, "1 of 2 edges have the weight 0.*prune them"),
        (".npz", {"weight": [0.0, 0.0]}, "2 of 2 edges have the weight 0"),
        (".net", {"name": ['a"', "b", "c"]}, "Pajek cannot hold the name"),
        (".txt", {"name": ["a b", "b", "c"]}, "an edge list cannot hold the name 'a b'"),
        (".edges", {"name": ["", "b", "c"]}, "an edge list cannot hold the name ''"),
        (".gexf", {"name": ["\0", "b", "c"]}, "GEXF cannot hold the text"),
        (".dot", {"name": ["\ud800", "b", "c"]}, "lone surrogate"),
        (".json", {"name": ["\ud800", "b", "c"]}, "lone surrogate"),
    ],
)
def test_what_a_format_cannot_hold_is_an_error(suffix, change, words):
    graph = gt.chain_dag(3, stages=1)
    for name, values in change.items():
        (graph.vs if name == "name" else graph.es)[name] = values

    with pytest.raises((gt.errors.GraphError, ValueError), match=words):
        to_bytes(graph, suffix=suffix)


def test_an_unknown_suffix_is_named():
    with pytest.raises(gt.errors.FormatError, match=r"must be one of .*, got '\.png'"):
        to_bytes(gt.chain_dag(3), suffix=".png")


def test_gzip_is_bounded_and_whole(tmp_path):
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * (300 << 20)))
    with pytest.raises(gt.errors.FormatError, match="unpacks to more than"):
        gt.read(path)
    path.write_bytes(gzip.compress(b'{"nodes": [], "links": []}')[:-4])
    with pytest.raises(gt.errors.FormatError, match="not a complete gzip file"):
        gt.read(path)


def test_the_page_on_formats_names_every_suffix():
    page = Path("docs/formats.md").read_text()

    assert [suffix for suffix in {*PARSERS, *WRITERS} if f"`{suffix}`" not in page] == []


@pytest.mark.parametrize("suffix", [".graphml", ".gml", ".gexf", ".dot", ".json", ".cyjs", ".pt"])
@pytest.mark.parametrize(
    "name", ["label", "group", "parent", "key", "kind", "type", "attributes", "from", "tail"]
)
def test_attributes_whose_names_mean_something_in_a_format_come_back(suffix, name):
    graph = gt.full_dag(3, stages=1)
    graph.vs[name], graph.es[name] = ["x", "y", "z"], ["p", "q", "r"]
    again = read(to_bytes(graph, suffix=suffix), suffix)

    assert again.vs["name"] == graph.vs["name"]
    assert (again.vs[name], again.es[name]) == (["x", "y", "z"], ["p", "q", "r"])


def test_a_table_has_one_column_source():
    graph = gt.chain_dag(3, stages=1)
    graph.es["source"], graph.es["kind"] = ["x", "y"], ["p", "q"]

    assert read(to_bytes(graph, suffix=".csv"), ".csv", stages=1).es["kind"] == ["p", "q"]
