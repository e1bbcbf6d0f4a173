"""The explorer as a widget of notebooks; needs anywidget."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from graphtask.reporting.page import EXPLORER, EXPLORER_SCRIPTS, asset


def explorer_widget(graphs: Sequence[Mapping[str, Any]], *, threshold: float) -> Any | None:
    """Return the explorer as a widget whose ``threshold`` follows the slider, in both directions.

    Args:
        graphs: Graphs of the explorer (`explorer_data`).
        threshold: Threshold that is shown first.

    Returns:
        The widget; None if anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None
    members = {
        "_esm": widget_code(),
        "graphs": traitlets.List().tag(sync=True),
        "threshold": traitlets.Float().tag(sync=True),
    }
    return type("Explorer", (anywidget.AnyWidget,), members)(graphs=list(graphs), threshold=threshold)


def widget_code() -> str:
    """Return the explorer as an ECMAScript module of anywidget; its scripts are those of the page.

    Example:
        >>> "export default { render }" in widget_code()
        True
    """
    library, *own = map(asset, EXPLORER_SCRIPTS)
    constants = f"const CSS = {json.dumps(asset('report.css'))}, MARKUP = {json.dumps(EXPLORER)};"
    isolated = (  # whatever module loader the notebook has, the library defines nothing outside
        f"const cytoscape = (() => {{ const module = {{ exports: {{}} }}, exports = module.exports;\n{library}\n"
        "return module.exports; })();"
    )
    return "\n".join([isolated, *own, constants, asset("widget.js")])
