"""The pruned graph trained again from scratch: is it the wiring that is good, or the weights that grew with it?"""

from pathlib import Path
from typing import Any

import igraph

from graphtask.compiler.budget import count_parameters, fit_channels
from graphtask.data.dataset import ImageData
from graphtask.errors import ArgumentError
from graphtask.graph import with_provenance
from graphtask.pruning import prune
from graphtask.training.config import Regime
from graphtask.training.run import Run, train
from graphtask.training.run_data import with_data_root

SAME = "same"
FIT = "fit"

_ANOTHER_SEED = 1000  # what is added to the seed of the run: the paper retrains with another initialization


def retrain(
    run: Run,
    *,
    out: str | Path | None = None,
    channels: str | int = SAME,
    budget: int | None = None,
    threshold: float = 0.006,
    regime: Regime | None = None,
    seed: int | None = None,
    data: ImageData | None = None,
    data_root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    cuda_graph: bool = True,
    progress: bool = True,
    checkpoint_seconds: float = 300.0,
) -> Run:
    """Train the pruned graph of a run again, with new parameters and all edges at their initial strength.

    What is not given is as in the run: regime, gate, precision, execution, data. So the price of connections applies
    again; the paper says that retraining has the same settings. Switch it off with ``edge_l1=0`` in the
    regime. Killed at any moment, the same call goes on; a finished one is opened.

    Args:
        run: A finished run.
        out: Folder of the new run, made if need be; None keeps everything in memory.
        channels: ``"same"`` as the run; ``"fit"``, those with which the pruned network comes nearest to ``budget``; or
            a number.
        budget: Parameters, for ``"fit"``; None is what the unpruned network has.
        threshold: τ; edges of smaller magnitude are not in the new network.
        regime: How to train; None is that of the run.
        seed: None is that of the run + 1000, so that no parameter starts where it started before.
        data: The images; None is the run's own data set.
        data_root: Where named data sets lie now; None is where they were.
        device: As in `train`.
        threads: As in `train`.
        cuda_graph: As in `train`.
        progress: As in `train`.
        checkpoint_seconds: As in `train`.

    Returns:
        The new run. Its graph knows in ``provenance(graph)["retrained"]`` what it was pruned from, and still its
        initial size, so that its sparsity is relative to the unpruned graph.

    Raises:
        ArgumentError: ``channels`` is none of these, or a budget is given for channels that are not fitted to it.
        DisconnectedError: Nothing connects input and output at this threshold.
        GraphtaskError: As `train` does.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> quick = gt.Regime(epochs=1, batch_size=64)
        >>> run = gt.train(gt.full_dag(5), data=digits, channels=2, regime=quick, progress=False)
        >>> again = gt.retrain(run, threshold=0.3, progress=False)
        >>> again.config["channels"], again.config["seed"], gt.provenance(again.graph)["retrained"]
        (2, 1000, {'seed': 0, 'threshold': 0.3, 'channels': 2})

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Appendices A
        and B, Fig. 5.
    """
    pruned = pruned_again(run, threshold=threshold)
    return train(
        pruned,
        out=out,
        channels=channels_of(run, pruned, channels, budget=budget),
        seed=another_seed(run) if seed is None else seed,
        regime=regime or Regime(**run.config["regime"]),
        device=device,
        precision=run.config["precision"],
        execution=run.config["execution"],
        gate=run.config["gate"],
        fresh=True,
        threads=threads,
        cuda_graph=cuda_graph,
        progress=progress,
        checkpoint_seconds=checkpoint_seconds,
        **_data_options(with_data_root(run, data_root), data),
    )


def pruned_again(run: Run, *, threshold: float) -> igraph.Graph:
    """The graph that is trained again: pruned, and in its provenance what it was pruned from.

    Raises:
        DisconnectedError: Nothing connects input and output at this threshold.
    """
    facts = {"seed": run.config["seed"], "threshold": float(threshold), "channels": run.config["channels"]}
    return with_provenance(prune(run.graph, threshold=threshold), retrained=facts)


def another_seed(run: Run) -> int:
    """The seed of the new run: another one, so that no parameter starts where it started before."""
    return int(run.config["seed"]) + _ANOTHER_SEED


def unpruned_parameters(run: Run) -> int:
    """The number of parameters of the network of a run, before any pruning."""
    return count_parameters(run.graph, channels=run.config["channels"], **_ends(run))


def channels_of(run: Run, pruned: igraph.Graph, channels: str | int, *, budget: int | None = None) -> int:
    """The channels of the new network; arguments as in `retrain`.

    Raises:
        ArgumentError: ``channels`` is none of these, or a budget is given for channels that are not fitted to it.
    """
    if budget is not None and channels != FIT:
        raise ArgumentError(f'a budget needs channels="fit", not {channels!r}: the channels follow from it')
    if channels == SAME:
        return int(run.config["channels"])
    if channels == FIT:
        wanted = unpruned_parameters(run) if budget is None else budget
        return fit_channels(pruned, budget=wanted, **_ends(run))
    if isinstance(channels, str):
        raise ArgumentError(f'channels is {channels!r}; use "same", "fit", or a number')
    return channels


def _ends(run: Run) -> dict[str, int]:
    return {name: run.config[name] for name in ("in_channels", "n_classes")}


def _data_options(run: Run, data: ImageData | None) -> dict[str, Any]:
    """The data set as `train` takes it: by its name or path, so that the new run finds it again too."""
    source = run.config["data"]
    if data is not None or source["source"] is None:
        return {"data": run.data() if data is None else data}
    run.data()  # loads it, and complains if it is not what it was
    return {
        "data": source["source"],
        "data_root": source["root"],
        "transforms": source["transforms"],
        "data_seed": source["seed"],
        "data_name": source["name"],
    }
