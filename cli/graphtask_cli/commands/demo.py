"""``graphtask demo``: the whole job on images that need no download, small enough for a laptop."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from graphtask_cli.options import examples, threads_option
from graphtask_cli.output import note, show, write_table

if TYPE_CHECKING:
    import igraph

DATA = ("cdigits", "cdigits_t8")
SEEDS = (0, 1)
NODES = 12
STAGES = 3
CHANNELS = 6
THRESHOLD = 0.006
# The paper's recipe, with fewer epochs and a higher price: few epochs must be enough to give connections up.
REGIME: dict[str, Any] = {
    "epochs": 20,
    "batch_size": 64,
    "resource_price": 0.01,
    "flip": False,
    "crop_padding": 2,
}


class Outcome(NamedTuple):
    """One trained and pruned network."""

    name: str
    data: str
    seed: int
    pruned: "igraph.Graph"
    trained_accuracy: float
    pruned_accuracy: float


@click.command(epilog=examples("graphtask demo --out demo"))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for all results; made if need be.",
)
@threads_option
def demo(out: Path, threads: int | None) -> None:
    """Train, prune, measure and draw four small networks.

    Two data sets that come with scikit-learn (digits in random colours, whole and cut into shuffled tiles), two seeds
    each: a few minutes on two CPU cores. Stopped half-way, the same command goes on where it was.
    """
    run_demo(out, threads=threads)


def run_demo(out: Path, *, threads: int | None = None) -> None:
    """Do the main job for every data set and seed, and leave every step in ``out``."""
    import graphtask as gt

    start = time.monotonic()
    (out / "pruned").mkdir(parents=True, exist_ok=True)
    graph = gt.full_dag(NODES, stages=STAGES)
    gt.write(graph, out / "full.graphml")
    note(f"full DAG: {graph.vcount()} nodes, {graph.ecount()} edges; everything goes to {out}/")
    jobs = [(data, seed) for data in DATA for seed in SEEDS]
    outcomes = []
    for index, (data, seed) in enumerate(jobs, start=1):
        note(f"network {index} of {len(jobs)}: {data}, seed {seed}")
        outcomes.append(_outcome(graph, out, data=data, seed=seed, threads=threads))
    _print_results(outcomes, out)
    _draw_all(graph, outcomes, out)
    click.echo(_what_next(out, seconds=time.monotonic() - start))


def _outcome(graph: "igraph.Graph", out: Path, *, data: str, seed: int, threads: int | None) -> Outcome:
    import graphtask as gt

    name = f"{data}-{seed}"
    run = gt.train(
        graph,
        data=data,
        out=out / "runs" / name,
        channels=CHANNELS,
        seed=seed,
        regime=gt.Regime(threshold=THRESHOLD, **REGIME),
        threads=threads,
    )
    pruned = gt.prune(run.graph, threshold=THRESHOLD)
    gt.write(pruned, out / "pruned" / f"{name}.graphml")
    report = gt.parity(run, threshold=THRESHOLD)
    return Outcome(name, data, seed, pruned, report.accuracy_trained, report.accuracy_pruned)


def _print_results(outcomes: list[Outcome], out: Path) -> None:
    import graphtask as gt

    table = gt.measure_all([outcome.pruned for outcome in outcomes], channels=CHANNELS)
    records: list[dict[str, Any]] = [
        {
            "graph": outcome.name,
            "accuracy_trained": outcome.trained_accuracy,
            "accuracy_pruned": outcome.pruned_accuracy,
            **{str(name): value for name, value in row.items()},
        }
        for outcome, row in zip(outcomes, table.to_dict("records"), strict=True)
    ]
    write_table(records, out / "metrics.csv")
    show(records, form="table")


def _draw_all(graph: "igraph.Graph", outcomes: list[Outcome], out: Path) -> None:
    import graphtask as gt

    title = f"full DAG, {graph.ecount()} edges"
    gt.save_figure(gt.draw(graph, title=title), out / "full.svg")
    for outcome in outcomes:
        title = f"{outcome.data}, seed {outcome.seed}: {outcome.pruned_accuracy:.1%} on the test images"
        gt.save_figure(gt.draw(outcome.pruned, title=title), out / "pruned" / f"{outcome.name}.svg")
    pictures = {"the start": graph, **{f"{o.data}, seed {o.seed}": o.pruned for o in outcomes}}
    gt.save_figure(gt.draw_grid(pictures), out / "overview.png")


def _what_next(out: Path, *, seconds: float) -> str:
    name = f"{DATA[0]}-{SEEDS[0]}"
    return "\n".join(
        [
            f"done in {seconds:.0f} s; look at {out}/overview.png, {out}/pruned/*.svg and {out}/metrics.csv",
            "next, for example:",
            f"  graphtask draw {out}/runs/{name} --threshold {THRESHOLD} -o {out}/cut.svg      what pruning removed",
            f"  graphtask prune {out}/runs/{name} --threshold 0.05 --parity            a harder threshold",
            f"  graphtask compile {out}/pruned/{name}.graphml --channels {CHANNELS}          what the small network costs",
            f"  graphtask train {out}/full.graphml --data cmnist --download --out runs/cmnist-0   the paper's regime",
        ]
    )
