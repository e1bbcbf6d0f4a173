"""``graphtask retrain``: pruned graphs trained again from scratch, beside the networks they come from."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import (
    data_root_option,
    device_option,
    examples,
    format_option,
    plot_option,
    runs_argument,
    threads_option,
    threshold_option,
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

    from graphtask.data.dataset import ImageData
    from graphtask.training.run import Run

_REGIME = ("epochs", "batch_size", "learning_rate", "resource_price")
_HIDDEN = ["run", "undefined"]


@click.command(
    epilog=examples(
        "graphtask retrain runs/full-0 --out retrained --fit-channels",
        "graphtask retrain runs --out retrained --fit-channels --table retrained.csv --plot retrained.svg",
    )
)
@runs_argument
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Folder for the new runs: DATA/PRIOR/seed-SEED/retrained and …/retrained_fit in it.",
)
@threshold_option(default=0.006, text="Connections of smaller weight are not in the new networks.")
@click.option(
    "--fit-channels",
    is_flag=True,
    help="Train another network too, with the channels that bring it nearest to the full one's number of parameters.",
)
@click.option(
    "--budget", type=click.IntRange(min=1), help="The same, but with this number of parameters in mind."
)
@click.option(
    "--same-channels/--no-same-channels", default=True, help="Whether to train one with the same channels."
)
@click.option("--seed", type=int, help="Of the new networks.  [default: that of each run + 1000]")
@click.option("--epochs", type=int, help="Passes over the training images.  [default: as in each run]")
@click.option("--batch-size", type=int, help="Images a step.  [default: as in each run]")
@click.option("--learning-rate", type=float, help="Step size of SGD at the start.  [default: as in each run]")
@click.option(
    "--resource-price", type=float, help="λ, the price of a connection; 0: none.  [default: as in each run]"
)
@click.option(
    "--table",
    "out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write one row for each network to a .csv, .json or .parquet file.",
)
@plot_option
@device_option
@threads_option
@data_root_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@format_option
def retrain(
    paths: tuple[Path, ...],
    *,
    folder: Path,
    fit_channels: bool,
    budget: int | None,
    same_channels: bool,
    out: Path | None,
    plot: Path | None,
    form: str,
    **options: Any,
) -> None:
    """Prune finished runs, train their graphs again from scratch, and compare.

    A folder stands for the runs in it. The new networks start from new parameters and equal edges, and are trained as
    the run was, with the same price of connections. Stopped at any moment, the same command goes on where it was.

    Prints accuracy, parameters and seconds per epoch of the full network, of the thresholded one (not trained
    further), and of those trained again: means and deviations by data set and prior, if there are several runs.
    Seconds are comparable where nothing else ran on the machine. Exits with 1 if no network could be retrained.
    """
    if out is not None:
        check_table_path(out)
    if plot is not None:
        check_figure_path(plot)
    variants: dict[str, dict[str, Any]] = {"retrained": {"channels": "same"}} if same_channels else {}
    if fit_channels or budget is not None:
        variants["retrained_fit"] = {"channels": "fit", "budget": budget}
    if not variants:
        raise click.UsageError("nothing to train: --no-same-channels needs --fit-channels or --budget")
    table = _compared(run_folders(paths), folder, variants, **options)
    if out is not None:
        write_table(records_of(table), out)
        note(f"wrote {out}")
    if plot is not None:
        import graphtask as gt

        save_plot(gt.draw_retraining(table), plot, table)
    _print(table, form=form)
    if table.loc[table["network"].isin(variants), "accuracy"].isna().all():
        raise click.exceptions.Exit(1)


def _compared(
    folders: dict[str, Path], place: Path, variants: dict[str, Any], *, device: str, data_root: Path | None,
    threshold: float, **options: Any
) -> "pd.DataFrame":  # fmt: skip
    import pandas as pd

    import graphtask as gt
    from graphtask.training.originals import Originals

    originals = Originals(data_root)
    targets: dict[Path, str] = {}

    def compared(source: Path) -> pd.DataFrame:
        run = gt.open_run(source)
        target = _target(run, place)
        if targets.setdefault(target, str(source)) != str(source):
            raise gt.ArgumentError(
                f"its new runs would be in {target}, as those of {targets[target]}; use another --out"
            )
        found, failures = _retrained(
            run, target, variants, device=device, data_root=data_root, threshold=threshold, **options
        )
        images: ImageData = originals.of(run)
        return gt.compare_retrained(
            run, found, threshold=threshold, data=images, device=device, failures=failures
        )

    tables = [found.assign(run=label) for label, found in opened(folders, compared)]
    return pd.concat(tables, ignore_index=True)


def _target(run: "Run", place: Path) -> Path:
    """The folder for the new runs of a run; the same however many runs the command names."""
    from graphtask.origin import origin

    known = origin(run.graph)
    parts = [str(part).replace("/", "-") or "unknown" for part in (known.data, known.prior)]
    return place.joinpath(*parts, f"seed-{known.seed}")


def _retrained(
    run: "Run", target: Path, variants: dict[str, Any], *, seed: int | None, quiet: bool, **options: Any
) -> tuple[dict[str, "Run"], dict[str, str]]:
    import graphtask as gt

    given = {name: value for name in _REGIME if (value := options.pop(name)) is not None}
    regime = replace(gt.Regime(**run.config["regime"]), **given)
    found, failures = {}, {}
    for name, variant in variants.items():
        try:
            found[name] = gt.retrain(
                run, out=target / name, regime=regime, seed=seed, progress=not quiet, **variant, **options
            )
        except gt.RunInterruptedError:
            raise
        except gt.GraphtaskError as error:
            place = str(target / name)
            note(f"error: {error}" if place in str(error) else f"error: {place}: {error}")
            failures[name] = str(error)
    return found, failures


def _print(table: "pd.DataFrame", *, form: str) -> None:
    import graphtask as gt

    for reason in dict.fromkeys(table["undefined"]):
        if reason and "not trained" not in reason:
            note(reason)
    if form == "table" and len(table["run"].unique()) == 1:
        table = table.drop(columns=[*_HIDDEN, "data", "prior", "seed", "threshold"])
    elif len(table["run"].unique()) > 1:
        table = gt.summarise_retrained(table)
    show(records_of(table), form=form)
