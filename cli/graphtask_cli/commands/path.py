"""``graphtask path``: networks along a sequence of λ."""

from pathlib import Path
from typing import Any

import click

from graphtask_cli.commands.train import read_inputs, training_options
from graphtask_cli.figures import check_figure_path, save_plot
from graphtask_cli.messages import is_quiet, note
from graphtask_cli.options import (
    command,
    examples,
    format_option,
    metrics_option,
    option,
    out_option,
    plot_option,
    reading_options,
    table_option,
)
from graphtask_cli.param_types import PATH, THRESHOLDS
from graphtask_cli.render import show
from graphtask_cli.tables import check_table_path, records_of, write_table

_SHOWN = ("edge_l1", "status", "sparsity", "edges", "nodes")


@command(
    epilog=examples(
        "graphtask path full.graphml --data cdigits --channels 5 --epochs 8 --batch-size 32 --edge-l1 0.02 -o runs/path",
        "graphtask path full.graphml --data cdigits --channels 5 --epochs 8 --edge-l1s log:0.002:0.2:9 -o runs/path-9 --plot path.svg",
    )
)
@click.argument("graph_file", type=PATH, metavar="GRAPH")
@option(
    "--edge-l1s",
    type=THRESHOLDS,
    section="Optimization",
    show_default="seven from a tenth to ten times --edge-l1",
    help="Values of λ: a list such as 0.001,0.01, or log:START:STOP:COUNT such as log:0.001:0.1:9, by equal factors.",
)
@training_options
@metrics_option
@reading_options
@out_option(folder=True, required=True, text="Folder of the runs, edge_l1-λ; created if missing.")
@table_option
@plot_option
@format_option
@click.pass_context
def path(
    ctx: click.Context,
    /,
    graph_file: Path,
    *,
    config_file: Path | None,
    edge_l1s: list[float] | None,
    metrics: str | list[str],
    out: Path,
    table: Path | None,
    plot: Path | None,
    form: str,
    **options: Any,
) -> None:
    """Train along a path of the L1 penalty, each run started from the one before.

    The runs go from small to large λ: the first network has all edges, and each next one starts with the parameters of
    the one before and loses more of them. --epochs is the number of epochs for each λ. If interrupted, run the same
    command again to resume. The table has the score and the metrics of each graph, pruned at --threshold.
    """
    import graphtask as gt
    from graphtask.columns import score_of

    if table is not None:
        check_table_path(table)
    if plot is not None:
        check_figure_path(plot)
    graph, config = read_inputs(ctx, graph_file, config_file, options)
    found = gt.l1_path(
        graph,
        config,
        edge_l1s=edge_l1s,
        threshold=config.optimization.threshold,
        metrics=metrics,
        out=out,
        progress=not is_quiet(),
    )
    if table is not None:
        write_table(records_of(found.table), table)
        note(f"wrote {table}")
    if plot is not None:
        save_plot(found.plot(), plot, found.table)
    shown = [_SHOWN[0], f"test_{score_of(found.table.columns)}", *_SHOWN[1:]]
    show(records_of(found.table[shown] if form == "table" else found.table), form=form)
