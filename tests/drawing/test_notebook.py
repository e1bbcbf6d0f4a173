"""The last line of a notebook cell shows a picture; executed in a fresh kernel."""

import re
import sys
from importlib.util import find_spec

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import graphtask as gt
from graphtask.drawing.picture import new_figure
from graphtask.features.table import features_of
from graphtask.inference import two_sample_test

pytestmark = pytest.mark.timeout(1200)  # a kernel starts slowly on a loaded machine

FIGURES = [
    "gt.draw(gt.random_dag(12, seed=1))",
    "gt.plot.draw_grid({'a': gt.full_dag(4), 'b': gt.chain_dag(4)})",
    "gt.plot.draw_history(np.array([[0.5, 0.5], [0.2, 0.004]]))",
]
RESULTS = {  # text of the card, and if it has a picture
    "run": ("test accuracy", True),
    "run.history": ("EdgeHistory", True),
    "run.module(device='cpu')": ("parameters", True),
    "gt.sweep(run, thresholds=[0, 0.01], metrics='edges')": ("suggested threshold", True),
    "gt.compare(graphs, list('aabb'), features=['edges', 'mean_path'])": ("similarity_within", True),
    "gt.read_all(['graphs'])": ("no label", True),
    "gt.diff(graphs[0], graphs[2])": ("only_first", True),
    "gt.view(graphs[0])": ("<iframe", False),
    "gt.Study.read({'priors': {'full': {'nodes': 4}}, 'data': {'cdigits': {}}, 'out': 'study'})": (
        "1 waiting",
        False,
    ),
}
SETUP = """
import pathlib, graphtask as gt, numpy as np
digits = gt.load_data("cdigits").subset(n_train=64, n_test=32, seed=0)
graphs = [gt.random_dag(6 + k, seed=k) for k in range(4)]
pathlib.Path("graphs").mkdir()
for k, graph in enumerate(graphs):
    gt.write(graph, f"graphs/{k}.graphml")
"""
TRAINING = "run = gt.train(gt.full_dag(4), data=digits, channels=2, epochs=3, batch_size=32)"
WIDGET = """
widget = gt.view(graphs[0], threshold=0.25).widget
first = getattr(widget, "threshold", None)
if widget is not None:
    widget.threshold = 0.5
first, getattr(widget, "threshold", None), getattr(widget, "graphs", [{"nodes": [None]}])[0]["nodes"][0]
"""
CELLS = [SETUP, TRAINING, *FIGURES, *RESULTS, WIDGET]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    kernel = folder / "kernels" / "fresh"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.joinpath("kernel.json").write_text(
        '{{"argv": {}, "display_name": "fresh", "language": "python"}}'.format(str(argv).replace("'", '"'))
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        resources = {"metadata": {"path": str(folder)}}
        client = NotebookClient(
            notebook, kernel_name="fresh", timeout=600, startup_timeout=600, resources=resources
        )
        client.execute()
    return {cell.source: cell.outputs for cell in notebook.cells}


def result_of(outputs):
    return next(output.data for output in outputs if output.output_type == "execute_result")


def test_figures_are_shown_as_pictures(outputs):
    for cell in FIGURES:
        (output,) = outputs[cell]
        picture = output.data.get("image/svg+xml") or output.data.get("image/png")
        assert len(picture) > 2_000
        assert "<Figure" not in output.data["text/plain"]


def test_results_are_shown_with_a_summary_and_a_small_picture(outputs):
    for cell, (text, has_picture) in RESULTS.items():
        data = result_of(outputs[cell])
        assert text in data["text/html"], cell
        assert ('src="data:image/png;base64,' in data["text/html"]) == has_picture, cell
        assert len(data["text/html"]) < 700_000, cell


@pytest.mark.skipif(find_spec("anywidget") is None, reason="anywidget is not installed")
def test_a_view_is_a_widget_whose_threshold_is_that_of_its_slider(outputs):
    assert "application/vnd.jupyter.widget-view+json" in result_of(outputs["gt.view(graphs[0])"])
    (output,) = outputs[WIDGET]
    assert output.data["text/plain"] == "(0.25, 0.5, 'v0')"


@pytest.mark.parametrize("cell", [TRAINING, "gt.sweep(run, thresholds=[0, 0.01], metrics='edges')"])
def test_progress_is_one_display_that_is_updated_in_place(outputs, cell):
    (display,) = (output for output in outputs[cell] if output.output_type != "execute_result")
    assert display.output_type == "display_data"
    assert re.search(
        r'<progress max="1" value="1.0000"></progress> (epoch 3/3|sweeping: 2 of 2)',
        display.data["text/html"],
    )


@pytest.mark.usefixtures("rough_once")
def test_analyses_have_cards():
    graphs = [gt.full_dag(n, stages=2) for n in (4, 5, 6, 7)]
    points = features_of(graphs, features=["edges", "mean_path"])
    text = points._repr_html_()
    assert "<td>edges</td><td>13</td>" in text  # the mean of 6, 10, 15 and 21
    text = two_sample_test(graphs[:2], graphs[2:])._repr_html_()
    assert ">0.333 (smallest attainable 0.333)</td>" in text
    fitted = gt.GraphDistribution.fit(graphs)
    text = fitted._repr_html_()
    assert ">5.5</td>" in text
    assert text.count("data:image/png") == 1
    row = {"run": "a", "dataset": "<b>", "prior": "full", "test_accuracy": 0.75, "epoch_time_ratio": 1.0}
    table = pd.DataFrame([row | {"network": name} for name in ("full", "retrained")])
    text = gt.training.RetrainResult(table)._repr_html_()
    assert "<td>&lt;b&gt;</td><td>full</td><td>0.75</td>" in text
    assert text.count("data:image/png") == 1
    assert "img" not in gt.training.RetrainResult(table[:0])._repr_html_()


def test_names_in_cards_are_escaped():
    hostile = ("<script>\u202e",)
    graphs = gt.GraphSet(graphs=(gt.chain_dag(3),), labels=hostile, sources=hostile, names=hostile)
    text = graphs._repr_html_()
    assert "&lt;script&gt;\\u202e" in text
    assert "<script>" not in text


def test_small_pictures_are_svg_and_large_ones_png():
    small, large = gt.draw(gt.full_dag(5)), gt.draw(gt.full_dag(60))
    assert small._repr_mimebundle_()["image/svg+xml"].startswith("<?xml")
    assert large._repr_mimebundle_()["image/png"][:4] == b"\x89PNG"
    assert small._repr_png_()[:4] == b"\x89PNG"


def test_every_figure_is_one_that_notebooks_show():
    assert type(gt.draw(gt.full_dag(3))) is type(new_figure(figsize=(1, 1)))
    assert "gt.plot.save" in repr(gt.draw(gt.full_dag(3)))
