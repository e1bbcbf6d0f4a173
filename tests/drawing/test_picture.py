"""Pictures in files."""

import re
from xml.sax.saxutils import escape

import pytest

from graphtask.drawing.picture import new_figure, rendered


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
