"""Full, thresholded and retrained networks side by side: the paper's Fig. 5 and Tables 3 and 5."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import igraph
import torch

from graphtask.compiler.budget import count_parameters
from graphtask.compiler.writeback import extract_subnetwork
from graphtask.data.dataset import ImageData
from graphtask.errors import DisconnectedError
from graphtask.pruning import prune
from graphtask.runs.labels import origin
from graphtask.runs.provenance import read_environments
from graphtask.training.config import Regime
from graphtask.training.loop import evaluate
from graphtask.training.run import Run, data_batches
from graphtask.validation import counted

if TYPE_CHECKING:
    import pandas as pd

FULL = "full"
THRESHOLDED = "thresholded"
RETRAINED = "retrained"
RETRAINED_FIT = "retrained_fit"

_GROUP = ["data", "prior", "network"]
_SUMMARISED = ("accuracy", "seconds_per_epoch", "epoch_time_ratio", "parameters", "channels", "edges")


def compare_retrained(
    run: Run,
    retrained: Mapping[str, Run],
    *,
    threshold: float = 0.006,
    data: ImageData | None = None,
    device: str = "auto",
    failures: Mapping[str, str] | None = None,
) -> "pd.DataFrame":
    """One row for the network of a run, one for its thresholded network, and one for each retrained one.

    Args:
        run: A finished run.
        retrained: What `retrain` gave, by what it shall be called: ``retrained`` with the same channels and
            ``retrained_fit`` with fitted ones, say.
        threshold: The τ that they were pruned with.
        data: The images, for the test of the thresholded network; None is the run's own data set.
        device: Where that test runs, as in `train`.
        failures: Networks that could not be retrained, and why; each gets a row without values.

    Returns:
        ``run`` (the name of its folder), ``data``, ``prior``, ``seed``, ``threshold``; ``network``; ``channels``,
        ``parameters``, ``nodes``, ``edges``; ``accuracy`` on the test images, in [0, 1]; ``seconds_per_epoch`` (mean
        over the epochs, of training without the test) and ``seconds_std``; ``epoch_time_ratio``, to the full
        network's; ``epochs`` and ``edge_l1``; ``undefined``, why values are NaN. The thresholded network is
        not trained, so it has no seconds; and seconds measured on different hardware or with other threads have no
        ratio.

    Raises:
        DataError: The data set is not where it was.
        RunError: It is not what it was.
    """
    import pandas as pd

    rows = [_trained_row(FULL, run, run)]
    rows.append(_thresholded_row(run, threshold=threshold, data=data, device=device))
    rows += [_trained_row(name, again, run) for name, again in retrained.items()]
    rows += [{"network": name, "undefined": reason} for name, reason in (failures or {}).items()]
    known = {
        "run": run.folder.name if run.folder else "",
        **origin(run.graph)._asdict(),
        "threshold": threshold,
    }
    table = pd.DataFrame([known | row for row in rows])
    return table[[*(name for name in table.columns if name != "undefined"), "undefined"]]


def summarize_retrained(table: "pd.DataFrame") -> "pd.DataFrame":
    """Means and standard deviations over the runs of each data set, prior and network.

    Args:
        table: What `compare_retrained` gave; for several runs, those tables in one (`pandas.concat`).

    Returns:
        ``data``, ``prior``, ``network``, ``runs`` (that have an accuracy), and ``_mean`` and ``_std`` of accuracy,
        seconds per epoch, ratio of epoch times, parameters, channels and edges. The deviation is that of a sample
        (n − 1), NaN for a single run; NaN values are left out.
    """
    import pandas as pd

    rows = []
    for (data, prior, network), runs in table.groupby(_GROUP, sort=False):
        row: dict[str, Any] = {
            "data": data, "prior": prior, "network": network, "runs": int(runs["accuracy"].notna().sum())
        }  # fmt: skip
        for name in _SUMMARISED:
            row |= {f"{name}_mean": runs[name].mean(), f"{name}_std": runs[name].std()}
        rows.append(row)
    return pd.DataFrame(rows)


def retraining_table(table: "pd.DataFrame", value: str = "accuracy") -> "pd.DataFrame":
    """One value of all networks side by side, a row for each data set and prior: the paper's Tables 3 and 5.

    Args:
        table: What `compare_retrained` gave; for several runs, those tables in one, as `retrain_runs` gives it.
        value: A column of it: ``accuracy`` (in [0, 1]; Table 5), ``seconds_per_epoch`` (Table 3), ``parameters`` …

    Returns:
        ``data``, ``prior``, then for each network, such as ``full``, ``thresholded``, ``retrained``, ``retrained_fit``:
        ``<network>_mean``, ``<network>_std`` (of a sample, n − 1; NaN for a single run) and ``<network>_n``.

    Example:
        >>> import pandas as pd
        >>> row = {"data": "digits", "prior": "full"}
        >>> rows = [row | {"network": "full", "accuracy": value} for value in (0.5, 0.75)]
        >>> retraining_table(pd.DataFrame(rows)).round(3).values.tolist()
        [['digits', 'full', 0.625, 0.177, 2]]
    """
    import pandas as pd

    networks = list(dict.fromkeys(table["network"]))
    rows = []
    for (data, prior), of_group in table.groupby(["data", "prior"], sort=False):
        row: dict[str, Any] = {"data": data, "prior": prior}
        for network in networks:
            values = of_group.loc[of_group["network"] == network, value].dropna()
            row[f"{network}_mean"] = float(values.mean()) if len(values) else math.nan
            row[f"{network}_std"] = float(values.std()) if len(values) > 1 else math.nan
            row[f"{network}_n"] = len(values)
        rows.append(row)
    return pd.DataFrame(rows)


def _trained_row(name: str, run: Run, full: Run) -> dict[str, Any]:
    seconds = run.metrics["seconds"]
    ratio, reason = _time_ratio(run, full)
    return {
        "network": name,
        **_size(run.graph, run),
        "accuracy": float(run.metrics["test_accuracy"].iloc[-1]),
        "seconds_per_epoch": float(seconds.mean()),
        "seconds_std": float(seconds.std()),
        "epoch_time_ratio": ratio,
        "epochs": len(run.metrics),
        "edge_l1": run.config["regime"]["edge_l1"],
        "undefined": reason,
    }


def _thresholded_row(run: Run, *, threshold: float, data: ImageData | None, device: str) -> dict[str, Any]:
    try:
        pruned = prune(run.graph, threshold=threshold)
    except DisconnectedError as error:
        return {"network": THRESHOLDED, "undefined": str(error)}
    trained = run.module(device=device)
    regime = Regime(**run.config["regime"])
    _, test = data_batches(data or run.data(), regime=regime, device=trained.edge_weight.device)
    outcome = evaluate(extract_subnetwork(trained, pruned), test, precision=run.config["precision"])
    return {
        "network": THRESHOLDED,
        **_size(pruned, run),
        "accuracy": outcome.accuracy,
        "undefined": "seconds_per_epoch: the thresholded network is not trained",
    }


def _size(graph: igraph.Graph, run: Run) -> dict[str, int]:
    ends = {name: run.config[name] for name in ("channels", "in_channels", "n_classes")}
    return {
        "channels": run.config["channels"],
        "parameters": count_parameters(graph, **ends),
        "nodes": graph.vcount(),
        "edges": graph.ecount(),
    }


def _time_ratio(run: Run, full: Run) -> tuple[float, str]:
    """How long an epoch takes, relative to the full network's; NaN and a reason if that cannot be compared."""
    here, there = _hardware(run), _hardware(full)
    if here != there:
        return math.nan, f"epoch_time_ratio: trained on {here}, the full network on {there}"
    return float(run.metrics["seconds"].mean() / full.metrics["seconds"].mean()), ""


def _hardware(run: Run) -> str:
    """Where and with how many threads a run was trained: of a resumed one, all places."""
    if run.folder is None:
        return f"{run.config['device']} with {counted(torch.get_num_threads(), 'thread')}"
    try:
        places = [_place(place) for place in read_environments(run.folder)]
    except LookupError:
        places = []
    return ", ".join(dict.fromkeys(places)) or "unknown hardware"


def _place(environment: Mapping[str, Any]) -> str:
    processes = environment["processes"]
    several = f" in {processes} processes" if processes > 1 else ""
    return f"{environment['device']} with {counted(environment['threads'], 'thread')}{several}"
