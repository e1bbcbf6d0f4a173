"""``graphtask sweep``: what pruning at one threshold after the other leaves of trained networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import (
    data_root_option,
    device_option,
    examples,
    format_option,
    out_option,
    plot_option,
    runs_argument,
    threads_option,
)
from graphtask_cli.output import (
    check_figure_path,
    check_table_path,
    note,
    records_of,
    save_plot,
    show,
    write_table,
)
from graphtask_cli.sources import opened, run_folders

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ["threshold", "status", "test_accuracy", "sparsity", "edges", "nodes"]
_PER_RUN = [
    "run", "data", "prior", "seed", "trained_accuracy", "critical_threshold", "suggested_threshold", "test_accuracy",
    "sparsity", "edges", "nodes",
]  # fmt: skip


def read_thresholds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[float] | None:
    """Numbers with commas between them, or START:STOP:COUNT, evenly spaced, or log:START:STOP:COUNT."""
    if value is None:
        return None
    words = value.removeprefix("log:").split(":")
    try:
        if len(words) == 1 and not value.startswith("log:"):
            return [float(part) for part in value.split(",") if part.strip()]
        start, stop, count = float(words[0]), float(words[1]), int(words[2])
        return _spaced(start, stop, count, by_factor=value.startswith("log:"))
    except (ValueError, IndexError, ArithmeticError):
        raise click.BadParameter(
            f"{value!r} is neither a list such as 0,0.006,0.1 nor START:STOP:COUNT such as 0:0.5:51, nor "
            f"log:START:STOP:COUNT such as log:0.001:1:31"
        ) from None


def _spaced(start: float, stop: float, count: int, *, by_factor: bool) -> list[float]:
    if count < 2 or (by_factor and start <= 0):
        raise ValueError
    shares = [index / (count - 1) for index in range(count)]
    values = [
        start * (stop / start) ** share if by_factor else start + (stop - start) * share for share in shares
    ]
    return [float(f"{value:.12g}") for value in values]  # 0.3, not 0.30000000000000004


@click.command(
    epilog=examples(
        "graphtask sweep runs/full-0 -o sweep.csv --plot sweep.svg",
        "graphtask sweep runs --thresholds 0,0.006,0.06 --format csv",
        "graphtask sweep runs/full-0 --thresholds 0:0.5:51",
    )
)
@runs_argument
@click.option(
    "--thresholds",
    callback=read_thresholds,
    metavar="LIST|RANGE",
    help="Such as 0,0.006,0.1, or 0:0.5:51 (51 evenly spaced ones), or log:0.001:1:31 (by equal factors).  [default: 0, "
    "ten a decade from 0.0001 to 1, 0.006, and the critical one]",
)
@click.option(
    "--metrics",
    default="paper",
    show_default=True,
    metavar="SET|NAMES",
    help="What is measured besides: a set, or names with commas between them; see graphtask metrics --list.",
)
@out_option(text="Write one row for each run and threshold to a .csv, .json or .parquet file.")
@plot_option
@device_option
@threads_option
@data_root_option
@format_option
def sweep(
    paths: tuple[Path, ...],
    *,
    thresholds: list[float] | None,
    metrics: str,
    out: Path | None,
    plot: Path | None,
    device: str,
    threads: int | None,
    data_root: Path | None,
    form: str,
) -> None:
    """Prune finished runs at one threshold after the other, test what is left, and measure it.

    A folder stands for the runs in it. The pruned networks are not trained further. A graph that is no longer
    connected gets a row that says so. For each different graph the network is tested once, which together costs
    about as much as one to three epochs of training.

    critical_threshold is the largest that leaves input and output connected; suggested_threshold the largest of the
    sweep up to which the accuracy stays within one standard error of the trained network's. Of several runs the table
    for people has one row each, at the suggested threshold; files and --format csv and json have all rows.
    """
    from graphtask.training.device import limited_threads

    if out is not None:
        check_table_path(out)
    if plot is not None:
        check_figure_path(plot)
    options = {"thresholds": thresholds, "metrics": metrics.split(",") if "," in metrics else metrics}
    with limited_threads(threads):
        table = _swept(run_folders(paths), device=device, data_root=data_root, **options)
    if out is not None:
        write_table(records_of(table), out)
        note(f"wrote {out}")
    if plot is not None:
        import graphtask as gt

        columns = ["run", "data", "prior", "seed", *_SHOWN, "critical_threshold", "suggested_threshold"]
        save_plot(gt.draw_sweep(table), plot, table[columns])
    show(records_of(_shown(table) if form == "table" else table), form=form)


def _swept(
    folders: dict[str, Path], *, device: str, data_root: Path | None, **options: Any
) -> "pd.DataFrame":
    import pandas as pd

    import graphtask as gt
    from graphtask.training.run_data import RunDataCache

    originals = RunDataCache(data_root)

    def swept(folder: Path) -> pd.DataFrame:
        run = gt.open_run(folder)
        return gt.sweep(run, data=originals.of(run), device=device, **options)

    tables = []
    for label, found in opened(folders, swept):
        tables.append(found.assign(run=label))
        note(_outcome(label, found))
    return pd.concat(tables, ignore_index=True)


def _outcome(label: str, table: "pd.DataFrame") -> str:
    first = table.iloc[0]
    critical = f"{label}: connected up to {first['critical_threshold']:.4g}"
    best = table[table["threshold"] == first["suggested_threshold"]]
    if best.empty:
        return f"{critical}; the least threshold costs more than one standard error of the accuracy"
    row = best.iloc[0]
    return (
        f"{critical}; suggested {row['threshold']:.4g}: accuracy {row['test_accuracy']:.2%} "
        f"(trained {row['trained_accuracy']:.2%}), sparsity {row['sparsity']:.4g}"
    )


def _shown(table: "pd.DataFrame") -> "pd.DataFrame":
    """All thresholds of one run, or one row for each of several."""
    if len(table["run"].unique()) == 1:
        return table[_SHOWN]
    first = table.drop_duplicates("run").drop(columns=["test_accuracy", "sparsity", "edges", "nodes"])
    chosen = table.loc[table["threshold"] == table["suggested_threshold"], ["run", *_SHOWN]]
    return first.merge(chosen.drop(columns=["threshold", "status"]), on="run", how="left")[_PER_RUN]
