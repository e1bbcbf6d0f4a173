import pytest

import graphtask as gt


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("full --nodes 60 --stages 3", gt.full_dag(60, stages=3)),
        ("full --nodes 60 --stages 30,20,10", gt.full_dag(60, stages=[30, 20, 10])),
        ("full --nodes 8", gt.full_dag(8)),
        ("banded --nodes 30 --bandwidth 10", gt.banded_dag(30, bandwidth=10)),
        ("chain --nodes 9 --stages 1", gt.chain_dag(9, stages=1)),
        (
            "erdos-renyi --nodes 30 --p 0.1 --seed 4 --order x",
            gt.priors.erdos_renyi_dag(30, p=0.1, seed=4, order="x"),
        ),
        (
            "watts-strogatz --nodes 30 --neighbors 4 --p 0.3 --seed 2 --order radius",
            gt.priors.watts_strogatz_dag(30, neighbors=4, p=0.3, seed=2, order="radius"),
        ),
        (
            "barabasi-albert --nodes 30 --attachments 3 --order bifocal",
            gt.priors.barabasi_albert_dag(30, attachments=3, seed=0, order="bifocal"),
        ),
        (
            "random-dag --nodes 30 --out-degree 4 --law poisson --decay power --rate 1 --block-length 2 --attraction 0 --seed 7",
            gt.random_dag(
                30, out_degree=4, law="poisson", decay="power", rate=1, block=2, attraction=0, seed=7
            ),
        ),
        ("random-dag --nodes 30", gt.random_dag(30, seed=0)),
    ],
)
def test_a_new_graph_is_what_the_library_makes(call, tmp_path, arguments, expected):
    result = call("new", *arguments.split(), "-o", "new.graphml")
    assert result.exit_code == 0, result.output
    graph = gt.read(tmp_path / "new.graphml")
    assert graph.get_edgelist() == expected.get_edgelist()
    assert graph.vs["stage"] == expected.vs["stage"]
    assert gt.provenance(graph) == gt.provenance(expected)
    assert result.stdout.startswith(f"new.graphml: {expected.vcount()} nodes, {expected.ecount():,} edges")


def test_the_summary_has_stages_and_repairs(call):
    assert call("new", "full", "--nodes", "60", "-o", "a.graphml").stdout == (
        "a.graphml: 60 nodes, 1,770 edges, 3 stages (20/20/20)\n"
    )
    repaired = gt.provenance(gt.priors.erdos_renyi_dag(60, p=0.02, seed=0))["prior"]["repaired_edges"]
    assert repaired > 0
    assert call("new", "erdos-renyi", "--nodes", "60", "--p", "0.02", "-o", "b.graphml").stdout == (
        f"b.graphml: 60 nodes, 93 edges ({repaired} added by repair), 3 stages (20/20/20)\n"
    )


def test_one_edge_and_one_stage_are_counted_as_one(call):
    assert call("new", "chain", "--nodes", "2", "--stages", "1", "-o", "two.graphml").stdout == (
        "two.graphml: 2 nodes, 1 edge, 1 stage\n"
    )


def test_a_file_that_is_there_is_replaced(call, tmp_path):
    call("new", "chain", "--nodes", "5", "-o", "graph.graphml")
    call("new", "chain", "--nodes", "7", "-o", "graph.graphml")
    assert gt.read(tmp_path / "graph.graphml").vcount() == 7


def test_a_foreign_graph_becomes_valid(call, tmp_path):
    (tmp_path / "foreign.graphml").write_text(
        '<graphml><graph edgedefault="directed"><node id="a"/><node id="b"/><node id="c"/>'
        '<edge source="a" target="c"/><edge source="b" target="c"/></graph></graphml>'
    )
    refused = call("new", "from", "foreign.graphml", "--stages", "2", "-o", "valid.graphml")
    assert refused.exit_code == 1
    assert "--join" in refused.stderr
    assert (
        call("new", "from", "foreign.graphml", "--stages", "2", "--join", "-o", "valid.graphml").exit_code
        == 0
    )
    graph = gt.read(tmp_path / "valid.graphml")
    assert graph.vs["name"] == ["input", "a", "b", "c"]
    assert graph.vs["stage"] == [0, 0, 1, 1]
