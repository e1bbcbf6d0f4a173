"""``graphtask demo``: the whole job on images that need no download, small enough for a laptop."""

import csv
import multiprocessing
import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from graphtask_cli.options import examples
from graphtask_cli.output import note, progress, show_turned, write_table

if TYPE_CHECKING:
    import igraph

DATA = ("cdigits", "cdigits_t8")
SEEDS = (0, 1)
NODES = 12
STAGES = 3
CHANNELS = 5
THRESHOLD = 0.006
# The paper's recipe but for its length and its price: 100 epochs of 50,000 images have 160 times as many steps in
# which to give connections up, so each step asks more for them here.
REGIME: dict[str, Any] = {"epochs": 16, "batch_size": 32, "resource_price": 0.02}

_FULL = "full.graphml"
_LOOK = 0.5  # seconds between two looks at how far the runs are


class Job(NamedTuple):
    """One network to train; everything that a process of its own needs to know."""

    out: Path
    data: str
    seed: int
    channels: int
    regime: dict[str, Any]

    @property
    def name(self) -> str:
        """How the network is called in tables and files."""
        return f"{self.data}-{self.seed}"

    @property
    def folder(self) -> Path:
        """Where its run is stored."""
        return self.out / "runs" / self.name


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

    Two data sets that come with scikit-learn (digits in random colours, whole and cut into shuffled tiles), two seeds
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
    jobs = [
        Job(out, data, seed, CHANNELS, {**REGIME, "threshold": THRESHOLD}) for data in DATA for seed in SEEDS
    ]
    note(
        f"{len(jobs)} networks from the full DAG with {graph.vcount()} nodes and {graph.ecount()} edges, "
        f"{REGIME['epochs']} epochs each, {n_jobs} at a time; everything goes to {out}/"
    )
    _train_all(jobs, n_jobs=n_jobs)
    outcomes = [_outcome(job) for job in jobs]
    _print_results(outcomes, out)
    _draw_all(graph, outcomes, out)
    click.echo(_what_next(out, seconds=time.monotonic() - start))


def _train_all(jobs: list[Job], *, n_jobs: int) -> None:
    """Train in processes of one thread each: small networks leave a second thread mostly waiting for the first."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context) as pool, progress() as bar:
        tasks = [bar.add_task(job.name, total=job.regime["epochs"]) for job in jobs]
        running: dict[Future[None], Job] = {pool.submit(_train, job): job for job in jobs}
        while running:
            done, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
            for job, task in zip(jobs, tasks, strict=True):
                bar.update(task, completed=len(_epochs(job)))
            for future in done:
                job = running.pop(future)
                try:
                    future.result()
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
                last = _epochs(job)[-1]
                note(
                    f"{job.name}: test accuracy {float(last['test_accuracy']):.1%}, {last['live_edges']} live edges"
                )


def _train(job: Job) -> None:
    import graphtask as gt

    gt.train(
        gt.read(job.out / _FULL),
        data=job.data,
        out=job.folder,
        channels=job.channels,
        seed=job.seed,
        regime=gt.Regime(**job.regime),
        device="cpu",
        threads=1,
        progress=False,
    )


def _epochs(job: Job) -> list[dict[str, str]]:
    """The epochs that a run has recorded so far."""
    try:
        with (job.folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def _outcome(job: Job) -> Outcome:
    import graphtask as gt
    from graphtask.training.device import limited_threads

    run = gt.open_run(job.folder)
    pruned = gt.prune(run.graph, threshold=THRESHOLD)
    gt.write(pruned, job.out / "pruned" / f"{job.name}.graphml")
    with limited_threads(1):
        report = gt.parity(run, threshold=THRESHOLD, device="cpu")
    return Outcome(job.name, job.data, job.seed, pruned, report.accuracy_trained, report.accuracy_pruned)


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
