"""Path of the L1 penalty: a sequence of λ, each run started from the one before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphtask.columns import named_after
from graphtask.storage.objects import GraphLike
from graphtask.training.callbacks import Callback
from graphtask.training.config import TrainConfig
from graphtask.training.run import Run
from graphtask.training.sweep import sweep
from graphtask.training.train import train
from graphtask.types import PAPER_THRESHOLD
from graphtask.validation import counted, invalid, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_N_DEFAULT = 7
_DROPPED = ("relative", "trained_accuracy", "suggested_threshold", "decided_on", "decision_accuracy")


@dataclass(frozen=True)
class PathResult:
    """Runs along a sequence of λ.

    Args:
        table: One row per λ, ascending: ``edge_l1``; the columns of a sweep at one threshold (`SweepResult`), with the
            score and the metrics of the pruned graph.
        runs: The run of each λ.

    Example:
        >>> import pandas as pd
        >>> PathResult(pd.DataFrame({"edge_l1": [0.01, 0.1], "edges": [66, 12]}))
        PathResult(2 values of λ from 0.01 to 0.1, 66 to 12 edges)
    """

    table: "pd.DataFrame"
    runs: tuple[Run, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        first, last = self.table.iloc[0], self.table.iloc[-1]
        return (
            f"PathResult({counted(len(self.table), 'value')} of λ from {first['edge_l1']:g} to {last['edge_l1']:g}, "
            f"{first['edges']:g} to {last['edges']:g} edges)"
        )

    def plot(self, metrics: Sequence[str] = ()) -> "Figure":
        """Draw score, edges and some metrics over λ; see `graphtask.plot.draw_path`."""
        from graphtask.drawing.path import draw_path

        return draw_path(self.table, metrics=metrics)


def l1_path(
    graph: GraphLike,
    config: TrainConfig | None = None,
    *,
    edge_l1s: Iterable[float] | None = None,
    threshold: float = PAPER_THRESHOLD,
    metrics: str | Sequence[str] = "paper",
    out: str | Path | None = None,
    progress: bool = True,
    callbacks: Iterable[Callback] = (),
    **options: Any,
) -> PathResult:
    """Train along a path of the L1 penalty, from small to large λ, each run started from the one before.

    The network starts with all its edges and loses them gradually, so that the path costs less than
    independent runs, and its graphs are comparable. Killed at any moment, the same call resumes.

    Args:
        graph: A valid architecture graph.
        config: Training configuration of every run; its ``edge_l1`` is the middle of the default path.
        edge_l1s: Values of λ, each > 0, in any order; None is seven by equal factors from a tenth to ten times the
            ``edge_l1`` of the configuration.
        threshold: τ at which each run is pruned for the table.
        metrics: Metrics of the pruned graphs; see `measure`.
        out: Folder of the runs, ``<out>/edge_l1-<λ>``, created if missing; None keeps them in memory.
        progress: As in `train`.
        callbacks: As in `train`; called in every run.
        options: Options of `TrainConfig`, as in `train`; ``epochs`` is the number of epochs for every λ.

    Raises:
        ArgumentError: A λ is not above 0, or an option is invalid.
        GraphtaskError: As in `train`.

    Example:
        >>> import graphtask as gt
        >>> digits = gt.load_data("cdigits").subset(n_train=100, n_test=50, seed=0)
        >>> path = gt.l1_path(
        ...     gt.full_dag(4),
        ...     data=digits,
        ...     edge_l1s=[0.1, 0.01],
        ...     channels=2,
        ...     epochs=1,
        ...     batch_size=64,
        ...     progress=False,
        ... )
        >>> path.table[["edge_l1", "edges"]].values.tolist()
        [[0.01, 6], [0.1, 6]]

    Source:
        Friedman, Hastie & Tibshirani, "Regularization paths for generalized linear models", J. Stat. Softw. 33 (2010);
        from dense to sparse as Lemhadri et al., "LassoNet", JMLR 22 (2021).
    """
    import pandas as pd

    config = (config or TrainConfig()).replace(**options)
    start: Run | None = None
    runs, rows = [], []
    for edge_l1 in _grid(config, edge_l1s):
        run = train(
            graph if start is None else start.graph,
            config.replace(edge_l1=edge_l1, reset_weights=config.model.reset_weights and start is None),
            out=None if out is None else Path(out) / f"edge_l1-{edge_l1}",
            start=start,
            progress=progress,
            callbacks=callbacks,
        )
        swept = sweep(
            run, thresholds=[threshold], metrics=metrics, device=config.runtime.device, progress=False
        ).table
        swept.insert(0, "edge_l1", edge_l1)
        rows.append(swept.drop(columns=list(named_after(run.score, _DROPPED).values())))
        runs.append(run)
        start = run
    return PathResult(pd.concat(rows, ignore_index=True), tuple(runs))


def _grid(config: TrainConfig, edge_l1s: Iterable[float] | None) -> list[float]:
    """Return the values of λ, ascending, each once."""
    if edge_l1s is None:
        middle = config.optimization.edge_l1
        if middle == 0:
            raise invalid(
                "edge_l1", "a number > 0, the middle of the path", middle, remedy="or pass edge_l1s"
            )
        edge_l1s = [float(f"{middle * factor:.3g}") for factor in np.logspace(-1, 1, _N_DEFAULT)]
    found = sorted({number(value, name="edge_l1s", least=0) for value in edge_l1s})
    if not found or found[0] == 0:
        raise invalid("edge_l1s", "numbers > 0, at least one", found)
    return found
