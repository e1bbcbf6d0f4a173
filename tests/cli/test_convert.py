import json

import networkx as nx
import pytest

import graphtask as gt
from graphtask.priors.registry import PRIORS
from graphtask_cli.commands.new import new


def test_a_graph_keeps_its_weights_through_another_format(call, trained, tmp_path):
    source = trained / "trained.graphml" if trained.is_dir() else trained
    assert call("convert", source, "a.gexf").exit_code == 0
    assert call("convert", "a.gexf", "b.graphml").exit_code == 0

    assert gt.read(tmp_path / "b.graphml").es["weight"] == gt.read(source).es["weight"]


def test_an_error_names_all_options_and_auto_reports_them(call, tmp_path):
    nx.write_gml(nx.karate_club_graph(), tmp_path / "karate.gml")
    strict = call("convert", "karate.gml", "karate.graphml")
    auto = call("convert", "karate.gml", "karate.graphml", "--reading", "auto")

    assert strict.exit_code == 1
    assert "read it with --order ids --stages 3\n" in strict.stderr
    assert auto.exit_code == 0
    assert "read with --order ids --stages 3" in auto.stderr
    assert gt.read(tmp_path / "karate.graphml").vcount() == 34


def test_standard_input_and_output_need_a_format(call):
    result = call("convert", "-", "-", "--from", "edges", "--to", "json", "--stages", 1, input="a b\nb c\n")

    assert result.exit_code == 0, result.output
    assert [node["id"] for node in json.loads(result.stdout)["nodes"]] == ["a", "b", "c"]
    assert call("convert", "-", "-", "--to", "json", input="a b\n").exit_code == 2


@pytest.mark.parametrize("target", ["a.png", "a"])
def test_an_unknown_format_is_named_with_the_known_ones(call, target):
    call("new", "full", "--nodes", 3, "-o", "full.graphml")
    result = call("convert", "full.graphml", target)

    assert result.exit_code == 1
    assert "must be one of .graphml, .gml" in result.stderr


def test_the_command_new_has_the_priors_of_the_registry():
    assert set(new.commands) - {"from"} == set(PRIORS)
    for name, prior in PRIORS.items():
        options = {option.name: option for option in new.commands[name].params}
        assert {argument.name for argument in prior.arguments} <= set(options)
        for argument in prior.arguments:
            if argument.choices:
                assert tuple(options[argument.name].type.choices) == argument.choices
            if argument.default is not None:
                assert options[argument.name].default == argument.default
