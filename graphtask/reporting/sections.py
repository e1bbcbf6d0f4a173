"""Sections of a report: the runs at a glance, features next to the paper's, figures, embedding, tests."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import igraph

from graphtask.columns import score_of, shown_score, words
from graphtask.drawing.cards import escaped
from graphtask.drawing.text import group_names
from graphtask.errors import GraphtaskError
from graphtask.metrics.table import measure_all
from graphtask.reporting.page import Section, figure_html, note, table_html
from graphtask.reporting.paper import PAPER_DYNAMICS, PAPER_MEANS
from graphtask.reporting.study_page import study_html
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd

    from graphtask.runs.history import EdgeHistory
    from graphtask.study.study import Study

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
_MARKS = ("circle", "square", "diamond")
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
_DYNAMICS = {
    "a_percent": "A: kept edges that were once below τ, %",
    "b_epochs": "B: epochs they were below",
    "c_percent": "C: removed edges that were once above τ, %",
    "d_epochs": "D: epochs they were above",
    "edges": "kept edges",
}
_MOST_GROUPS = 6  # of which all pairs are tested metric by metric
_NO_LABEL = "(no data set)"


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


class _Recording(NamedTuple):
    graph: igraph.Graph
    history: "EdgeHistory"


@dataclass(frozen=True, eq=False)
class Content:
    """Everything that a report is about, with the features of its pruned graphs, which are measured once."""

    items: Sequence[ReportItem]
    failures: Sequence[str]
    threshold: float
    studies: "Sequence[Study]" = ()

    @cached_property
    def kept(self) -> list[ReportItem]:
        """Graphs that pruning leaves connected."""
        return [item for item in self.items if item.pruned is not None]

    @cached_property
    def labels(self) -> list[str]:
        """Data set of each of them."""
        return [item.label or _NO_LABEL for item in self.kept]

    @cached_property
    def features(self) -> "pd.DataFrame":
        """The paper's features of each of them."""
        table = measure_all([item.pruned for item in self.kept])
        return table[[name for name in _FEATURES if name in table]]

    @cached_property
    def groups(self) -> "dict[str, pd.DataFrame]":
        """Features of each data set with at least two graphs."""
        found = {
            name: self.features[[label == name for label in self.labels]]
            for name in dict.fromkeys(self.labels)
        }
        return {name: rows for name, rows in found.items() if len(rows) >= 2}


def sections_of(content: Content) -> list[Section]:
    """Return the sections; one that the graphs allow nothing for is left out, one that fails reports why."""
    makers: list[tuple[str, Callable[[Content], str]]] = [
        *((f"Study {study.name}", _study(study)) for study in content.studies),
        ("At a glance", _glance),
        ("Features by data set", _features),
        ("Distributions by data set", _distributions),
        ("Do two data sets give the same distribution?", _tests),
        ("Similarity of the graphs", _similarity),
        ("Embedding", _embedding),
        ("Score and sparsity over the threshold", _sweeps),
        ("Edge dynamics", _dynamics),
    ]
    return [Section(title, body) for title, body in _made(makers, content) if body]


def _made(
    makers: Iterable[tuple[str, Callable[[Content], str]]], content: Content
) -> Iterator[tuple[str, str]]:
    for title, maker in makers:
        try:
            yield title, maker(content)
        except GraphtaskError as error:
            yield title, note(str(error))


def _study(study: "Study") -> Callable[[Content], str]:
    return lambda _: study_html(study, graphs=0)


def _tested(last: "pd.Series | None") -> dict[str, str | None]:
    """Return the score after the last epoch, by its name."""
    if last is None:
        return {}
    score = score_of(last.index)
    return {f"test {words(score)}": shown_score(float(last[f"test_{score}"]), score, digits=2)}


def _glance(content: Content) -> str:
    import pandas as pd

    rows = []
    for item in content.items:
        last = None if item.metrics is None else item.metrics.iloc[-1]
        rows.append(
            {
                "graph": item.name,
                "dataset": item.label,
                **_tested(last),
                "epochs": None if item.metrics is None else len(item.metrics),
                "edges": item.graph.ecount(),
                "edges after pruning": "disconnected" if item.pruned is None else item.pruned.ecount(),
                "nodes after pruning": "" if item.pruned is None else item.pruned.vcount(),
            }
        )
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    intro = note(
        f"{counted(len(content.items), 'graph')}; trained graphs are pruned at τ = {content.threshold:g}."
    )
    missing = "".join(note(f"left out: {failure}") for failure in content.failures)
    return intro + missing + table_html(table)


def _features(content: Content) -> str:
    if content.features.empty:
        return ""
    caption = "Mean ± standard deviation over graphs (n − 1), and the mean of the paper's Tables 1 and 2"
    rows = {name: name for name in content.features.columns}
    table = content.features.astype("float64")
    return _beside_the_paper(table, content.labels, rows, PAPER_MEANS, caption=caption)


def _beside_the_paper(
    table: "pd.DataFrame",
    labels: Sequence[str],
    rows: Mapping[str, str],
    paper: Mapping[str, Mapping[str, float]],
    *,
    caption: str,
) -> str:
    """Return means by label with a row for each named column, and the paper's means where it has the label."""
    import pandas as pd

    columns: dict[str, list[str]] = {"": list(rows.values())}
    for label in dict.fromkeys(labels):
        own = table[[other == label for other in labels]]
        columns[label] = [_mean(own[name]) for name in rows]
        if label in paper:
            known = [paper[label].get(name) for name in rows]
            columns[f"{label}, paper"] = ["" if value is None else f"{value:g}" for value in known]
    return table_html(pd.DataFrame(columns), caption=caption)


def _mean(values: "pd.Series[float]") -> str:
    known = values.dropna()
    if known.empty:
        return "undefined"
    spread = f" ± {known.std():.3g}" if len(known) > 1 else ""
    return f"{known.mean():.4g}{spread}"


def _distributions(content: Content) -> str:
    from graphtask.drawing.distributions import draw_features

    if len(content.features) < 3:
        return ""
    tests = _metric_tests(content.groups)
    least = {} if tests is None else tests.groupby("metric")["p_westfall_young"].min().dropna().to_dict()
    notes = {str(name): f"p = {p:.2g}" for name, p in least.items()}
    picture = figure_html(
        draw_features(content.features, content.labels, notes=notes),
        caption="A dot for each graph, boxes over the quartiles. "
        + (
            "p: smallest of the pairs of data sets, Westfall-Young correction over the features."
            if notes
            else ""
        ),
    )
    return picture if tests is None else picture + _effects_html(tests)


def _metric_tests(groups: "Mapping[str, pd.DataFrame]") -> "pd.DataFrame | None":
    import pandas as pd

    from graphtask.inference.univariate import metric_tests

    if not 2 <= len(groups) <= _MOST_GROUPS:
        return None
    tables = [
        metric_tests(groups[first], groups[second], n_permutations=999).assign(pair=f"{first} – {second}")
        for first, second in combinations(groups, 2)
    ]
    return pd.concat(tables, ignore_index=True)


def _effects_html(tests: "pd.DataFrame") -> str:
    cells = [
        "" if p != p else f"{g:+.2f} ({p:.2g})"  # noqa: PLR0124 - NaN
        for g, p in zip(tests["hedges_g"], tests["p_westfall_young"], strict=True)
    ]
    wide = tests.assign(cell=cells).pivot_table(
        index="metric", columns="pair", values="cell", aggfunc="first", sort=False
    )
    caption = "Hedges' g of each pair (p, Westfall-Young correction over the features of the pair)"
    return table_html(wide.rename_axis("feature").reset_index(), caption=caption)


def _tests(content: Content) -> str:
    from graphtask.inference.pairwise import pairwise_tests

    if len(content.groups) < 2:
        return ""
    found = pairwise_tests(content.groups)
    table = found[["a", "b", "p_value", "p_holm", "statistic"]].rename(
        columns={"a": "first", "b": "second", "p_value": "p (MMD)", "p_holm": "p, Holm"}
    )
    caption = (
        "Permutation test of the maximum mean discrepancy of the features; Holm's correction over the pairs"
    )
    return table_html(table, caption=caption)


def _similarity(content: Content) -> str:
    from graphtask.comparison.similarity import rbf_similarity
    from graphtask.drawing.comparison import draw_similarity

    if len(content.features) < 3:
        return ""
    caption = "RBF similarity of the standardized features (the paper's Fig. 4)"
    matrix = rbf_similarity(content.features)
    return figure_html(draw_similarity(matrix, content.labels), caption=caption)


def _embedding(content: Content) -> str:
    from graphtask.comparison.embedding import embed

    if len(content.features) < 3:
        return ""
    points = embed(content.features, method="pca").points
    names = [item.name for item in content.kept]
    return _scatter([tuple(point) for point in points.tolist()], names, content.labels)


def _scatter(points: "list[tuple[float, ...]]", names: Sequence[str], labels: Sequence[str]) -> str:
    """Return a scatter plot as SVG: hovering or focusing a point shows the name of its graph."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    scale = 300 / max(max(xs) - min(xs), max(ys) - min(ys), 1e-9)
    groups = list(dict.fromkeys(labels))
    short = group_names(groups)
    marks = []
    for x, y, name, label in zip(xs, ys, names, labels, strict=True):
        at = 40 + (x - min(xs)) * scale, 340 - (y - min(ys)) * scale
        title = f"<title>{escaped(f'{label}: {name}')}</title>"
        marks.append(_mark(groups.index(label), *at, title))
    legend = [
        _mark(place, 384, 40 + 22 * place, "")
        + f'<text x="398" y="{45 + 22 * place}">{escaped(short[label])} ({labels.count(label)})</text>'
        for place, label in enumerate(groups)
    ]
    frame = (
        '<rect class="frame" x="20" y="20" width="340" height="340"/>'
        '<text x="190" y="376" text-anchor="middle">component 1</text>'
        '<text x="12" y="190" text-anchor="middle" transform="rotate(-90 12 190)">component 2</text>'
    )
    body = "".join([frame, *marks, *legend])
    return (
        f'<figure><svg class="scatter" style="background:none" width="600" height="384" viewBox="0 0 600 384" role="img" '
        f'aria-label="principal components of the features">{body}</svg><figcaption class="caption">First two principal '
        f"components of the standardized features; hover for names.</figcaption></figure>\n"
    )


def _mark(group: int, x: float, y: float, title: str) -> str:
    """Return a point: groups differ in color and shape."""
    color = _COLORS[group % len(_COLORS)]
    kind = _MARKS[group % len(_MARKS)]
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{color}">{title}</circle>'
    turn = f' transform="rotate(45 {x:.1f} {y:.1f})"' if kind == "diamond" else ""
    return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{color}"{turn}>{title}</rect>'


def _sweeps(content: Content) -> str:
    import pandas as pd

    from graphtask.drawing.sweeps import draw_sweep

    tables: dict[str, list[pd.DataFrame]] = {}
    for item in content.items:
        if item.sweep is not None:
            tables.setdefault(score_of(item.sweep.columns), []).append(item.sweep)
    return "".join(
        figure_html(
            draw_sweep(pd.concat(found, ignore_index=True)),
            caption=f"Test {words(score)} and sparsity over τ",
        )
        for score, found in tables.items()
    )


def _dynamics(content: Content) -> str:
    from graphtask.drawing.curves import draw_history
    from graphtask.dynamics.table import dynamics_table

    known: dict[str, Any] = {
        item.name: _Recording(item.graph, item.history) for item in content.items if item.history is not None
    }
    if not known or content.threshold <= 0:
        return ""
    table = dynamics_table(known, threshold=content.threshold)
    labels = [str(label) or _NO_LABEL for label in table["dataset"]]
    caption = "Mean ± standard deviation over runs (n − 1), and the mean of the paper's Table 4"
    name, first = next(iter(known.items()))
    picture = figure_html(
        draw_history(first.history, threshold=content.threshold),
        caption=f"Edge weights of {name} over epochs; other runs: sparklines in the explorer",
    )
    return _beside_the_paper(table, labels, _DYNAMICS, PAPER_DYNAMICS, caption=caption) + picture
