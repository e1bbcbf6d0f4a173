"""Configuration of the documentation site; build it with ``make docs``."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "cli"), str(ROOT / "docs")]
os.environ["EAGER_IMPORT"] = ""

import graphtask  # noqa: E402

project = "graphtask"
author = "The graphtask authors"
copyright = "The graphtask authors, MIT license"
release = version = graphtask.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    *("_build", "**/.ipynb_checkpoints", "_static", "gallery", "auto_gallery/*.ipynb"),
    *("sg_execution_times.rst", "auto_gallery/sg_execution_times.rst"),
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}

# Notebooks are stored with their outputs; tests/docs execute them.
nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The scripts of docs/gallery run during the build.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "image_scrapers": ("gallery_figures.scrape",),
    "reset_modules": (),
    "capture_repr": (),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

# The site builds without a network; set GRAPHTASK_INTERSPHINX=1 to resolve links to other projects.
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "igraph": ("https://python.igraph.org/en/stable", None),
        "networkx": ("https://networkx.org/documentation/stable", None),
    }
    if os.environ.get("GRAPHTASK_INTERSPHINX")
    else {}
)

autosummary_generate = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Source", "references_style"), ("Attributes", "params_style")]
default_role = "code"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"graphtask {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

import make_api  # noqa: E402
from docutils import nodes  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402


def _escape_bars(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Escape ``|`` in prose: docstrings write |A| as on paper, reStructuredText reads a substitution."""
    for number, line in enumerate(lines):
        if ">>>" not in line and "``" not in line:
            lines[number] = line.replace("|", "\\|")


def _formula(translator: object, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))  # type: ignore[attr-defined]
    raise nodes.SkipNode


def _displayed_formula(translator: object, node: nodes.math_block) -> None:
    formula = convert(node.astext(), display="block")
    translator.body.append(f'<div class="math">{formula}</div>')  # type: ignore[attr-defined]
    raise nodes.SkipNode


def setup(app: object) -> None:
    """Register the hook of autodoc, and MathML, which browsers draw without scripts and a network."""
    app.connect("autodoc-process-docstring", _escape_bars)  # type: ignore[attr-defined]
    app.add_html_math_renderer("mathml", (_formula, None), (_displayed_formula, None))  # type: ignore[attr-defined]


make_api.write()
