import warnings
from pathlib import Path

import matplotlib as mpl
import pytest

import graphtask as gt
from graphtask.drawing import fonts

DEJAVU = str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
LACKS_GREEK = "cmtt10"  # comes with matplotlib, too


@pytest.fixture
def installed(monkeypatch):
    """Replace the installed fonts by a list."""

    def install(*paths):
        fonts._family_with.cache_clear()
        monkeypatch.setattr(fonts, "_USED", {})
        monkeypatch.setattr(fonts, "_system_fonts", lambda: list(paths))

    yield install
    fonts._family_with.cache_clear()


def test_a_character_that_the_font_lacks_is_drawn_with_an_installed_one(installed):
    installed("no font.ttf", DEJAVU)
    assert fonts.families_of("λ", [LACKS_GREEK]) == [LACKS_GREEK, "DejaVu Sans"]
    assert fonts.families_of("a", [LACKS_GREEK]) == [LACKS_GREEK]
    assert fonts.undrawable(["λ"], [LACKS_GREEK]) == []


def test_the_font_of_every_text_of_a_picture_has_its_characters(installed, tmp_path):
    installed(DEJAVU)
    graph = gt.chain_dag(3, stages=1)
    graph.vs["name"] = ["in", "λ", "out"]
    figure = gt.draw(graph, labels="name", font=LACKS_GREEK)
    gt.plot.save(figure, tmp_path / "lambda.png")
    (text,) = [text for text in figure.axes[0].texts if text.get_text() == "λ"]
    assert text.get_fontfamily() == [LACKS_GREEK, "DejaVu Sans"]


def test_characters_that_no_font_has_are_named_once_and_not_for_svg(installed, tmp_path):
    installed(DEJAVU)
    figure = gt.draw(gt.chain_dag(3, stages=1), title="图 网")
    with pytest.warns(UserWarning, match="no installed font has '图网': drawn as boxes; install") as caught:
        gt.plot.save(figure, tmp_path / "boxes.png")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gt.plot.save(figure, tmp_path / "text.svg")
    assert "图 网" in (tmp_path / "text.svg").read_text(encoding="utf-8")
