"""The short way through files of ours gives what the parser gives, or leaves them to it."""

import random
from pathlib import Path

import pytest
from helpers import attributed_architectures, bits
from hypothesis import given
from mutations import MUTATIONS

import graphtask as gt
from graphtask.storage import graphml_fast
from graphtask.storage.graphml import dumps
from graphtask.storage.graphml_parser import GraphmlParser

FIXTURES = Path(__file__).parents[2] / "fixtures"


def by_parser(content):
    parser = GraphmlParser()
    parser.feed(content)
    return parser.finish()


def assert_same_parts(ours, theirs):
    assert ours.edges == theirs.edges
    assert bits([*ours]) == bits([*theirs])
    for left, right in zip(ours, theirs, strict=True):
        if isinstance(left, dict):
            assert list(left) == list(right)


def trained():
    graph = gt.full_dag(12, stages=3)
    graph.es["weight"] = [index / 66 for index in range(66)]
    graph.es["w"] = [-1.5e-300 * index for index in range(66)]
    graph["provenance"] = {"prior": "abs(i - j) <= 10 & i > 3", "data": "ü", "seed": 3}
    graph.vs["label"] = ["a", None, "x y", *"bcdefghij"]
    graph.vs["flag"] = [index % 2 == 0 for index in range(12)]
    return graph


@pytest.mark.parametrize("graph", [gt.full_dag(60, stages=3), gt.chain_dag(2), trained()])
def test_files_of_ours_take_the_short_way_and_give_the_same(graph):
    content = dumps(graph)
    assert_same_parts(graphml_fast.parse(content), by_parser(content))


@given(attributed_architectures())
def test_the_short_way_gives_the_same_or_nothing(graph):
    content = dumps(graph)
    ours = graphml_fast.parse(content)
    if ours is not None:
        assert_same_parts(ours, by_parser(content))


@pytest.mark.parametrize(
    "content", [dumps(trained()), (FIXTURES / "graphs" / "trained_12.graphml").read_bytes()]
)
def test_what_the_parser_refuses_of_damaged_files_the_short_way_leaves_to_it(content):
    rng = random.Random(1)
    n_short = 0
    for _ in range(1500):
        mutant = rng.choice(MUTATIONS)(content, rng)
        ours = graphml_fast.parse(mutant)
        if ours is not None:
            n_short += 1
            assert_same_parts(ours, by_parser(mutant))
    assert n_short > 20


def test_files_of_others_and_other_versions_are_left_to_the_parser():
    content = dumps(trained())
    assert graphml_fast.parse(content) is not None
    for old, new in (
        (b'gt:version="1"', b'gt:version="2"'),
        (b"\n", b"\r\n"),
        (b'<node id="n3">', b'<node id="n03">'),
        (b'target="n3"', b'target="n99"'),
        (b'"seed": 3', b'"seed": 3, "seed": 4'),
        (b"true", b""),
        (b"x y", b"x\ty"),
        (b"</graph>", b"<!-- end --></graph>"),
    ):
        assert old in content
        assert graphml_fast.parse(content.replace(old, new)) is None
    assert graphml_fast.parse((FIXTURES / "graphs" / "networkx_diamond.graphml").read_bytes()) is None
