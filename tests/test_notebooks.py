"""The notebooks run in a fresh kernel, and are those of their sources."""

import importlib.util
import runpy
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("make_notebooks", ROOT / "docs" / "make_notebooks.py")
make_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_notebooks)

SOURCES = make_notebooks.sources()
QUICK = {"own_loop"}  # the others train for half a minute each


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stem in QUICK], ids=lambda path: path.stem)
def test_the_source_of_a_quick_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_stored_notebook_has_the_cells_of_its_source(path):
    stored = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    made = make_notebooks.notebook(path.read_text(encoding="utf-8"))
    assert [(cell.cell_type, cell.source) for cell in stored.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ]
    assert all(cell.outputs is not None for cell in stored.cells if cell.cell_type == "code")


@pytest.mark.slow
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_fresh_kernel(path):
    made = make_notebooks.executed(path.read_text(encoding="utf-8"))
    assert all("error" not in output.output_type for cell in made.cells for output in cell.get("outputs", []))
