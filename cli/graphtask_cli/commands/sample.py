"""``graphtask sample``: new graphs from the distribution of a set of graphs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from graphtask.validation import counted
from graphtask_cli.messages import note, progress, warn, warn_of_each
from graphtask_cli.options import (
    command,
    examples,
    format_option,
    graphs_argument,
    option,
    out_option,
    relative_option,
    seed_option,
    stages_option,
    table_option,
    threshold_option,
)
from graphtask_cli.param_types import PATH, Choice, Integer, Number
from graphtask_cli.render import show
from graphtask_cli.sources import listed
from graphtask_cli.tables import check_table_path, records_of, write_table

if TYPE_CHECKING:
    import igraph
    import pandas as pd

    from graphtask.distribution.model import GraphDistribution

_CORRESPOND: dict[str, Literal["auto"] | bool] = {"auto": "auto", "yes": True, "no": False}


@command(
    epilog=examples(
        "graphtask sample runs --threshold 0.006 --by dataset --label cmnist -n 20 -o samples",
        "graphtask sample runs/cmnist --threshold 0.006 -n 200 --table compared.csv --plot compared.svg --save cmnist.json",
        "graphtask sample --model cmnist.json -n 5 --seed 1 -o samples --mean-graph mean.svg",
    )
)
@graphs_argument
@option(
    "--by",
    default="dataset",
    metavar="KEY",
    section="Data",
    help="Key of the groups: folder, argument, or a key of the provenance (data, prior, seed …) or of the prior (p …).",
)
@option("--label", section="Data", show_default="all graphs", help="Use the graphs of this group only.")
@option(
    "--model",
    type=PATH,
    metavar="FILE",
    section="Model",
    help="Sample from a distribution that --save wrote; graphs, if passed too, are only compared with the samples.",
)
@option(
    "--correspond",
    type=Choice(list(_CORRESPOND)),
    default="auto",
    section="Model",
    help="Treat nodes of the same name as the same node; auto decides by the provenance.",
)
@option(
    "--shrinkage",
    type=Number(0),
    section="Model",
    show_default="maximum likelihood",
    help="Weight of the pooled rates against the rate of a node or an edge, in graphs.",
)
@option(
    "--repair",
    is_flag=True,
    section="Model",
    help="Draw once and connect the nodes that lack a neighbor, instead of drawing from P(G | valid).",
)
@option("-n", "--number", type=Integer(0), default=20, help="Number of graphs to sample.")
@seed_option
@option(
    "--refits",
    type=Integer(0),
    default=99,
    help="Refits to sampled graphs for the p-values of --table, which take most of its time; 0 for no p-values.",
)
@threshold_option(text="Prune the graphs at this threshold first; trained graphs have all their edges.")
@relative_option
@stages_option(section="Reading graphs")
@out_option(
    folder=True,
    text="Write the graphs to this folder as sample-0000.graphml …; created if missing, files of the same name are "
    "replaced.",
)
@table_option
@option(
    "--plot",
    type=PATH,
    metavar="FILE",
    section="Output",
    help="Draw the metrics of observed and sampled graphs (.svg, .pdf, .png).",
)
@option(
    "--mean-graph",
    "mean",
    type=PATH,
    metavar="FILE",
    section="Output",
    help="Write the mean graph (.graphml), or draw it next to the probabilities of edges (.svg, .pdf, .png).",
)
@option("--save", type=PATH, metavar="FILE", section="Output", help="Write the distribution to a .json file.")
@format_option
def sample(
    paths: tuple[str, ...],
    *,
    model: Path | None,
    threshold: float | None,
    relative: bool,
    by: str,
    label: str | None,
    number: int,
    seed: int,
    correspond: str,
    shrinkage: float | None,
    repair: bool,
    refits: int,
    stages: int | Sequence[int] | None,
    out: Path | None,
    table: Path | None,
    plot: Path | None,
    mean: Path | None,
    save: Path | None,
    form: str,
) -> None:
    """Fit a distribution to graphs, and sample new ones from it.

    The sampled graphs are valid, and drawn with the probability that ln P reports: ln P is the logarithm of the
    probability among valid graphs. --repair is faster, with other probabilities: it draws nodes and edges once, and
    connects the nodes that lack a neighbor.

    --table compares the metrics of observed and sampled graphs side by side. Its p_value tests whether their
    difference exceeds that of a correct model; p_westfall_young is corrected for the number of metrics. With a --model
    that was not fitted to the graphs, p_value is that of the Kolmogorov-Smirnov test.
    """
    import graphtask as gt

    if not paths and model is None:
        raise click.UsageError("missing graph files, runs or folders; or pass --model")
    if not paths and (table is not None or plot is not None):
        raise click.UsageError("--table and --plot require observed graphs")
    if (table is not None or plot is not None) and number == 0:
        raise click.UsageError("--table and --plot require sampled graphs; -n must be >= 1")
    _check_targets(table=table, plot=plot, mean=mean, save=save)
    distribution = None if model is None else gt.GraphDistribution.load(model)
    observed = (
        _observed(paths, by=by, label=label, threshold=threshold, relative=relative, stages=stages)
        if paths
        else []
    )
    options: dict[str, Any] = {"correspond": _CORRESPOND[correspond]}
    options["shrinkage"] = "auto" if shrinkage is None else shrinkage
    if distribution is None:
        distribution = gt.GraphDistribution.fit(observed, **options)
    with progress(visible=number > 50) as bar:
        drawn = distribution.samples(number, seed=seed, repair=repair)
        sampled = list(bar.track(drawn, total=number, description="sampling"))
    if save is not None:
        distribution.save(save)
        note(f"wrote {save}")
    if out is not None:
        _write_all(sampled, out)
    if mean is not None:
        _write_mean(distribution, mean, label)
    if table is not None or plot is not None:
        ours, theirs = (
            _measured(observed, "measuring observed graphs"),
            _measured(sampled, "measuring samples"),
        )
        if table is not None:
            rows = gt.GraphDistribution.compare_metrics(ours, theirs)
            if model is None:
                rows = _with_refitted_p(rows, observed, seed=seed, n_refits=refits, **options)
            write_table(records_of(rows), table)
            note(f"wrote {table}")
        if plot is not None:
            note(f"wrote {gt.plot.save(gt.plot.draw_observed_sampled(ours, theirs, title=label), plot)}")
    show([_record(distribution, observed, sampled)], form=form)


def _check_targets(*, table: Path | None, plot: Path | None, mean: Path | None, save: Path | None) -> None:
    """Check the paths before the work is done."""
    from graphtask.drawing.picture import SUFFIXES
    from graphtask.errors import ArgumentError
    from graphtask.storage.atomic import check_target

    if table is not None:
        check_table_path(table)
    for path, suffixes in ((plot, SUFFIXES), (mean, (".graphml", *SUFFIXES)), (save, (".json",))):
        if path is not None and path.suffix not in suffixes:
            *others, last = suffixes
            choice = f"{', '.join(others)} or {last}" if others else last
            raise ArgumentError(f"{path}: the suffix must be {choice}, got {path.suffix!r}")
        if path is not None:
            check_target(path)


def _observed(
    paths: tuple[str, ...],
    *,
    by: str,
    label: str | None,
    threshold: float | None,
    relative: bool,
    stages: int | Sequence[int] | None,
) -> "list[igraph.Graph]":
    import graphtask as gt

    found = gt.read_all(list(listed(paths)), by=by, threshold=threshold, relative=relative, stages=stages)
    warn_of_each(found.failures, prefix="left out: ")
    groups = found.groups()
    known = ", ".join(f"{name or '(none)'} ({len(graphs)})" for name, graphs in groups.items())
    if label is None:
        if len(groups) > 1:
            warn(f"graphs of {len(groups)} groups: {known}; --label selects one of them")
        return list(found.graphs)
    if label not in groups:
        raise gt.errors.ArgumentError(f"unknown label {label!r}; the labels by {by} are {known}")
    return groups[label]


def _write_all(sampled: "list[igraph.Graph]", out: Path) -> None:
    import graphtask as gt
    from graphtask.storage.atomic import check_folder

    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    names = [f"sample-{index:04}.graphml" for index in range(len(sampled))]
    others = len({path.name for path in out.glob("*.graphml")} - set(names))
    with progress(visible=len(sampled) > 50) as bar:
        for name, graph in zip(names, bar.track(sampled, description="writing"), strict=True):
            gt.write(graph, out / name)
    note(f"wrote {counted(len(sampled), 'graph')} to {out}")
    if others:
        warn(f"{out} also has {counted(others, 'graph')} of an earlier call")


def _write_mean(distribution: "GraphDistribution", path: Path, title: str | None) -> None:
    import graphtask as gt

    mean = distribution.mean_graph()
    if path.suffix == ".graphml":
        gt.write(mean, path)
    else:
        gt.plot.save(gt.plot.draw_distribution(distribution.edge_probabilities(), mean, title=title), path)
    note(f"wrote {path}")


def _with_refitted_p(
    rows: "pd.DataFrame", observed: "list[igraph.Graph]", *, n_refits: int, **options: Any
) -> "pd.DataFrame":
    """Return the rows with p-values that account for the fit to the observed graphs."""
    import pandas as pd

    import graphtask as gt
    from graphtask.distribution.goodness import LOG_PROB

    rows = rows.drop(columns="p_value")
    if n_refits == 0:
        return rows
    with progress() as bar:
        bar.add_task("refitting", total=None)
        check = gt.GraphDistribution.goodness_of_fit(observed, n_refits=n_refits, **options)
    found = rows.merge(check[["metric", "p_value", "p_westfall_young", "n_refits"]], on="metric", how="left")
    return pd.concat([found, check[check["metric"] == LOG_PROB]], ignore_index=True)


def _measured(graphs: "list[igraph.Graph]", description: str) -> "pd.DataFrame":
    import graphtask as gt

    with progress(visible=len(graphs) > 50) as bar:
        return gt.measure_all(bar.track(graphs, description=description))


def _record(
    distribution: "GraphDistribution", observed: "list[igraph.Graph]", sampled: "list[igraph.Graph]"
) -> dict[str, Any]:
    import graphtask as gt

    record: dict[str, Any] = {
        "graphs": distribution.n_graphs,
        "nodes_correspond": distribution.corresponds,
        "log_normalizer": distribution.log_normalizer.value,
        "log_normalizer_error": distribution.log_normalizer.error,
    }
    if observed:
        values = [distribution.log_prob(graph) for graph in observed]
        record |= {
            "mean_log_prob": sum(values) / len(values),
            "observed_nodes": sum(graph.vcount() for graph in observed) / len(observed),
        }
    record |= {"observed_edges": distribution.mean_edges, "samples": len(sampled)}
    if sampled:
        record |= {
            "sampled_nodes": sum(graph.vcount() for graph in sampled) / len(sampled),
            "sampled_edges": sum(graph.ecount() for graph in sampled) / len(sampled),
        }
        histories = [gt.provenance(graph)["sampled"] for graph in sampled]
        record["method"] = histories[0]["method"]
        if record["method"] == "mcmc":
            record["sweeps"] = distribution.sampling_plan.sweeps
            record["r_hat"] = distribution.sampling_plan.r_hat
        if record["method"] == "repair":
            changed = [own for own in histories if own["added_edges"] or own["dropped_nodes"]]
            record["repaired_graphs"] = len(changed)
            record["added_edges_per_graph"] = sum(own["added_edges"] for own in histories) / len(sampled)
    return record
