"""Pictures in files."""

import re
from xml.sax.saxutils import escape

import pytest

import graphtask as gt
from graphtask.drawing.picture import new_figure, rendered
from graphtask.terminal import shown


@pytest.mark.parametrize("name", ["$\\frac{$", "$$", "$^{$", "$10}$", "a$b$c", "$\\mathdefault{\\frac{}$"])
def test_a_name_with_dollar_signs_is_no_formula(name):
    figure = new_figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.001, 1000], [1, 2], label=name)
    axes.set_xscale("log")
    axes.set_yticks([1, 2], labels=[name, "b"])
    axes.set_title(name)
    figure.legend()
    texts = re.findall(r">([^<]*)</text>", rendered(figure, "svg").decode())
    assert texts.count(escape(name)) == 3
    assert not any("mathdefault{10" in text for text in texts)  # powers of ten are still formulas


@pytest.mark.parametrize("name", ["a\udcffb", "\ud800", "\x1b[31m", "a\x00b", "\u202eabc"])
@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_characters_that_no_picture_can_hold_are_escaped(name, form):
    figure = new_figure(figsize=(3, 2), layout="constrained")
    figure.suptitle(name)
    figure.subplots().plot([0, 1], [1, 2], label=name)
    figure.legend()
    content = rendered(figure, form)
    if form == "svg":
        assert re.findall(r">([^<]*)</text>", content.decode()).count(shown(name)) == 2


def test_titles_of_graphs_may_be_names_of_any_file():
    graph, name = gt.full_dag(3), "a\udcff"
    for figure in (
        gt.draw(graph, title=name),
        gt.plot.draw_grid({name: graph}, title=name),
        gt.plot.draw_diff(graph, graph, names=(name, "b")),
    ):
        assert b"a\\udcff" in rendered(figure, "svg")
