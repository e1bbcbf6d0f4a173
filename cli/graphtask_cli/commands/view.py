"""``graphtask view``: the explorer of one graph as an HTML page."""

from pathlib import Path

import click

from graphtask_cli.messages import note
from graphtask_cli.options import command, examples, option, out_option, threshold_option


@command(
    epilog=examples(
        "graphtask view trained.graphml -o graph.html",
        "graphtask view runs/full-0 --threshold 0.006 -o graph.html",
    )
)
@click.argument("source", metavar="GRAPH|RUN")
@threshold_option(default=0.0, text="Threshold that is shown first.")
@option("--open", "opened", is_flag=True, section="Output", help="Open the page in the default browser.")
@out_option(text="Path of the .html file.", required=True)
def view(source: str, *, threshold: float, opened: bool, out: Path) -> None:
    """Write an interactive page of one graph: threshold slider, dead paths, details of nodes and edges."""
    import graphtask as gt
    from graphtask.runs.history import load_history
    from graphtask.runs.layout import HISTORY, is_run
    from graphtask.runs.manifest import check_files

    found = gt.read_all([source], strict=True)
    history = None
    if is_run(source):
        check_files(Path(source), (HISTORY,))
        history = load_history(Path(source) / HISTORY)
    gt.view(found.graphs[0], out=out, threshold=threshold, history=history, title=found.names[0])
    note(f"wrote {out}")
    if opened:
        click.launch(str(out))
