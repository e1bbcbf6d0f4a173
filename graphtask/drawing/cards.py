"""Results as HTML for notebooks: a title, a few facts, and small pictures or a table.

Cards read their objects by attribute and import none of their packages, so that every package may show its results.
"""

import base64
import html
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphtask.columns import score_of, shown_score, with_accuracy, words
from graphtask.drawing.picture import rendered
from graphtask.graph import WEIGHT
from graphtask.terminal import duration, shown
from graphtask.validation import counted

if TYPE_CHECKING:
    import igraph
    import pandas as pd
    from matplotlib.figure import Figure

_MAX_EDGES = 3_000  # of a graph that a card draws; larger ones take seconds
_MAX_GRAPHS = 8
_MAX_ROWS = 12
_ROW = "display:flex;flex-wrap:wrap;gap:0 2em;align-items:flex-start"
_CELL = "text-align:left;padding:.1em .8em .1em 0"


def card(title: str, facts: Mapping[str, object], *bodies: str) -> str:
    """Return a card as HTML; facts whose value is None are left out.

    Example:
        >>> card("Run", {"seed": 3, "folder": None})  # doctest: +ELLIPSIS
        '<div><b>Run</b><div style="...">seed</td><td style="...">3</td></tr></table></div></div>'
    """
    rows = "".join(
        f'<tr><td style="{_CELL}">{escaped(key)}</td><td style="{_CELL}">{escaped(value)}</td></tr>'
        for key, value in facts.items()
        if value is not None
    )
    parts = "".join([f"<table>{rows}</table>", *bodies])
    return f'<div><b>{escaped(title)}</b><div style="{_ROW}">{parts}</div></div>'


def escaped(text: object) -> str:
    r"""Return text for HTML; control characters and bidirectional marks are shown as escapes.

    Example:
        >>> escaped("<b>\u202e")
        '&lt;b&gt;\\u202e'
    """
    return html.escape(shown(text))


def module_card(net: Any) -> str:
    """Return the card of a `GraphModule`."""
    facts = {
        **_sizes(net.graph),
        "parameters": f"{sum(parameter.numel() for parameter in net.parameters()):,}",
        "channels": net.channels,
        "images": f"{counted(net.in_channels, 'channel')}, {net.n_classes} classes",
        "gate": net.gate,
        "execution": net.execution,
    }
    return card("GraphModule", facts, _graph(net.graph))


def run_card(run: Any) -> str:
    """Return the card of a `Run`."""
    from graphtask.drawing.curves import draw_curves

    threshold = run.config.optimization.threshold
    facts = {
        "data": run.data_name,
        "seed": run.seed,
        "epochs": len(run.metrics),
        f"test {words(run.score)}": shown_score(run.test_score, run.score),
        **_sizes(run.graph),
        f"live edges (≥ {threshold:g})": int(run.metrics["live_edges"].iloc[-1]),
        "folder": run.folder,
    }
    return card("Run", facts, _graph(run.graph, threshold=threshold), _image(draw_curves(run.metrics)))


def history_card(history: Any) -> str:
    """Return the card of an `EdgeHistory`."""
    from graphtask.drawing.curves import draw_history

    facts = {"edges": len(history.edges), "epochs": len(history.w) - 1, "gate": history.gate}
    return card("EdgeHistory", facts, _image(draw_history(history)))


def sweep_card(result: Any) -> str:
    """Return the card of a `SweepResult`."""
    score = score_of(result.table.columns)
    table, name = with_accuracy(result.table)
    facts = {
        "run": table["run"].iloc[0],
        f"{name} before pruning": shown_score(table["trained_accuracy"].iloc[0], score),
        **{
            f"{kind} threshold": _at(table, getattr(result, f"{kind}_threshold"), score)
            for kind in ("suggested", "critical")
        },
    }
    return card("SweepResult", facts, _image(result.plot()))


def comparison_card(comparison: Any) -> str:
    """Return the card of a `Comparison`."""
    from graphtask.drawing.comparison import draw_embedding

    facts = {
        f"recall by {own.method}": f"{own.accuracy:.0%} (p = {own.p_value:.3g})"
        for own in comparison.classifications
    }
    pictures = [
        _image(draw_embedding(place.points, comparison.labels, title=method))
        for method, place in list(comparison.embeddings.items())[:1]
    ]
    return card("Comparison", facts, table_html(comparison.groups()), *pictures)


def graphs_card(graphs: Any) -> str:
    """Return the card of a `GraphSet`."""
    from graphtask.drawing.graphs import draw_grid

    facts = {"graphs": len(graphs), "omitted": len(graphs.failures) or None}
    facts |= {label or "(no label)": n for label, n in list(Counter(graphs.labels).items())[:_MAX_ROWS]}
    chosen = {
        f"{place + 1}. {graphs.labels[place] or graphs.names[place]}": graph
        for place, graph in enumerate(graphs.graphs[:_MAX_GRAPHS])
        if graph.ecount() <= _MAX_EDGES
    }
    more = [] if len(chosen) == len(graphs) else [_note(f"{len(chosen)} of {len(graphs)} drawn")]
    return card("GraphSet", facts, *([_image(draw_grid(chosen))] if chosen else []), *more)


def study_card(study: Any) -> str:
    """Return the card of a `Study`: progress of its data sets and priors, read from the run folders."""
    table = study.status()
    left = table["seconds_left"]
    facts = {
        "runs": ", ".join(f"{n} {word}" for word, n in table["status"].value_counts().items()),
        "time left, sequentially": duration(float(left.sum())) if left.notna().all() and left.any() else None,
        "folder": study.out,
    }
    groups = table.groupby(["dataset", "prior"], sort=False)
    score = f"test_{score_of(table.columns)}"
    progress = groups.agg(
        runs=("run", "size"),
        finished=("status", lambda words: int((words == "finished").sum())),
        epochs=("epoch", "sum"),
        of=("epochs", "sum"),
        **{score: (score, "mean")},
    ).reset_index()
    return card(f"Study {study.name}", facts, table_html(progress))


def diff_card(difference: Any) -> str:
    """Return the card of a `GraphDiff`."""
    facts = {"Dice similarity": f"{difference.dice_similarity:.3g}"}
    graphs = (difference.first, difference.second)
    small = all(graph.ecount() <= _MAX_EDGES for graph in graphs)
    pictures = [_image(difference.plot())] if small else []
    return card("GraphDiff", facts, table_html(difference.summary()), *pictures)


def retraining_card(result: Any) -> str:
    """Return the card of a `RetrainResult`."""
    facts = {"networks": len(result.table), "failed": len(result.failed) or None}
    if not len(result.table):
        return card("RetrainResult", facts)
    return card("RetrainResult", facts, table_html(result.side_by_side()), _image(result.plot()))


def features_card(features: Any) -> str:
    """Return the card of `Features`: range and mean of every feature."""
    import pandas as pd

    described = pd.DataFrame(features.values, columns=list(features.names)).describe().T
    undefined = len(features.values) - described["count"].astype(int)
    table = described[["mean", "std", "min", "max"]].assign(undefined=undefined)
    facts = {"graphs": len(features.values), "features": len(features.names)}
    return card(
        "Features", facts, table_html(table.reset_index(names="feature")), *map(_note, features.notes)
    )


def test_card(result: Any) -> str:
    """Return the card of a `TwoSampleResult`."""
    facts = {
        "graphs": f"{result.n_a} pairs" if result.paired else f"{result.n_a} and {result.n_b}",
        "p-value": f"{result.p_value:.3g} (smallest attainable {result.least_p:.3g})",
        "permutations": f"{'all' if result.exact else 'random'}, {result.n_permutations:,}",
        "statistic": f"{result.statistic:.4g}",
        result.effect: f"{result.effect_size:.3g}",
        "power": f"{result.power:.2g} for one standard deviation",
        "detectable difference": f"{result.detectable:.3g} standard deviations (power 0.8)",
        "comparison": result.kernel,
    }
    return card(f"TwoSampleResult: {result.method}", facts, *map(_note, result.notes))


def distribution_card(distribution: Any) -> str:
    """Return the card of a `GraphDistribution`: edge probabilities and the mean graph."""
    from graphtask.drawing.distributions import draw_distribution

    facts = {
        "fitted to": counted(distribution.n_graphs, "graph"),
        "nodes": "correspond" if distribution.corresponds else "do not correspond",
        "mean nodes": f"{distribution.mean_nodes:.1f}",
        "mean edges": f"{distribution.mean_edges:.1f}",
    }
    if distribution.mean_edges > _MAX_EDGES:
        return card("GraphDistribution", facts)
    picture = draw_distribution(distribution.edge_probabilities(), distribution.mean_graph())
    return card("GraphDistribution", facts, _image(picture))


def table_html(table: "pd.DataFrame") -> str:
    """Return the first rows of a table as HTML, with every cell escaped.

    Example:
        >>> import pandas as pd
        >>> table_html(pd.DataFrame({"a": [0.5]}))
        '<table><tr><th>a</th></tr><tr><td>0.5</td></tr></table>'
    """
    head = "".join(f"<th>{escaped(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escaped(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.head(_MAX_ROWS).itertuples(index=False)
    )
    more = "" if len(table) <= _MAX_ROWS else _note(f"{_MAX_ROWS} of {len(table)} rows")
    return f"<table><tr>{head}</tr>{rows}</table>{more}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"  # noqa: PLR0124 - NaN
    return str(value)


def _sizes(graph: "igraph.Graph") -> dict[str, object]:
    return {"nodes": graph.vcount(), "edges": graph.ecount()}


def _at(table: "pd.DataFrame", threshold: float, score: str) -> str:
    rows = table[table["threshold"] == threshold]
    if rows.empty:
        return f"{threshold:.4g}"
    row = rows.iloc[0]
    return f"{threshold:.4g}: {words(score)} {shown_score(row['test_accuracy'], score)}, sparsity {row['sparsity']:.1%}"


def _graph(graph: "igraph.Graph", *, threshold: float | None = None) -> str:
    from graphtask.drawing.graphs import draw

    if graph.ecount() > _MAX_EDGES:
        return _note(f"not drawn: more than {_MAX_EDGES:,} edges; use gt.draw")
    return _image(draw(graph, threshold=threshold if WEIGHT in graph.es.attributes() else None))


def _image(figure: "Figure") -> str:
    """Return a figure as an inlined PNG of half its size."""
    data = base64.b64encode(rendered(figure, "png", dpi=110)).decode()
    width = round(60 * float(figure.get_size_inches()[0]))
    return f'<img style="background:#fff" width="{width}" src="data:image/png;base64,{data}">'


def _note(text: str) -> str:
    return f"<p>{escaped(text)}</p>"
