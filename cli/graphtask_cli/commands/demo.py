"""``graphtask demo``: the whole job on images that need no download, small enough for a laptop."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from graphtask_cli.options import examples
from graphtask_cli.output import note, proposal, show_turned, write_table

if TYPE_CHECKING:
    import igraph

    from graphtask.study.job import Job
    from graphtask.study.spec import Study

DATA = ("cdigits", "cdigits_t8")
SEEDS = (0, 1)
NODES = 12
STAGES = 3
CHANNELS = 5
THRESHOLD = 0.006
# The paper's recipe but for its length and its price: 100 epochs of 50,000 images have 160 times as many steps in
# which to give connections up, so each step asks more for them here.
OPTIONS: dict[str, Any] = {"epochs": 16, "batch_size": 32, "edge_l1": 0.02}

_FULL = "full.graphml"


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
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Networks to train at a time, one CPU thread each.  [default: 2, or 1 on one core]",
)
def demo(out: Path, jobs: int | None) -> None:
    """Train, prune, measure and draw four small networks.

    Two data sets that come with scikit-learn (digits in random colors, whole and cut into shuffled tiles), two seeds
    each: a few minutes on two CPU cores. Stopped half-way, the same command goes on where it was.
    """
    run_demo(out, n_jobs=jobs or min(2, os.cpu_count() or 1))


def run_demo(out: Path, *, n_jobs: int = 2) -> None:
    """Do the main job for every data set and seed, and leave every step in ``out``."""
    import graphtask as gt

    start = time.monotonic()
    graph = gt.full_dag(NODES, stages=STAGES)
    (out / "pruned").mkdir(parents=True, exist_ok=True)
    gt.write(graph, out / _FULL)
    study = _study(out)
    note(
        f"{len(study.jobs)} networks from the full DAG with {graph.vcount()} nodes and {graph.ecount()} edges, "
        f"{OPTIONS['epochs']} epochs each, {n_jobs} at a time; everything goes to {out}/"
    )
    report = gt.run_study(study, jobs=n_jobs)
    for name, reason in report.failed.items():
        raise gt.RunError(f"{name}: {reason}")
    outcomes = [_outcome(job, out) for job in study.jobs]
    _print_results(outcomes, out)
    _draw_all(graph, outcomes, out)
    click.echo(_what_next(out, seconds=time.monotonic() - start))


def _study(out: Path) -> "Study":
    """The networks, each on one thread: small ones leave a second thread mostly waiting for the first."""
    from graphtask.study.job import Job, Prior
    from graphtask.study.spec import Study
    from graphtask.training.config import TrainConfig

    runs = (out / "runs").absolute()
    jobs = tuple(
        Job(
            out=runs,
            prior=Prior(name="full", kind="full", arguments={"n_nodes": NODES, "stages": STAGES}),
            config=TrainConfig(
                data=data,
                data_name=data,
                seed=seed,
                channels=CHANNELS,
                device="cpu",
                threads=1,
                threshold=THRESHOLD,
                **OPTIONS,
            ),
            threshold=THRESHOLD,
            label=f"{data}-{seed}",
        )
        for data in DATA
        for seed in SEEDS
    )
    return Study(name="demo", out=runs, threshold=THRESHOLD, jobs=jobs)


def _outcome(job: "Job", out: Path) -> Outcome:
    import graphtask as gt
    from graphtask.training.device import limited_threads

    run = gt.Run.open(job.folder)
    pruned = gt.prune(run.graph, threshold=THRESHOLD)
    gt.write(pruned, out / "pruned" / f"{job.name}.graphml")
    with limited_threads(1):
        report = gt.parity(run, threshold=THRESHOLD, device="cpu")
    return Outcome(job.name, job.data_name, job.seed, pruned, report.accuracy_trained, report.accuracy_pruned)


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
    show_turned(records)


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
    run, pruned = out / "runs" / name, out / "pruned" / f"{name}.graphml"
    calls = [
        (("draw", run, "--threshold", THRESHOLD, "-o", out / "cut.svg"), "what pruning removed"),
        (("prune", run, "--threshold", 0.05, "--parity"), "a harder threshold"),
        (("compile", pruned, "--channels", CHANNELS), "what the small network costs"),
        (
            ("train", out / _FULL, "--data", "cmnist", "--download", "--out", "runs/cmnist-0"),
            "the paper's regime",
        ),
    ]
    return "\n".join(
        [
            f"done in {seconds:.0f} s; look at {out}/overview.png, {out}/pruned/*.svg and {out}/metrics.csv",
            "next, for example:",
            *(f"  {proposal(*words)}  # {why}" for words, why in calls),
        ]
    )
