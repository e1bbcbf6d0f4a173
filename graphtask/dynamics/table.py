"""Dynamics of several runs: one row per run, and means over the runs of a data set as in the paper's Table 4."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from fractions import Fraction
from math import ceil, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import igraph

from graphtask.columns import with_dtypes
from graphtask.dynamics.categories import edge_dynamics
from graphtask.dynamics.ranking import TopK, edge_overlap, largest_edges, top_k_graph
from graphtask.edge_sets import dice_similarity
from graphtask.errors import DisconnectedError, RunError
from graphtask.graph import edge_names
from graphtask.pruning import prune
from graphtask.runs.check import check_consistent
from graphtask.runs.config import read_config
from graphtask.runs.history import EdgeHistory, load_history
from graphtask.runs.labels import provenance_labels
from graphtask.runs.layout import CONFIG, HISTORY, TRAINED
from graphtask.runs.manifest import check_files
from graphtask.runs.status import explain_status, is_finished
from graphtask.storage.graphml import read
from graphtask.terminal import valid_text
from graphtask.types import PAPER_THRESHOLD

if TYPE_CHECKING:
    import pandas as pd

GROUP = ["dataset", "prior"]
MEASURED = ("a_percent", "b_epochs", "c_percent", "d_epochs", "edges")  # the columns of Table 4
OVERLAPS = ("dsc_largest_first", "dsc_smallest_first", "dsc_top_k", "top_k")


class Recording(NamedTuple):
    """Trained graph and edge history of a run; a `graphtask.Run` has both, too."""

    graph: igraph.Graph
    """Trained graph, not pruned."""
    history: EdgeHistory
    """Edge weights at the start and at the end of every epoch."""


class _Thresholded(NamedTuple):
    """A run with its pruned graph; None if pruning disconnects input from output."""

    graph: igraph.Graph
    history: EdgeHistory
    pruned: igraph.Graph | None

    @property
    def share(self) -> Fraction:
        """Share of the edges that pruning keeps."""
        return Fraction(self.pruned.ecount() if self.pruned else 0, self.graph.ecount())


def open_recording(folder: str | Path) -> Recording:
    """Read the trained graph and the edge history of a finished run, without PyTorch.

    Raises:
        RunError: The folder holds no finished run, or a damaged one.
        GraphtaskError: Its graph cannot be read.
    """
    folder = Path(folder)
    if not is_finished(folder):
        read_config(folder)
        raise RunError(f"{folder}: {explain_status(folder)}")
    check_files(folder, (CONFIG, TRAINED, HISTORY))
    recording = Recording(read(folder / TRAINED), load_history(folder / HISTORY))
    check_consistent(folder, graph_edges=edge_names(recording.graph), history_edges=recording.history.edges)
    return recording


def dynamics_table(runs: Mapping[str, Any], *, threshold: float = PAPER_THRESHOLD) -> "pd.DataFrame":
    """Return one row per run: edge categories A to D (Table 4), and the overlap of its edges with early ones.

    Args:
        runs: Finished runs (`graphtask.Run`) or their `Recording`, by name.
        threshold: τ, > 0. The edges of the graph pruned at τ are the retained ones.

    Returns:
        ``run``, ``dataset``, ``prior``, ``seed``, ``threshold``; ``a_percent``, ``b_epochs``, ``c_percent``,
        ``d_epochs``, ``edges`` and ``eliminated`` as in `graphtask.dynamics.edge_dynamics`; the Dice coefficients of the
        retained edges with as many edges that are largest (``dsc_largest_first``) or smallest (``dsc_smallest_first``)
        after the first epoch (Fig. 6b), and with the top-k graph of ``top_k`` edges (``dsc_top_k``, Fig. 7b; its smallest
        k follows from the mean sparsity of the runs of the same data set and prior); ``undefined``, the reason for NaN
        values.

    Raises:
        ArgumentError: The threshold is not above 0.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(5), data=digits, channels=2, epochs=2, batch_size=64, progress=False)
        >>> table = gt.dynamics.dynamics_table({"first": run})
        >>> table[["run", "dataset", "prior", "edges", "eliminated"]].values.tolist()
        [['first', 'cdigits', 'full', 10, 0]]
        >>> table["undefined"][0]
        'c_percent: no edge is eliminated; d_epochs: no edge is eliminated'
    """
    import pandas as pd

    thresholded = {name: _thresholded(run, threshold) for name, run in runs.items()}
    least = _least_sizes(thresholded.values())
    rows = [
        {"run": valid_text(name), **_row(run, threshold=threshold, share=least[_group(run.graph)])}
        for name, run in thresholded.items()
    ]
    return with_dtypes(pd.DataFrame(rows))


def dynamics_summary(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return means and standard deviations over the runs of each data set and prior: the paper's Table 4.

    Args:
        table: Result of `dynamics_table`.

    Returns:
        ``dataset``, ``prior``, ``runs``, then ``_mean`` and ``_std`` of the columns of Table 4 and of the Dice
        coefficients. The deviation is that of a sample (n − 1), NaN for a single run; NaN values are left out.
    """
    import pandas as pd

    rows = []
    for (dataset, prior), runs in table.groupby(GROUP, sort=False):
        row: dict[str, Any] = {"dataset": dataset, "prior": prior, "runs": len(runs)}
        for column in (*MEASURED, *OVERLAPS):
            values = runs[column].astype("float64")
            row |= {f"{column}_mean": values.mean(), f"{column}_std": values.std()}
        rows.append(row)
    return with_dtypes(pd.DataFrame(rows))


def overlap_table(runs: Mapping[str, Any], *, threshold: float = PAPER_THRESHOLD) -> "pd.DataFrame":
    """Return the overlap of the largest edges of each epoch with those of the first and of the last, for every run.

    Args:
        runs: As in `dynamics_table`.
        threshold: τ, > 0.

    Returns:
        One row per run and epoch: ``run``, ``dataset``, ``prior``, ``seed``, and the columns of
        `graphtask.dynamics.edge_overlap`.
    """
    import pandas as pd

    tables = []
    for name, run in runs.items():
        found = _thresholded(run, threshold)
        overlap = edge_overlap(run.history, retained=found.pruned or ())
        for place, (column, value) in enumerate(
            {"run": valid_text(name), **provenance_labels(run.graph)._asdict()}.items()
        ):
            overlap.insert(place, column, value)
        tables.append(overlap)
    return with_dtypes(pd.concat(tables, ignore_index=True)) if tables else pd.DataFrame()


def top_k_graphs(runs: Mapping[str, Any], *, threshold: float = PAPER_THRESHOLD) -> dict[str, TopK]:
    """Return the top-k graph of each run after its first epoch; see `graphtask.dynamics.top_k_graph` and `dynamics_table`."""
    thresholded = {name: _thresholded(run, threshold) for name, run in runs.items()}
    least = _least_sizes(thresholded.values())
    return {name: _top_k(run, least[_group(run.graph)]) for name, run in thresholded.items()}


def _thresholded(run: Any, threshold: float) -> _Thresholded:
    try:
        pruned = prune(run.graph, threshold=threshold)
    except DisconnectedError:
        pruned = None
    return _Thresholded(run.graph, run.history, pruned)


def _group(graph: igraph.Graph) -> tuple[str, str]:
    known = provenance_labels(graph)
    return known.dataset, known.prior


def _least_sizes(runs: Iterable[_Thresholded]) -> dict[tuple[str, str], Fraction]:
    """Return the mean share of edges that pruning keeps, by data set and prior; exact, because it is rounded up later."""
    shares: dict[tuple[str, str], list[Fraction]] = {}
    for run in runs:
        shares.setdefault(_group(run.graph), []).append(run.share)
    return {group: sum(found, Fraction()) / len(found) for group, found in shares.items()}


def _top_k(run: _Thresholded, share: Fraction) -> TopK:
    return top_k_graph(run.graph, run.history, at_least=max(ceil(share * run.graph.ecount()), 1))


def _row(run: _Thresholded, *, threshold: float, share: Fraction) -> dict[str, Any]:
    retained = edge_names(run.pruned) if run.pruned else []
    categories = asdict(edge_dynamics(run.history, threshold=threshold, retained=retained))
    undefined = [categories.pop("undefined")]
    top = _top_k(run, share)
    overlaps = {
        "dsc_largest_first": dice_similarity(retained, largest_edges(run.history, len(retained))),
        "dsc_smallest_first": dice_similarity(
            retained, largest_edges(run.history, len(retained), smallest=True)
        ),
        "dsc_top_k": dice_similarity(retained, top.graph) if retained else nan,
    }
    undefined += [f"{name}: no edge is retained" for name, value in overlaps.items() if isnan(value)]
    return {
        **provenance_labels(run.graph)._asdict(),
        **categories,
        "top_k": top.k,
        **overlaps,
        "undefined": "; ".join(filter(None, undefined)),
    }
