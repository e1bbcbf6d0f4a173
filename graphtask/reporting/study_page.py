"""A study as HTML: progress, curves and the newest graphs; read from the run folders, which are not disturbed."""

import contextlib
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask.columns import score_of, shown_score, words
from graphtask.drawing.curves import draw_progress
from graphtask.drawing.graphs import draw_grid
from graphtask.errors import GraphtaskError, RunError
from graphtask.graph import WEIGHT, edge_names
from graphtask.pruning import prune
from graphtask.reporting.page import Section, figure_html, note, page, table_html
from graphtask.runs.history import load_history
from graphtask.runs.layout import HISTORY, INITIAL
from graphtask.runs.metrics import read_metrics
from graphtask.storage.graphml import read
from graphtask.terminal import duration
from graphtask.validation import counted, integer

if TYPE_CHECKING:
    import igraph
    import pandas as pd

    from graphtask.study.job import Job
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
    newest = {
        f"{found.run}, epoch {found.epoch}": found.pruned
        for found in newest_graphs(study, graphs)
        if found.pruned.ecount() <= _MAX_EDGES
    }
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


class NewestGraph(NamedTuple):
    """The graph of a run after its newest complete epoch."""

    run: str
    epoch: int
    initial: "igraph.Graph"
    pruned: "igraph.Graph"


def newest_graphs(study: "Study", most: int) -> list[NewestGraph]:
    """Return the graphs of the runs, finished or in progress, whose edges were saved last.

    They are pruned at the threshold of the study; graphs that pruning disconnects are left out.

    Args:
        study: The study.
        most: Largest number of graphs.
    """
    known = []
    for job in study.jobs:
        with contextlib.suppress(OSError):  # not begun, or hidden by permissions
            known.append(((job.folder / HISTORY).stat().st_mtime, job))
    found = []
    for _, job in sorted(known, key=operator.itemgetter(0), reverse=True):
        with contextlib.suppress(GraphtaskError):  # disconnected or damaged
            found.append(_newest_graph(job, study.threshold))
        if len(found) == most:
            break
    return found


def _newest_graph(job: "Job", threshold: float) -> NewestGraph:
    initial, history = read(job.folder / INITIAL), load_history(job.folder / HISTORY)
    weights = dict(zip(history.edges, history.magnitudes[-1].tolist(), strict=True))
    edges = edge_names(initial)
    if weights.keys() != set(edges):
        raise RunError(f"{job.folder}: {HISTORY} has other edges than {INITIAL}")
    trained = initial.copy()
    trained.es[WEIGHT] = [weights[edge] for edge in edges]
    return NewestGraph(job.name, len(history.w) - 1, initial, prune(trained, threshold=threshold))
