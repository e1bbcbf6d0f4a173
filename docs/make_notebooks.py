"""Write and execute the notebooks in docs/tutorials from the sources in this folder's ``tutorials/*.py``.

A source is a Python file in percent format: ``# %% [markdown]`` starts a text cell, ``# %%`` a code cell. Run it after
changing a source: ``.venv/bin/python docs/make_notebooks.py [NAME ...]``. `tests/test_notebooks.py` executes them too.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).with_name("tutorials")
_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)
_TIMEOUT = 1800  # seconds for one cell


def notebook(source: str) -> nbformat.NotebookNode:
    """Return the notebook of a source in percent format, without outputs."""
    parts = _CELL.split(source)[1:]
    cells = [
        _cell(text.strip("\n"), is_text=bool(kind))
        for kind, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def executed(source: str) -> nbformat.NotebookNode:
    """Return the notebook of a source, executed in a fresh kernel and a temporary folder."""
    made = notebook(source)
    with TemporaryDirectory() as folder:
        NotebookClient(made, timeout=_TIMEOUT, resources={"metadata": {"path": folder}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)  # times differ from run to run
        for output in cell.get("outputs", []):
            if "image/svg+xml" in output.get("data", {}):
                output.data.pop("image/png", None)  # the same picture, six times as large
    return made


def sources() -> list[Path]:
    """Return the sources of all notebooks."""
    return sorted(FOLDER.glob("*.py"))


def _cell(text: str, *, is_text: bool) -> nbformat.NotebookNode:
    if not is_text:
        return nbformat.v4.new_code_cell(text)
    return nbformat.v4.new_markdown_cell(
        "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))
    )


if __name__ == "__main__":
    for path in sources():
        if len(sys.argv) == 1 or path.stem in sys.argv[1:]:
            nbformat.write(executed(path.read_text(encoding="utf-8")), path.with_suffix(".ipynb"))
            sys.stdout.write(f"{path.with_suffix('.ipynb')}\n")
