"""`Study`: many runs from one file, trained, watched and summarized."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from graphtask.engines.protocol import Engine
from graphtask.study import cost, results, status, summary
from graphtask.study.driver import Report, drive
from graphtask.study.job import Job
from graphtask.study.local import local_engine
from graphtask.study.progress import Silence, StudyProgress
from graphtask.study.spec import check_snapshot, read_plan, write_snapshot
from graphtask.validation import counted, integer

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Study:
    """Many runs: every initial graph (prior) on every data set with every seed.

    Args:
        name: Name of the study.
        out: Folder of all runs; that of a run is ``<out>/<dataset>/<prior>/seed-<seed>``.
        threshold: Threshold at which trained graphs are pruned for the table of results.
        jobs: The runs, in the order in which they start: first one seed of everything.

    Example:
        >>> study = Study.read(
        ...     {
        ...         "name": "small",
        ...         "seeds": 2,
        ...         "priors": {"full": {"nodes": 8}},
        ...         "data": {"cdigits": {}, "cdigits_t8": {"epochs": 20}},
        ...     }
        ... )
        >>> [job.name for job in study.jobs][:3], study.jobs[1].config.optimization.epochs
        (['cdigits/full/seed-0', 'cdigits_t8/full/seed-0', 'cdigits/full/seed-1'], 20)
    """

    name: str
    out: Path
    threshold: float
    jobs: tuple[Job, ...]

    def __repr__(self) -> str:
        n_data = len({job.data_name for job in self.jobs})
        n_priors = len({job.prior.name for job in self.jobs})
        return (
            f"Study({self.name!r}, {counted(len(self.jobs), 'run')}: {counted(n_data, 'data set')}, "
            f"{counted(n_priors, 'prior')}; out {str(self.out)!r})"
        )

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import study_card

        return study_card(self)

    @classmethod
    def read(
        cls,
        source: str | Path | Mapping[str, Any],
        *,
        out: str | Path | None = None,
        data_root: str | Path | None = None,
        threads: int | None = None,
        imports: Collection[str] = (),
    ) -> Self:
        """Read a study from a study file, or from the folder of its runs.

        Args:
            source: Study file (TOML; ``docs/studies.md`` describes it), folder of a study that has run, or a dictionary
                with the content of a study file.
            out: Folder of all runs; overrides the file.
            data_root: Folder of the named data sets; overrides the file.
            threads: CPU threads of each run; overrides the file.
            imports: Names of code, as ``package.module:name``, that the folder of a study may name; a study file may
                name any.

        Raises:
            FormatError: The file cannot be read, or is not valid TOML.
            ArgumentError: A key is unknown or a value is invalid; the message names the table.
            RunError: The folder holds no study, a damaged one, or one that names other code.
        """
        plan = read_plan(source, out=out, data_root=data_root, threads=threads, imports=imports)
        return cls(**plan._asdict())

    def check_out(self) -> None:
        """Check that the folder of the runs can be used; nothing is created or written.

        Raises:
            RunError: The folder holds another study.
            GraphtaskError: It cannot be created, or is not writable.
        """
        check_snapshot(self.out, name=self.name)

    def save(self) -> None:
        """Write the study to ``study.json`` in its folder.

        Raises:
            RunError: The folder holds another study, or cannot be created.
            GraphtaskError: The file cannot be written.
        """
        write_snapshot(self.out, name=self.name, threshold=self.threshold, jobs=self.jobs)

    def run(
        self,
        *,
        n_jobs: int | None = None,
        gpus: Sequence[int] | None = None,
        jobs_per_gpu: int = 1,
        engine: Engine | None = None,
        retries: int = 2,
        progress: bool = True,
    ) -> Report:
        """Train every run that is not finished.

        A failed run does not stop the others. A run whose process dies is retried from its last checkpoint. If the call
        is interrupted or killed, repeat it to resume. Several calls, also on several machines that share the folder,
        may work on one study: no run is trained twice.

        Args:
            n_jobs: Processes on the CPU; None selects one for every ``threads`` cores.
            gpus: Numbers of the GPUs to use; None selects all of them, unless the study uses the CPU.
            jobs_per_gpu: Processes per GPU.
            engine: Another place for the runs, such as `graphtask.engines.RayEngine`; excludes ``n_jobs``, ``gpus``, ``jobs_per_gpu``.
            retries: Retries of a run whose process died, before each new checkpoint.
            progress: Report on standard error.

        Returns:
            Number of finished runs, and the reasons why the others are not.

        Raises:
            ArgumentError: An option is out of range.
            RunError: The folder holds another study, or cannot be used.
            RunInterruptedError: Ctrl-C or SIGTERM; the state of all runs is saved.

        Example:
            >>> import graphtask as gt
            >>> study = gt.Study.read("studies/digits.toml")  # doctest: +SKIP
            >>> study.run().n_finished  # doctest: +SKIP
            6
            >>> study.results()[["dataset", "seed", "test_accuracy_pruned", "sparsity"]]  # doctest: +SKIP
        """
        integer(retries, name="retries", least=0)
        if engine is None:
            engine = local_engine(self.jobs, n_jobs=n_jobs, gpus=gpus, jobs_per_gpu=jobs_per_gpu)
        self.save()
        reporter = StudyProgress(self.jobs, engine) if progress else Silence()
        return drive(self, engine, retries=retries, reporter=reporter)

    def status(self) -> "pd.DataFrame":
        """Return the progress of every run, in the order in which they start; running ones are not disturbed.

        The columns are ``run``, ``dataset``, ``prior``, ``seed``, ``status`` (``waiting``, ``running``, ``finished``,
        ``failed``), ``error``, ``epoch`` (number of finished ones), ``epochs``, ``test_accuracy``, ``live_edges``,
        ``edge_change`` (relative, in the last epoch), ``settled`` (True if it is at most 1 %), ``seconds_per_epoch``
        and ``seconds_left``; missing if unknown. An interrupted run is waiting.

        Example:
            >>> values = {"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": "no/such"}
            >>> Study.read(values).status()[["run", "status", "epoch", "epochs"]].values.tolist()
            [['cdigits/full/seed-0', 'waiting', 0, 100]]
        """
        return status.status_table(self.jobs)

    def results(
        self, *, threshold: float | None = None, watch: Callable[[Iterable[Job]], Iterable[Job]] = iter
    ) -> "pd.DataFrame":
        """Return one row per run, in the order of data sets, priors and seeds.

        ========================  ==================================================================================
        column                    content
        ========================  ==================================================================================
        dataset, prior, seed      data set, initial graph and seed of the run
        status                    ``finished``; ``disconnected``: finished, but pruning leaves no path; ``running``,
                                  ``waiting``, ``failed``
        error                     reason of a failure
        threshold                 pruning threshold
        test_accuracy             of the trained network, in [0, 1]
        test_accuracy_pruned      of the pruned network, as in `parity`
        seconds_per_epoch         median
        epochs, live_edges        of training
        critical_threshold        largest threshold that leaves input and output connected
        sparsity … q1d            the metrics of the paper, of the pruned graph
        undefined                 reasons of undefined values
        run                       folder of the run, relative to that of the study
        ========================  ==================================================================================

        Runs that are not finished have no results. Results are cached in the run folders (``outcome.json``). Integer
        columns have the nullable dtype Int64.

        Args:
            threshold: Pruning threshold; None is that of the study.
            watch: Receives the jobs and yields them as they are processed; for progress bars.

        Example:
            >>> values = {"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "out": "no/such"}
            >>> Study.read(values).results()[["dataset", "prior", "seed", "status"]].values.tolist()
            [['cdigits', 'full', 0, 'waiting']]
        """
        level = self.threshold if threshold is None else float(threshold)
        return results.results_table(self.jobs, threshold=level, watch=watch)

    def summary(self, *, threshold: float | None = None) -> "pd.DataFrame":
        """Return mean, standard deviation and number of runs of each feature for every data set and prior.

        The rows are those of the paper's Tables 1 and 2, then accuracies (in [0, 1]) and seconds per epoch. The columns
        are ``feature`` and, for each data set, ``<dataset>_mean``, ``<dataset>_std`` (over runs, with n − 1; NaN for a
        single run) and ``<dataset>_n``; with several priors ``<dataset>/<prior>_mean`` and so on. Unfinished runs and
        undefined values are excluded.

        Args:
            threshold: Pruning threshold; None is that of the study.

        Raises:
            RunError: No run is finished.
        """
        return summary.summarize_results(self.results(threshold=threshold))

    def cost(self, *, watch: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> "pd.DataFrame":
        """Estimate the remaining time: one row per data set and prior.

        ====================  ======================================================================================
        column                content
        ====================  ======================================================================================
        dataset, prior        data set and initial graph of the runs
        runs, left            number of runs, and of unfinished ones
        epochs                of each run
        images                training images; missing if unknown
        seconds_per_epoch     of training, without the test
        hours_per_run         including the tests
        hours_left            of all unfinished runs, sequentially; started ones count with the rest of them
        longest               hours of the longest of them
        threads, place        CPU threads of a run, and its device on this machine
        source                ``epochs of its runs``, or the number of ``steps`` that were timed
        undefined             reasons of missing values
        ====================  ======================================================================================

        The estimate is the mean over the runs of their median epochs. Before the first epoch, a few training steps of
        each network are timed on this machine with random images, which takes a few seconds each and needs no data. A
        test image is assumed to take a third of the time of a training image.

        Args:
            watch: Receives the kinds of runs and yields them as they are processed; for progress bars.

        Example:
            >>> values = {
            ...     "priors": {"full": {"nodes": 3}},
            ...     "data": {"cdigits": {}},
            ...     "channels": 1,
            ...     "epochs": 2,
            ...     "batch_size": 719,
            ... }
            >>> table = Study.read(values).cost()
            >>> table[["dataset", "prior", "runs", "left", "epochs", "images"]].values.tolist()
            [['cdigits', 'full', 1, 1, 2, 1438]]
        """
        return cost.cost_table(self.jobs, watch=watch)
