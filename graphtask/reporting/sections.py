"""Sections of a report: the runs at a glance, features next to the paper's, figures, embedding, tests."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import igraph

from graphtask.drawing.cards import escaped
from graphtask.errors import GraphtaskError
from graphtask.metrics.table import measure_all
from graphtask.reporting.page import Section, figure_html, note, table_html
from graphtask.reporting.paper import PAPER_MEANS
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.runs.history import EdgeHistory

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
_FEATURES = (
    *("sparsity", "sparsity_stage_0", "sparsity_stage_1", "sparsity_stage_2"),
    *("nodes", "nodes_stage_0", "nodes_stage_1", "nodes_stage_2"),
    *(
        "log_paths",
        "mean_path",
        "max_path",
        "ln_communicability",
        "edge_connectivity",
        "mean_degree",
        "pca_elongation",
    ),
)


class ReportItem(Protocol):
    """Members of `graphtask.reporting.report.Item` that sections read."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def graph(self) -> igraph.Graph: ...  # noqa: D102
    @property
    def pruned(self) -> igraph.Graph | None: ...  # noqa: D102
    @property
    def metrics(self) -> "pd.DataFrame | None": ...  # noqa: D102
    @property
    def history(self) -> "EdgeHistory | None": ...  # noqa: D102
    @property
    def sweep(self) -> "pd.DataFrame | None": ...  # noqa: D102


def sections_of(items: Sequence[ReportItem], *, failures: Sequence[str], threshold: float) -> list[Section]:
    """Return the sections; one that the graphs allow nothing for is left out, one that fails reports why."""
    makers: list[tuple[str, Callable[[], str]]] = [
        ("At a glance", lambda: _glance(items, failures, threshold)),
        ("Features by data set", lambda: _features(items)),
        ("Accuracy and sparsity over the threshold", lambda: _sweeps(items)),
        ("Similarity of the graphs", lambda: _similarity(items)),
        ("Embedding", lambda: _embedding(items)),
        ("Do two data sets give the same distribution?", lambda: _tests(items)),
        ("Edge weights during training", lambda: _histories(items, threshold)),
    ]
    return [Section(title, body) for title, body in _made(makers) if body]


def _made(makers: Iterable[tuple[str, Callable[[], str]]]) -> Iterator[tuple[str, str]]:
    for title, maker in makers:
        try:
            yield title, maker()
        except GraphtaskError as error:
            yield title, note(str(error))


def _glance(items: Sequence[ReportItem], failures: Sequence[str], threshold: float) -> str:
    import pandas as pd

    rows = []
    for item in items:
        last = None if item.metrics is None else item.metrics.iloc[-1]
        rows.append(
            {
                "graph": item.name,
                "dataset": item.label,
                "test accuracy": None if last is None else f"{float(last['test_accuracy']):.2%}",
                "epochs": None if item.metrics is None else len(item.metrics),
                "edges": item.graph.ecount(),
                "edges after pruning": "disconnected" if item.pruned is None else item.pruned.ecount(),
                "nodes after pruning": "" if item.pruned is None else item.pruned.vcount(),
            }
        )
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    intro = note(f"{counted(len(items), 'graph')}; trained graphs are pruned at τ = {threshold:g}.")
    missing = "".join(note(f"left out: {failure}") for failure in failures)
    return intro + missing + table_html(table)


def _measured(items: Sequence[ReportItem]) -> "tuple[pd.DataFrame, list[str]]":
    kept = [item for item in items if item.pruned is not None]
    table = measure_all([item.pruned for item in kept])
    return table[[name for name in _FEATURES if name in table]], [item.label for item in kept]


def _features(items: Sequence[ReportItem]) -> str:
    import pandas as pd

    table, labels = _measured(items)
    if table.empty:
        return ""
    columns: dict[str, list[str]] = {"feature": list(table.columns)}
    for label in dict.fromkeys(labels):
        own = table[[other == label for other in labels]].astype("float64")
        paper = PAPER_MEANS.get(label, {})
        columns[label or "(no data set)"] = [
            _mean(own[name]) + (f" (paper: {paper[name]:g})" if name in paper else "")
            for name in table.columns
        ]
    caption = "Mean ± standard deviation over graphs (n − 1)"
    return table_html(pd.DataFrame(columns), caption=caption)


def _mean(values: "pd.Series[float]") -> str:
    known = values.dropna()
    if known.empty:
        return "undefined"
    spread = f" ± {known.std():.3g}" if len(known) > 1 else ""
    return f"{known.mean():.4g}{spread}"


def _sweeps(items: Sequence[ReportItem]) -> str:
    import pandas as pd

    from graphtask.drawing.sweeps import draw_sweep

    tables = [item.sweep for item in items if item.sweep is not None]
    if not tables:
        return ""
    return figure_html(
        draw_sweep(pd.concat(tables, ignore_index=True)), caption="Test accuracy and sparsity over τ"
    )


def _similarity(items: Sequence[ReportItem]) -> str:
    from graphtask.comparison.similarity import rbf_similarity
    from graphtask.drawing.comparison import draw_similarity

    table, labels = _measured(items)
    if len(table) < 3:
        return ""
    caption = "RBF similarity of the standardized features (the paper's Fig. 4)"
    return figure_html(draw_similarity(rbf_similarity(table), labels), caption=caption)


def _embedding(items: Sequence[ReportItem]) -> str:
    from graphtask.comparison.embedding import embed

    table, labels = _measured(items)
    if len(table) < 3:
        return ""
    names = [item.name for item in items if item.pruned is not None]
    points = embed(table, method="pca").points
    return _scatter([tuple(point) for point in points.tolist()], names, labels)


def _scatter(points: "list[tuple[float, ...]]", names: Sequence[str], labels: Sequence[str]) -> str:
    """Return a scatter plot as SVG; the tooltip of a point is the name of its graph."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    scale = 300 / max(max(xs) - min(xs), max(ys) - min(ys), 1e-9)
    groups = list(dict.fromkeys(labels))
    marks = []
    for x, y, name, label in zip(xs, ys, names, labels, strict=True):
        color = _COLORS[groups.index(label) % len(_COLORS)]
        at = f'cx="{40 + (x - min(xs)) * scale:.1f}" cy="{340 - (y - min(ys)) * scale:.1f}"'
        marks.append(
            f'<circle {at} r="6" fill="{color}"><title>{escaped(f"{label}: {name}")}</title></circle>'
        )
    legend = [
        f'<circle cx="400" cy="{40 + 22 * place}" r="6" fill="{_COLORS[place % len(_COLORS)]}"/>'
        f'<text x="414" y="{45 + 22 * place}">{escaped(label or "(no data set)")}</text>'
        for place, label in enumerate(groups)
    ]
    body = "".join([*marks, *legend])
    return (
        f'<figure><svg class="scatter" style="background:none" width="640" height="380" viewBox="0 0 640 380" role="img" '
        f'aria-label="principal components of the features">{body}</svg><figcaption class="caption">First two principal '
        f"components of the standardized features; hover for names.</figcaption></figure>\n"
    )


def _tests(items: Sequence[ReportItem]) -> str:
    import pandas as pd

    from graphtask.inference.two_sample import two_sample_test

    groups: dict[str, list[igraph.Graph]] = {}
    for item in items:
        if item.pruned is not None:
            groups.setdefault(item.label, []).append(item.pruned)
    names = [name for name, graphs in groups.items() if len(graphs) >= 2]
    rows: list[dict[str, Any]] = []
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            found = two_sample_test(groups[first], groups[second])
            rows.append(
                {
                    "first": first,
                    "second": second,
                    "p (MMD)": float(found.p_value),
                    "statistic": float(found.statistic),
                }
            )
    if not rows:
        return ""
    caption = "Permutation test of the maximum mean discrepancy; p-values are not corrected for their number"
    return table_html(pd.DataFrame(rows), caption=caption)


def _histories(items: Sequence[ReportItem], threshold: float) -> str:
    from graphtask.drawing.curves import draw_history

    known = [item for item in items if item.history is not None][:1]
    if not known:
        return ""
    figure = draw_history(known[0].history, threshold=threshold)  # type: ignore[arg-type]
    return figure_html(
        figure, caption=f"Edge weights of {known[0].name} over epochs; other runs: sparklines below"
    )
