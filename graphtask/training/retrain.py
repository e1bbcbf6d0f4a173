"""Pruned graphs trained again from scratch, and the comparison of all networks: Fig. 5, Tables 3 and 5 of the paper."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import igraph
import torch

from graphtask.columns import named_after, score_of, with_dtypes
from graphtask.compiler.budget import count_parameters, fit_channels
from graphtask.compiler.writeback import extract_subnetwork
from graphtask.data.dataset import ImageData
from graphtask.errors import DisconnectedError
from graphtask.graph import with_provenance
from graphtask.pruning import prune
from graphtask.runs.labels import provenance_labels
from graphtask.runs.provenance import read_environments
from graphtask.terminal import valid_text
from graphtask.training.batches import split_batches
from graphtask.training.config import TrainConfig
from graphtask.training.loop import evaluate
from graphtask.training.run import Run
from graphtask.training.run_data import with_data_root
from graphtask.training.train import train
from graphtask.types import PAPER_THRESHOLD
from graphtask.validation import counted, invalid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SAME = "same"
FIT = "fit"

FULL = "full"
THRESHOLDED = "thresholded"
RETRAINED = "retrained"
RETRAINED_FIT = "retrained_fit"

_SEED_OFFSET = 1000  # added to the seed of the run: the paper retrains with another initialization
_GROUP = ["dataset", "prior", "network"]
_SUMMARIZED = ("seconds_per_epoch", "epoch_time_ratio", "parameters", "channels", "edges")


def retrain(
    run: Run,
    *,
    out: str | Path | None = None,
    channels: str | int = SAME,
    budget: int | None = None,
    threshold: float = PAPER_THRESHOLD,
    progress: bool = True,
    **options: Any,
) -> Run:
    """Train the pruned graph of a run again, with new parameters and all edges at their initial weight.

    Options that are not given are those of the run, its λ included: the paper retrains with the same settings. Switch
    the penalty off with ``edge_l1=0``. Killed at any moment, the same call resumes; a finished run is opened.

    Args:
        run: A finished run.
        out: Folder of the new run, created if missing; None keeps everything in memory.
        channels: ``"same"`` as in the run; ``"fit"``, those that bring the pruned network nearest to ``budget``; or
            a number.
        budget: Parameters for ``"fit"``; None is the number of the unpruned network.
        threshold: τ; edges of smaller weight are not in the new network.
        progress: Report progress on standard error.
        options: Other options of `TrainConfig` by keyword. ``seed`` is that of the run + 1000 unless it is given, so
            that no parameter starts where it started before; ``device`` and ``threads`` are those of this machine.

    Returns:
        The new run. ``provenance(graph)["retrained"]`` of its graph records the run it was pruned from; its initial
        size is kept, so that its sparsity is relative to the unpruned graph.

    Raises:
        ArgumentError: An option is invalid, or a budget is given for channels that are not fitted to it.
        DisconnectedError: No path connects input and output at this threshold.
        GraphtaskError: As in `train`.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> run = gt.train(gt.full_dag(5), data=digits, channels=2, epochs=1, batch_size=64, progress=False)
        >>> again = gt.retrain(run, threshold=0.3, progress=False)
        >>> again.config.model.channels, again.seed, gt.provenance(again.graph)["retrained"]
        (2, 1000, {'seed': 0, 'threshold': 0.3, 'channels': 2})

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Appendices A
        and B, Fig. 5.
    """
    named = TrainConfig(**options).code.values()  # by the caller, so that it may be imported
    run = replace(run, imports=run.imports | frozenset(named))
    pruned = pruned_again(run, threshold=threshold)
    config = retrain_config(
        run,
        channels=channels_of(run, pruned, channels, budget=budget),
        options={"device": "auto", "threads": None} | options,
    )
    return train(pruned, config, out=out, progress=progress)


def retrain_config(run: Run, *, channels: int, options: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration that trains the pruned graph of a run again.

    Args:
        run: The run.
        channels: Channels of the new network.
        options: Options that differ from those of the run.

    Raises:
        ArgumentError: An option is invalid.
        DataError: The data set of the run is missing.
        RunError: It has changed since training, or the run has custom code that neither the options nor its ``imports``
            repeat.
    """
    run.check_imports(options)
    changes = {"seed": another_seed(run), **options, "channels": channels, "reset_weights": True}
    if changes.get("data") is None:
        moved = with_data_root(run, changes.pop("data_root", None))
        images = moved.data()  # fails now if it is missing or has changed
        source = moved.config.data.source
        changes["data"] = images if source is None else source
        changes["data_root"] = moved.config.data.root
    return run.config.replace(**changes)


def pruned_again(run: Run, *, threshold: float) -> igraph.Graph:
    """Return the graph that is trained again: pruned, with the run it was pruned from in its provenance.

    Raises:
        DisconnectedError: No path connects input and output at this threshold.
    """
    facts = {"seed": run.seed, "threshold": float(threshold), "channels": run.config.model.channels}
    return with_provenance(prune(run.graph, threshold=threshold), retrained=facts)


def another_seed(run: Run) -> int:
    """Return the seed of the new run, so that no parameter starts where it started before."""
    return run.seed + _SEED_OFFSET


def unpruned_parameters(run: Run) -> int:
    """Return the number of parameters of the network of a run before pruning."""
    return count_parameters(run.graph, channels=run.config.model.channels, **run.ends)


def channels_of(run: Run, pruned: igraph.Graph, channels: str | int, *, budget: int | None = None) -> int:
    """Return the channels of the new network; arguments as in `retrain`.

    Raises:
        ArgumentError: ``channels`` is invalid, or a budget is given for channels that are not fitted to it.
    """
    if budget is not None and channels != FIT:
        raise invalid("channels", '"fit" with a budget', channels)
    if channels == SAME:
        return run.config.model.channels
    if channels == FIT:
        wanted = unpruned_parameters(run) if budget is None else budget
        return fit_channels(pruned, budget=wanted, **run.ends)
    if isinstance(channels, str):
        raise invalid("channels", '"same", "fit", or an integer', channels)
    return channels


@dataclass(frozen=True)
class RetrainResult:
    """Comparison of full, thresholded and retrained networks.

    Args:
        table: One row per network: ``run`` (name of its folder), ``dataset``, ``prior``, ``seed``, ``threshold``;
            ``network``; ``channels``, ``parameters``, ``nodes``, ``edges``; ``test_accuracy``, in [0, 1];
            ``seconds_per_epoch`` (median over the epochs, of training without the test) and ``seconds_std``;
            ``epoch_time_ratio``, relative to the full network; ``epochs`` and ``edge_l1``; ``undefined``, the reason
            for NaN values. The thresholded network is not trained, so it has no seconds; seconds that were measured
            on different hardware or with other threads have no ratio.
        failed: Reason, in one line, for each run or new network that is missing from the table.

    Example:
        >>> import pandas as pd
        >>> row = {"dataset": "digits", "prior": "full"}
        >>> rows = [row | {"network": "full", "test_accuracy": value} for value in (0.5, 0.75)]
        >>> RetrainResult(pd.DataFrame(rows)).side_by_side().round(3).values.tolist()
        [['digits', 'full', 0.625, 0.177, 2]]
    """

    table: "pd.DataFrame"
    failed: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        runs = self.table["run"].nunique() if "run" in self.table else 0
        return f"RetrainResult({counted(runs, 'run')}, {counted(len(self.table), 'network')}, {len(self.failed)} failed)"

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import retraining_card

        return retraining_card(self)

    def summary(self) -> "pd.DataFrame":
        """Return means and standard deviations over the runs of each data set, initial graph and network.

        Returns:
            ``dataset``, ``prior``, ``network``, ``runs`` (that have an accuracy), and ``_mean`` and ``_std`` of accuracy,
            seconds per epoch, ratio of epoch times, parameters, channels and edges. The deviation is that of a sample
            (n − 1), NaN for a single run; NaN values are left out.
        """
        import pandas as pd

        rows = []
        score = self._score
        for (dataset, prior, network), runs in self.table.groupby(_GROUP, sort=False):
            row: dict[str, Any] = {
                "dataset": dataset, "prior": prior, "network": network, "runs": int(runs[score].notna().sum())
            }  # fmt: skip
            for name in (score, *_SUMMARIZED):
                values = runs[name].astype("float64")
                row |= {f"{name}_mean": values.mean(), f"{name}_std": values.std()}
            rows.append(row)
        return with_dtypes(pd.DataFrame(rows))

    @property
    def _score(self) -> str:
        return f"test_{score_of(self.table.columns)}"

    def side_by_side(self, value: str | None = None) -> "pd.DataFrame":
        """Return one value of all networks, one row per data set and initial graph: the paper's Tables 3 and 5.

        Args:
            value: A column of the table: None for the score, ``test_accuracy`` (Table 5); ``seconds_per_epoch`` (Table 3),
                ``parameters`` …

        Returns:
            ``dataset``, ``prior``, then for each network ``<network>_mean``, ``<network>_std`` (of a sample, n − 1; NaN
            for a single run) and ``<network>_n``.
        """
        import pandas as pd

        value = self._score if value is None else value
        networks = list(dict.fromkeys(self.table["network"]))
        rows = []
        for (dataset, prior), of_group in self.table.groupby(["dataset", "prior"], sort=False):
            row: dict[str, Any] = {"dataset": dataset, "prior": prior}
            for network in networks:
                values = of_group.loc[of_group["network"] == network, value].dropna()
                row[f"{network}_mean"] = float(values.mean()) if len(values) else math.nan
                row[f"{network}_std"] = float(values.std()) if len(values) > 1 else math.nan
                row[f"{network}_n"] = len(values)
            rows.append(row)
        return pd.DataFrame(rows)

    def plot(self) -> "Figure":
        """Draw accuracy and seconds per epoch of all networks (Fig. 5); see `graphtask.plot.draw_retraining`."""
        from graphtask.drawing.retrain import draw_retraining

        return draw_retraining(self.table)


def compare_retrained(
    run: Run,
    retrained: Mapping[str, Run],
    *,
    threshold: float = PAPER_THRESHOLD,
    data: ImageData | None = None,
    device: str = "auto",
    failures: Mapping[str, str] | None = None,
) -> RetrainResult:
    """Compare the network of a run, its thresholded network, and retrained ones.

    Args:
        run: A finished run.
        retrained: Results of `retrain`, by name: ``retrained`` with the same channels and ``retrained_fit`` with
            fitted ones, say.
        threshold: The τ that they were pruned with.
        data: Images for the test of the thresholded network; None is the run's own data set.
        device: Device of that test, as in `train`.
        failures: Networks that could not be retrained, with the reason; each has a row without values.

    Raises:
        DataError: The data set is missing.
        RunError: It has changed since training.
    """
    import pandas as pd

    rows = [_trained_row(FULL, run, run)]
    rows.append(_thresholded_row(run, threshold=threshold, data=data, device=device))
    rows += [_trained_row(name, again, run) for name, again in retrained.items()]
    rows += [{"network": name, "undefined": reason} for name, reason in (failures or {}).items()]
    known = {
        "run": valid_text(run.folder.name) if run.folder else "",
        **provenance_labels(run.graph)._asdict(),
        "threshold": threshold,
    }
    table = with_dtypes(pd.DataFrame([known | row for row in rows])).rename(columns=named_after(run.score))
    return RetrainResult(
        table[[*(name for name in table.columns if name != "undefined"), "undefined"]], failures or {}
    )


def _trained_row(name: str, run: Run, full: Run) -> dict[str, Any]:
    seconds = run.metrics["seconds"]
    ratio, reason = _time_ratio(run, full)
    return {
        "network": name,
        **_size(run.graph, run),
        "test_accuracy": run.test_score,
        "seconds_per_epoch": float(seconds.median()),
        "seconds_std": float(seconds.std()),
        "epoch_time_ratio": ratio,
        "epochs": len(run.metrics),
        "edge_l1": run.config.optimization.edge_l1,
        "undefined": reason,
    }


def _thresholded_row(run: Run, *, threshold: float, data: ImageData | None, device: str) -> dict[str, Any]:
    try:
        pruned = prune(run.graph, threshold=threshold)
    except DisconnectedError as error:
        return {"network": THRESHOLDED, "undefined": str(error)}
    trained = run.module(device=device)
    batches = split_batches(data or run.data(), run.config, device=trained.edge_weight.device)
    outcome = evaluate(
        extract_subnetwork(trained, pruned),
        batches.test,
        task=run.task,
        precision=run.config.runtime.precision,
    )
    return {
        "network": THRESHOLDED,
        **_size(pruned, run),
        "test_accuracy": outcome.score,
        "undefined": "seconds_per_epoch: the thresholded network is not trained",
    }


def _size(graph: igraph.Graph, run: Run) -> dict[str, int]:
    channels = run.config.model.channels
    return {
        "channels": channels,
        "parameters": count_parameters(graph, channels=channels, **run.ends),
        "nodes": graph.vcount(),
        "edges": graph.ecount(),
    }


def _time_ratio(run: Run, full: Run) -> tuple[float, str]:
    """Return the time of an epoch relative to the full network's; NaN and a reason if the two are not comparable."""
    here, there = _hardware(run), _hardware(full)
    if here != there:
        return math.nan, f"epoch_time_ratio: trained on {here}, the full network on {there}"
    return float(run.metrics["seconds"].median() / full.metrics["seconds"].median()), ""


def _hardware(run: Run) -> str:
    """Return the machines and thread counts that trained a run, all of them if it was resumed elsewhere."""
    if run.folder is None:
        return f"{run.config.runtime.device} with {counted(torch.get_num_threads(), 'thread')}"
    try:
        places = [_place(place) for place in read_environments(run.folder)]
    except LookupError:
        places = []
    return ", ".join(dict.fromkeys(places)) or "unknown hardware"


def _place(environment: Mapping[str, Any]) -> str:
    processes = environment["processes"]
    several = f" in {processes} processes" if processes > 1 else ""
    return f"{environment['device']} with {counted(environment['threads'], 'thread')}{several}"
