"""The last line of a notebook cell shows a picture; executed in a fresh kernel."""

import sys

import nbformat
import pytest
from nbclient import NotebookClient

import graphtask as gt
from graphtask.drawing.picture import new_figure

CELLS = [
    "import graphtask as gt, numpy as np, pandas as pd",
    "gt.draw(gt.random_dag(12, seed=1))",
    "gt.draw(gt.full_dag(60))",
    "gt.plot.draw_grid({'a': gt.full_dag(4), 'b': gt.chain_dag(4)})",
    "gt.plot.draw_history(np.array([[0.5, 0.5], [0.2, 0.004]]))",
    "gt.draw(gt.full_dag(4)).savefig  # a figure of matplotlib",
]


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
        client = NotebookClient(notebook, kernel_name="fresh", timeout=300)
        client.execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.slow
@pytest.mark.parametrize("cell", range(1, 5))
def test_a_figure_is_shown_as_a_picture(outputs, cell):
    (output,) = outputs[cell]
    assert output.output_type == "execute_result"
    picture = output.data.get("image/svg+xml") or output.data.get("image/png")
    assert picture is not None
    assert len(picture) > 2_000
    assert "<Figure" not in output.data["text/plain"]


def test_small_pictures_are_svg_and_large_ones_png():
    small, large = gt.draw(gt.full_dag(5)), gt.draw(gt.full_dag(60))
    assert small._repr_mimebundle_()["image/svg+xml"].startswith("<?xml")
    assert large._repr_mimebundle_()["image/png"][:4] == b"\x89PNG"
    assert small._repr_png_()[:4] == b"\x89PNG"


def test_every_figure_is_one_that_notebooks_show():
    assert type(gt.draw(gt.full_dag(3))) is type(new_figure(figsize=(1, 1)))
    assert "gt.plot.save" in repr(gt.draw(gt.full_dag(3)))
