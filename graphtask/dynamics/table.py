"""The dynamics of several runs: one row a run, and means over the runs of a data set as in the paper's Table 4."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from fractions import Fraction
from math import ceil, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import igraph

from graphtask.dynamics.fates import edge_dynamics
from graphtask.dynamics.ranking import TopK, edge_overlap, largest_edges, top_k_graph
from graphtask.edge_sets import dsc
from graphtask.errors import DisconnectedError, RunError
from graphtask.graph import edge_names
from graphtask.pruning import prune
from graphtask.runs.history import EdgeHistory, load_history
from graphtask.runs.labels import origin
from graphtask.runs.layout import CONFIG, HISTORY, TRAINED
from graphtask.runs.status import is_finished, unfinished
from graphtask.storage.graphml import read

if TYPE_CHECKING:
    import pandas as pd

GROUP = ["data", "prior"]
MEASURED = ("a_percent", "b_epochs", "c_percent", "d_epochs", "edges")  # the columns of Table 4
OVERLAPS = ("dsc_largest_first", "dsc_smallest_first", "dsc_top_k", "top_k")


class Recording(NamedTuple):
    """What dynamics need of a run; a `graphtask.Run` has both, too."""

    graph: igraph.Graph
    """The trained graph, not pruned."""
    history: EdgeHistory
    """The edge weights at the start and at the end of every epoch."""


class _Thresholded(NamedTuple):
    """A run with what pruning leaves of it; None if that is nothing."""

    graph: igraph.Graph
    history: EdgeHistory
    pruned: igraph.Graph | None

    @property
    def share(self) -> Fraction:
        """The share of the edges that is left."""
        return Fraction(self.pruned.ecount() if self.pruned else 0, self.graph.ecount())


def open_recording(folder: str | Path) -> Recording:
    """The trained graph and the edge history of a finished run; read without PyTorch.

    Raises:
        RunError: The folder holds no finished run, or a damaged one.
        GraphtaskError: Its graph cannot be read.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder}: this folder holds no run; make one with train")
    if not is_finished(folder):
        raise RunError(f"{folder}: {unfinished(folder)}")
    recording = Recording(read(folder / TRAINED), load_history(folder / HISTORY))
    if set(edge_names(recording.graph)) != set(recording.history.edges):
        raise RunError(f"{folder}: its files are not of one run; delete the folder and train again")
    return recording


def dynamics_table(runs: Mapping[str, Any], *, threshold: float = 0.006) -> "pd.DataFrame":
    """One row for each run: the columns A to D of Table 4, and what its edges have in common with early ones.

    Args:
        runs: By name, finished runs (`graphtask.Run`), or `Recording` s of them.
        threshold: τ, > 0. Retained are the edges of the graph that is pruned with it.

    Returns:
        ``run``, ``data``, ``prior``, ``seed``, ``threshold``; ``a_percent``, ``b_epochs``, ``c_percent``,
        ``d_epochs``, ``edges`` and ``eliminated`` as in `graphtask.edge_dynamics`; the Dice coefficients of the
        retained edges with as many edges that are largest (``dsc_largest_first``) or smallest (``dsc_smallest_first``)
        after the first epoch (Fig. 6b), and with the top-k graph of ``top_k`` edges (``dsc_top_k``, Fig. 7b; its least
        k is what the mean sparsity of the runs of the same data set and prior gives); ``undefined``, why values are
        NaN.

    Raises:
        ArgumentError: The threshold is not above 0.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(5), data=digits, channels=2, epochs=2, batch_size=64, progress=False)
        >>> table = gt.dynamics_table({"first": run})
        >>> table[["run", "data", "prior", "edges", "eliminated"]].values.tolist()
        [['first', 'cdigits', 'full', 10, 0]]
        >>> table["undefined"][0]
        'c_percent: no edge is eliminated; d_epochs: no edge is eliminated'
    """
    import pandas as pd

    thresholded = {name: _thresholded(run, threshold) for name, run in runs.items()}
    least = _least_sizes(thresholded.values())
    return pd.DataFrame(
        [
            {"run": name, **_row(run, threshold=threshold, share=least[_group(run.graph)])}
            for name, run in thresholded.items()
        ]
    )


def dynamics_summary(table: "pd.DataFrame") -> "pd.DataFrame":
    """Means and standard deviations over the runs of each data set and prior: the paper's Table 4.

    Args:
        table: What `dynamics_table` gave.

    Returns:
        ``dataset``, ``prior``, ``runs``, then ``_mean`` and ``_std`` of the columns of Table 4 and of the Dice
        coefficients. The deviation is that of a sample (n − 1), NaN for a single run; NaN values are left out.
    """
    import pandas as pd

    rows = []
    for (data, prior), runs in table.groupby(GROUP, sort=False):
        row: dict[str, Any] = {"dataset": data, "prior": prior, "runs": len(runs)}
        for column in (*MEASURED, *OVERLAPS):
            row |= {f"{column}_mean": runs[column].mean(), f"{column}_std": runs[column].std()}
        rows.append(row)
    return pd.DataFrame(rows)


def overlap_table(runs: Mapping[str, Any], *, threshold: float = 0.006) -> "pd.DataFrame":
    """How the largest edges of each epoch overlap with the first and the final ones, for every run.

    Args:
        runs: As in `dynamics_table`.
        threshold: τ, > 0.

    Returns:
        One row for each run and epoch: ``run``, ``data``, ``prior``, ``seed``, and the columns of
        `graphtask.edge_overlap`.
    """
    import pandas as pd

    tables = []
    for name, run in runs.items():
        found = _thresholded(run, threshold)
        overlap = edge_overlap(run.history, retained=found.pruned or ())
        for place, (column, value) in enumerate({"run": name, **origin(run.graph)._asdict()}.items()):
            overlap.insert(place, column, value)
        tables.append(overlap)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def top_k_graphs(runs: Mapping[str, Any], *, threshold: float = 0.006) -> dict[str, TopK]:
    """The top-k graph of each run after its first epoch; see `graphtask.top_k_graph` and `dynamics_table`."""
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
    known = origin(graph)
    return known.data, known.prior


def _least_sizes(runs: Iterable[_Thresholded]) -> dict[tuple[str, str], Fraction]:
    """The mean share of edges that is left, for each data set and prior; exact, because it is rounded up later."""
    shares: dict[tuple[str, str], list[Fraction]] = {}
    for run in runs:
        shares.setdefault(_group(run.graph), []).append(run.share)
    return {group: sum(found, Fraction()) / len(found) for group, found in shares.items()}


def _top_k(run: _Thresholded, share: Fraction) -> TopK:
    return top_k_graph(run.graph, run.history, at_least=max(ceil(share * run.graph.ecount()), 1))


def _row(run: _Thresholded, *, threshold: float, share: Fraction) -> dict[str, Any]:
    retained = edge_names(run.pruned) if run.pruned else []
    fates = asdict(edge_dynamics(run.history, threshold=threshold, retained=retained))
    undefined = [fates.pop("undefined")]
    top = _top_k(run, share)
    overlaps = {
        "dsc_largest_first": dsc(retained, largest_edges(run.history, len(retained))),
        "dsc_smallest_first": dsc(retained, largest_edges(run.history, len(retained), smallest=True)),
        "dsc_top_k": dsc(retained, top.graph) if retained else nan,
    }
    undefined += [f"{name}: no edge is retained" for name, value in overlaps.items() if isnan(value)]
    return {
        **origin(run.graph)._asdict(),
        **fates,
        "top_k": top.k,
        **overlaps,
        "undefined": "; ".join(filter(None, undefined)),
    }
