"""``graphtask prune``: removal of the edges that a trained graph does not use."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.messages import warn
from graphtask_cli.options import (
    command,
    data_root_option,
    device_option,
    examples,
    format_option,
    imports_option,
    option,
    out_option,
    paper_threshold_option,
    reading_options,
    relative_option,
    threads_option,
)
from graphtask_cli.param_types import PATH
from graphtask_cli.render import rounded, show
from graphtask_cli.sources import graph_path, is_run, named, read_graph
from graphtask_cli.streams import is_stream, write_graph

if TYPE_CHECKING:
    import igraph


@command(
    epilog=examples(
        "graphtask prune runs/full-0 --threshold 0.006 -o pruned.graphml",
        "graphtask prune runs/full-0 --threshold 0.1 --relative -o pruned.graphml",
        "graphtask prune runs/full-0 --parity",
        "graphtask prune runs/full-0 -o - | graphtask draw - -o pruned.svg",
    )
)
@click.argument("source", type=PATH, metavar="RUN|GRAPH|-")
@paper_threshold_option
@relative_option
@option(
    "--parity",
    is_flag=True,
    section="Pruning",
    help="Compare the pruned network of a run with the trained one on the test images.",
)
@imports_option
@data_root_option
@device_option
@threads_option()
@reading_options
@out_option(text="GraphML file for the pruned graph; - for standard output, in the place of the sizes.")
@format_option
def prune(
    source: Path,
    *,
    threshold: float,
    relative: bool,
    out: Path | None,
    parity: bool,
    imports: tuple[str, ...],
    data_root: Path | None,
    device: str,
    threads: int | None,
    form: str,
    **reading: Any,
) -> None:
    """Remove weak edges and dead paths of a trained graph.

    Prints the size before and after, and the critical threshold: the largest that keeps input and output connected.

    Edges whose weight equals the threshold stay: at 0 nothing is removed, and any threshold above 0 removes edges of
    weight 0.

    --parity compares five networks on the test images: trained; thresholded, with weak edges at zero; cut, with the
    edges of dead paths at zero as well; pruned, the small network of the pruned graph; and folded, the pruned one with
    the constants that dead nodes send on. Cut and pruned are the same function, and so are thresholded and folded.
    Differences are the largest of any logit; largest_logit is their scale.
    """
    import graphtask as gt

    if parity and not is_run(source):
        raise click.UsageError(f"--parity requires the folder of a run; {source} is not one")
    graph = read_graph(graph_path(source), **reading)
    with named(source):
        pruned = gt.prune(graph, threshold=threshold, relative=relative)
        record = _record(graph, pruned, threshold=threshold, relative=relative)
    if not relative:
        for hint in _hints(source, graph, threshold=threshold):
            warn(hint)
    if out is not None:
        write_graph(pruned, out)
    if parity:
        from graphtask.training.device import limited_threads

        with limited_threads(threads), named(source):
            run = gt.Run.open(source, imports=imports)
            found = gt.training.parity(
                run, threshold=threshold, relative=relative, data=run.data(root=data_root), device=device
            )
            report = asdict(found)
        renamed = {name.replace("score", run.score): value for name, value in report.items()}
        record |= {name: value for name, value in renamed.items() if name not in record}
    if not is_stream(out):
        show([record], form=form)


def _hints(source: Path, graph: "igraph.Graph", *, threshold: float) -> list[str]:
    """Return why nothing is pruned, and whether training had settled, as far as the source records it."""
    import graphtask as gt
    from graphtask.runs.settling import SETTLED

    weights = graph.es["weight"]
    if is_run(source):
        from graphtask.training.hints import folder_hints

        return folder_hints(source, weights, threshold=threshold)
    hints = []
    change = gt.provenance(graph).get("edge_change")
    if isinstance(change, float) and change > SETTLED:
        hints.append(
            f"the edges had not settled: they still changed by {change:.1%} in the last epoch of training; train longer"
        )
    if min(weights) >= threshold > 0:
        hints.append(
            f"no edge is below the threshold {threshold:g}: the smallest weight is {rounded(min(weights))}; raise "
            f"--threshold, or train longer or with a larger --edge-l1"
        )
    return hints


def _record(
    graph: "igraph.Graph", pruned: "igraph.Graph", *, threshold: float, relative: bool
) -> dict[str, Any]:
    import graphtask as gt
    from graphtask.pruning import pruned_parts

    parts = pruned_parts(graph, threshold=threshold, relative=relative)
    return {
        "threshold": threshold,
        "critical_threshold": gt.critical_threshold(graph, relative=relative),
        "edges_before": graph.ecount(),
        "edges_after": pruned.ecount(),
        "nodes_before": graph.vcount(),
        "nodes_after": pruned.vcount(),
        "weak_edges": int(parts.weak_edges.sum()),
        "edges_on_dead_paths": int(parts.dead_edges.sum()),
    }
