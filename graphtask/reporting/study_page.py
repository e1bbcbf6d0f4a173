"""A study as HTML: progress, curves and the newest graphs; read from the run folders, which are not disturbed."""

from typing import TYPE_CHECKING, Any

from graphtask.columns import score_of, shown_score, words
from graphtask.drawing.curves import draw_progress
from graphtask.drawing.graphs import draw_grid
from graphtask.errors import GraphtaskError
from graphtask.graph import WEIGHT
from graphtask.pruning import prune
from graphtask.reporting.page import Section, figure_html, note, page, table_html
from graphtask.runs.layout import TRAINED
from graphtask.runs.metrics import read_metrics
from graphtask.storage.graphml import read
from graphtask.terminal import duration
from graphtask.validation import counted, integer

if TYPE_CHECKING:
    import igraph
    import pandas as pd

    from graphtask.study.study import Study

_GRAPHS = 4
_MAX_EDGES = 3_000


def study_page(study: "Study", *, refresh: int | None = None) -> str:
    """Return a page of the study.

    Args:
        study: The study; its runs may be in progress.
        refresh: Seconds after which a browser reloads the page, at least 1; None for never.

    Example:
        >>> import graphtask as gt
        >>> values = {"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": "no/such"}
        >>> "1 waiting" in study_page(gt.Study.read(values))
        True
    """
    seconds = None if refresh is None else integer(refresh, name="refresh", least=1)
    sections = [Section("", study_html(study, graphs=_GRAPHS))]
    return page(f"Study {study.name}", sections, refresh=seconds)


def study_html(study: "Study", *, graphs: int) -> str:
    """Return the progress of a study as HTML, with its newest pruned graphs (at most ``graphs``)."""
    table = study.status()
    parts = [note(status_line(table)), table_html(_shown(table))]
    curves = progress_table(study)
    if len(curves):
        parts.append(
            figure_html(
                draw_progress(curves),
                caption=f"Test {words(score_of(curves.columns))} and live edges over epochs",
            )
        )
    newest = _newest(study, graphs)
    if newest:
        caption = f"The newest graphs, pruned at τ = {study.threshold:g}"
        parts.append(figure_html(draw_grid(newest), caption=caption))
    return "".join(parts)


def status_line(table: "pd.DataFrame") -> str:
    """Return a status table (`graphtask.Study.status`) in one line."""
    counts = table["status"].value_counts()
    words = [
        f"{counts[word]} {word}" for word in ("finished", "running", "waiting", "failed") if word in counts
    ]
    left = table.loc[table["status"].isin(["running", "waiting"]), "seconds_left"]
    known = f"; {duration(float(left.sum()))} left, sequentially" if len(left) and left.notna().all() else ""
    return f"{counted(len(table), 'run')}: {', '.join(words)}{known}"


def progress_table(study: "Study") -> "pd.DataFrame":
    """Return the epochs of all runs that have begun: ``run``, ``dataset``, ``prior``, and their metrics.

    Test accuracies of runs with a validation split are those of the validation images.
    """
    import pandas as pd

    tables = []
    for job in study.jobs:
        try:
            metrics = read_metrics(job.folder)
        except GraphtaskError:
            continue  # not begun, or damaged; the status table reports damage
        score = score_of(metrics.columns)
        if "validation_loss" in metrics:
            metrics[f"test_{score}"] = metrics[f"validation_{score}"]
        tables.append(metrics.assign(run=job.name, dataset=job.data_name, prior=job.prior.name))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _shown(table: "pd.DataFrame") -> "pd.DataFrame":
    score = score_of(table.columns)
    shown: dict[str, Any] = {
        "run": table["run"],
        "status": table["status"],
        "epoch": [f"{epoch} of {of}" for epoch, of in zip(table["epoch"], table["epochs"], strict=True)],
        f"test {words(score)}": [
            shown_score(value, score, digits=2) if value == value else ""  # noqa: PLR0124
            for value in table[f"test_{score}"]
        ],
        "live edges": table["live_edges"].astype("string").fillna(""),
        "left": [duration(value) if value > 0 else "" for value in table["seconds_left"]],
        "error": table["error"],
    }
    found = type(table)(shown)
    return found if found["error"].any() else found.drop(columns="error")


def _newest(study: "Study", most: int) -> "dict[str, igraph.Graph]":
    files = [(job.folder / TRAINED, job.name) for job in study.jobs]
    known = sorted(
        ((path.stat().st_mtime, path, name) for path, name in files if path.exists()), reverse=True
    )
    found: dict[str, igraph.Graph] = {}
    for _, path, name in known[:most]:
        try:
            graph = read(path)
            found[name] = (
                prune(graph, threshold=study.threshold) if WEIGHT in graph.es.attributes() else graph
            )
        except GraphtaskError:
            continue  # disconnected or damaged
    return {name: graph for name, graph in found.items() if graph.ecount() <= _MAX_EDGES}
