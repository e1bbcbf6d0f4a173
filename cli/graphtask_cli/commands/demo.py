"""``graphtask demo``: the whole pipeline on images that need no download, small enough for a laptop."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from graphtask_cli.messages import is_quiet, note, proposal, say
from graphtask_cli.options import PAPER_THRESHOLD, command, examples, jobs_option, out_option
from graphtask_cli.render import show_turned
from graphtask_cli.tables import write_table

if TYPE_CHECKING:
    import igraph
    import pandas as pd

    from graphtask.study.job import Job
    from graphtask.study.study import Study
    from graphtask.training.run import Run

DATA = ("cdigits", "cdigits_t8")
SEEDS = (0, 1)
NODES = 12
STAGES = 3
CHANNELS = 5
# The paper's recipe except for its length and λ: 100 epochs of 50,000 images have 160 times as many steps in which
# weights shrink, so each step has a larger penalty here.
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


@command(epilog=examples("graphtask demo -o demo"))
@out_option(text="Folder of all results; created if missing.", folder=True, default="demo")
@jobs_option(default="2, or 1 on one core", text="Networks that train in parallel, one CPU thread each.")
def demo(out: Path, n_jobs: int | None) -> None:
    """Train, prune, measure and draw four small networks.

    Uses two data sets made from scikit-learn's digits (in random colors; whole, and cut into shuffled tiles), with
    two seeds each. Takes two to four minutes on two CPU cores, and writes pictures, a table and a report page with
    interactive graphs. If interrupted, run the same command again to resume.
    """
    run_demo(out, n_jobs=n_jobs or min(2, os.cpu_count() or 1))


def run_demo(out: Path, *, n_jobs: int = 2) -> None:
    """Run the pipeline for every data set and seed, and write every intermediate result to ``out``.

    Args:
        out: The folder; created if missing.
        n_jobs: Networks that train in parallel.

    Raises:
        RunError: A network could not be trained.
    """
    import graphtask as gt

    start = time.monotonic()
    graph = gt.full_dag(NODES, stages=STAGES)
    (out / "pruned").mkdir(parents=True, exist_ok=True)
    gt.write(graph, out / _FULL)
    _draw_initial(graph, out)
    study = _study(out)
    note(
        f"{len(study.jobs)} networks from the full DAG with {graph.vcount()} nodes and {graph.ecount()} edges, "
        f"{OPTIONS['epochs']} epochs each, {n_jobs} in parallel; results go to {out}/"
    )
    report = study.run(n_jobs=n_jobs, progress=not is_quiet())
    for name, reason in report.failed.items():
        raise gt.errors.RunError(f"{name}: {reason}")
    outcomes = [_outcome(job, out) for job in study.jobs]
    _print_results(outcomes, out)
    _draw_all(graph, outcomes, out)
    _write_report(study, out)
    for line in _next_steps(out, seconds=time.monotonic() - start):
        say(line)


def _study(out: Path) -> "Study":
    """Return the networks, each on one thread: a second thread would mostly wait for the first."""
    from graphtask.study.job import Job, Prior
    from graphtask.study.study import Study
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
                threshold=PAPER_THRESHOLD,
                **OPTIONS,
            ),
            threshold=PAPER_THRESHOLD,
            label=f"{data}-{seed}",
        )
        for data in DATA
        for seed in SEEDS
    )
    return Study(name="demo", out=runs, threshold=PAPER_THRESHOLD, jobs=jobs)


def _outcome(job: "Job", out: Path) -> Outcome:
    import graphtask as gt
    from graphtask.training.device import limited_threads

    run = gt.Run.open(job.folder)
    pruned = gt.prune(run.graph, threshold=PAPER_THRESHOLD)
    gt.write(pruned, out / "pruned" / f"{job.name}.graphml")
    with limited_threads(1):
        report = gt.training.parity(run, threshold=PAPER_THRESHOLD, device="cpu")
    return Outcome(job.name, job.data_name, job.seed, pruned, report.score_trained, report.score_pruned)


def _print_results(outcomes: list[Outcome], out: Path) -> None:
    import graphtask as gt

    table = gt.measure_all([outcome.pruned for outcome in outcomes], channels=CHANNELS)
    records: list[dict[str, Any]] = [
        {
            "graph": outcome.name,
            "test_accuracy": outcome.trained_accuracy,
            "test_accuracy_pruned": outcome.pruned_accuracy,
            **{str(name): value for name, value in row.items()},
        }
        for outcome, row in zip(outcomes, table.to_dict("records"), strict=True)
    ]
    write_table(records, out / "metrics.csv")
    show_turned(records)


def _draw_initial(graph: "igraph.Graph", out: Path) -> None:
    import graphtask as gt

    title = f"full DAG, {graph.ecount()} edges"
    note(f"wrote {gt.plot.save(gt.draw(graph, title=title), out / 'full.svg')}")


def _draw_all(graph: "igraph.Graph", outcomes: list[Outcome], out: Path) -> None:
    import graphtask as gt

    for outcome in outcomes:
        title = f"{outcome.data}, seed {outcome.seed}: {outcome.pruned_accuracy:.1%} test accuracy"
        gt.plot.save(gt.draw(outcome.pruned, title=title), out / "pruned" / f"{outcome.name}.svg")
    pictures = {"initial graph": graph, **{f"{o.data}, seed {o.seed}": o.pruned for o in outcomes}}
    gt.plot.save(gt.plot.draw_grid(pictures, same_layout=True), out / "overview.png")


def _write_report(study: "Study", out: Path) -> None:
    import graphtask as gt
    from graphtask.training.device import limited_threads

    with limited_threads(1):
        sweeps = {str(job.folder): _sweep(gt.Run.open(job.folder)) for job in study.jobs}
    gt.report(
        list(sweeps),
        out=out / "report.html",
        threshold=PAPER_THRESHOLD,
        sweeps=sweeps,
        title="graphtask demo",
    )


def _sweep(run: "Run") -> "pd.DataFrame":
    """Return a coarse sweep of a run: a quarter of the usual thresholds, which are a third of the work of the demo."""
    import graphtask as gt
    from graphtask.training.sweep import threshold_grid

    thresholds = sorted({PAPER_THRESHOLD, *threshold_grid(run.graph)[::4]})
    return gt.sweep(run, thresholds=thresholds, device="cpu", progress=False).table


def _next_steps(out: Path, *, seconds: float) -> list[str]:
    from graphtask.terminal import duration

    name = f"{DATA[0]}-{SEEDS[0]}"
    run, pruned = out / "runs" / name, out / "pruned" / f"{name}.graphml"
    calls = [
        (("draw", run, "--threshold", PAPER_THRESHOLD, "-o", out / "cut.svg"), "edges that pruning removed"),
        (("prune", run, "--threshold", 0.05, "--parity"), "a higher threshold"),
        (("compile", pruned, "--channels", CHANNELS), "size of the pruned network"),
        (
            ("train", out / _FULL, "--data", "cmnist", "--download", "-o", "runs/cmnist-0"),
            "the paper's training configuration",
        ),
    ]
    return [
        f"finished in {duration(seconds)}; see {out}/overview.png, {out}/metrics.csv and {out}/report.html",
        "next, for example:",
        *(f"  {proposal(*words)}  # {why}" for words, why in calls),
    ]
