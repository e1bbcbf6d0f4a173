"""``graphtask sweep``: accuracy and size of trained networks over a range of pruning thresholds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphtask.columns import named_after, score_of
from graphtask.validation import counted
from graphtask_cli.figures import check_figure_path, save_plot
from graphtask_cli.messages import note
from graphtask_cli.options import (
    command,
    data_root_option,
    device_option,
    examples,
    format_option,
    imports_option,
    metrics_option,
    option,
    out_option,
    plot_option,
    relative_option,
    runs_argument,
    threads_option,
)
from graphtask_cli.param_types import THRESHOLDS
from graphtask_cli.render import show
from graphtask_cli.sources import opened, run_folders
from graphtask_cli.tables import check_table_path, records_of, write_table

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ["threshold", "status", "test_accuracy", "sparsity", "edges", "nodes"]
_PER_RUN = [
    "run", "dataset", "prior", "seed", "trained_accuracy", "critical_threshold", "suggested_threshold", "test_accuracy",
    "sparsity", "edges", "nodes",
]  # fmt: skip


@command(
    epilog=examples(
        "graphtask sweep runs/full-0 -o sweep.csv --plot sweep.svg",
        "graphtask sweep runs --thresholds 0,0.006,0.06 --format csv",
        "graphtask sweep runs/full-0 --thresholds 0:0.5:51",
        "graphtask sweep runs/full-0 --relative",
        "graphtask sweep runs/custom --allow-import mypackage.blocks:gated",
    )
)
@runs_argument
@option(
    "--thresholds",
    type=THRESHOLDS,
    show_default="0, ten per decade from 0.0001 to 1, 0.006, and the critical one",
    section="Pruning",
    help="List such as 0,0.006,0.1; START:STOP:COUNT such as 0:0.5:51, evenly spaced; or log:START:STOP:COUNT such as "
    "log:0.001:1:31, by equal factors.",
)
@relative_option
@metrics_option
@imports_option
@data_root_option
@device_option
@threads_option()
@out_option(text="Write one row per run and threshold to a .csv, .json or .parquet file.")
@plot_option
@format_option
def sweep(
    paths: tuple[Path, ...],
    *,
    thresholds: list[float] | None,
    relative: bool,
    metrics: str | list[str],
    out: Path | None,
    plot: Path | None,
    device: str,
    threads: int | None,
    data_root: Path | None,
    imports: tuple[str, ...],
    form: str,
) -> None:
    """Evaluate finished runs over a range of thresholds.

    A folder stands for the runs in it. The pruned networks are not trained further. A graph that the threshold
    disconnects gets a row with that status. Each different graph is tested once, in total about as long as one to
    three epochs of training.

    critical_threshold is the largest that keeps input and output connected; suggested_threshold the largest of the
    sweep up to which the accuracy stays within one standard error of the trained network's. The table has one row per
    different graph of a single run, or one row per run at the suggested threshold; files and --format csv and json
    have all rows.
    """
    from graphtask.training.device import limited_threads

    if out is not None:
        check_table_path(out)
    if plot is not None:
        check_figure_path(plot)
    with limited_threads(threads):
        table = _swept(
            run_folders(paths),
            device=device,
            data_root=data_root,
            imports=imports,
            thresholds=thresholds,
            relative=relative,
            metrics=metrics,
        )
    if out is not None:
        write_table(records_of(table), out)
        note(f"wrote {out}")
    if plot is not None:
        import graphtask as gt

        columns = ["run", "dataset", "prior", "seed", *_SHOWN, "critical_threshold", "suggested_threshold"]
        columns = list(named_after(score_of(table.columns), columns).values())
        save_plot(gt.plot.draw_sweep(table), plot, table[columns])
    show(records_of(_shown(table) if form == "table" else table), form=form)


def _swept(
    folders: dict[str, Path], *, device: str, data_root: Path | None, imports: tuple[str, ...], **options: Any
) -> "pd.DataFrame":
    import pandas as pd

    import graphtask as gt
    from graphtask.training.run_data import RunDataCache

    originals = RunDataCache(data_root)

    def swept(folder: Path) -> pd.DataFrame:
        run = gt.Run.open(folder, imports=imports)
        return gt.sweep(run, data=originals.of(run), device=device, **options).table

    tables = []
    for label, found in opened(folders, swept):
        tables.append(found.assign(run=label))
        note(_outcome(label, found))
    return pd.concat(tables, ignore_index=True)


def _outcome(label: str, table: "pd.DataFrame") -> str:
    from graphtask.columns import shown_score, with_accuracy

    score = score_of(table.columns)
    table, words = with_accuracy(table)
    first = table.iloc[0]
    critical = f"{label}: connected up to {first['critical_threshold']:.4g}"
    best = table[table["threshold"] == first["suggested_threshold"]]
    if best.empty:
        return f"{critical}; every threshold costs more than one standard error of the {words}"
    row = best.iloc[0]
    return (
        f"{critical}; suggested {row['threshold']:.4g}: {words} {shown_score(row['test_accuracy'], score, digits=2)} "
        f"(trained {shown_score(row['trained_accuracy'], score, digits=2)}), sparsity {row['sparsity']:.4g}"
    )


def _shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return the different graphs of one run, or one row for each of several runs."""
    if len(table["run"].unique()) == 1:
        return _changes(table)
    score = score_of(table.columns)
    at_suggested = [f"test_{score}", "sparsity", "edges", "nodes"]
    first = table.drop_duplicates("run").drop(columns=at_suggested)
    chosen = table.loc[table["threshold"] == table["suggested_threshold"], ["run", *at_suggested]]
    return first.merge(chosen, on="run", how="left")[list(named_after(score, _PER_RUN).values())]


def _changes(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows whose graph differs from that of the row before, and those of the named thresholds."""
    shown_columns = list(named_after(score_of(table.columns), _SHOWN).values())
    columns = [name for name in shown_columns if name != "threshold"]
    values = table[columns].astype(str)
    is_named = table["threshold"].isin(
        [table["critical_threshold"].iloc[0], table["suggested_threshold"].iloc[0]]
    )
    shown = (values != values.shift()).any(axis=1) | is_named
    n_hidden = int((~shown).sum())
    if n_hidden:
        note(
            f"{counted(n_hidden, 'threshold')} with the graph of the row above not listed; --format csv lists all"
        )
    return table.loc[shown, shown_columns]
