"""The driver against an engine that does nothing but say how jobs end."""

import json
import signal
import threading
from collections import defaultdict
from concurrent.futures import Future

import filelock
import pytest
from run_folders import accept

import graphtask as gt
from graphtask.engines.protocol import Ending
from graphtask.study import driver
from graphtask.study.progress import Silence
from graphtask.study.status import state_of


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(driver, "_LOOK", 0.01)
    monkeypatch.setattr(driver, "_BUSY", 0.01)


class Puppet:
    """An engine whose jobs end as a script says, one ending after the other, and then finished."""

    def __init__(self, script=None, *, slots=1):
        self.script = defaultdict(list, {name: list(endings) for name, endings in (script or {}).items()})
        self.begun = []
        self._n_slots = slots

    def slots(self):
        return self._n_slots

    def submit(self, job):
        self.begun.append(job.name)
        future = Future()
        endings = self.script[job.name]
        future.set_result(endings.pop(0) if endings else Ending("finished"))
        return future

    def stop(self):
        raise AssertionError("nobody asked for a stop")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def drive(study, engine, *, retries=2):
    return driver.drive(study, engine, retries=retries, reporter=Silence())


def finish(job):
    """Make the folder of a job that of a finished run, as far as one looks without reading it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "version": 2,
        "data_fingerprint": "x",
        "n_train": 1,
        "in_channels": 3,
        "n_classes": 2,
        "size": [8, 8],
    }
    (job.folder / "config.json").write_text(json.dumps(job.identity() | facts))
    accept(job.folder)


def test_every_job_is_done_once_in_the_order_of_the_study(study):
    engine = Puppet()
    assert drive(study, engine) == (3, {})
    assert engine.begun == [job.name for job in study.jobs]


def test_a_finished_run_is_not_begun(study):
    finish(study.jobs[1])
    engine = Puppet()
    assert drive(study, engine).n_finished == 3
    assert engine.begun == ["scans/full/seed-0", "scans/full/seed-2"]


def test_a_finished_run_of_data_from_elsewhere_is_looked_at(study, values):
    finish(study.jobs[1])
    engine = Puppet()
    there = gt.Study.read(values | {"data": {"scans": {"source": "/elsewhere/scans.npz"}}})
    drive(there, engine)
    assert "scans/full/seed-1" in engine.begun


def test_a_failed_run_costs_only_itself_and_is_remembered_until_it_works(study):
    engine = Puppet({"scans/full/seed-1": [Ending("failed", "the loss is not finite")]})
    assert drive(study, engine) == (2, {"scans/full/seed-1": "the loss is not finite"})
    assert len(engine.begun) == 3
    state = state_of(study.jobs[1])
    assert (state.word, state.reason) == ("failed", "the loss is not finite")
    assert drive(study, Puppet()) == (3, {})
    assert state_of(study.jobs[1]).word == "waiting"


@pytest.mark.parametrize(("deaths", "retries", "works"), [(2, 2, True), (3, 2, False), (1, 0, False)])
def test_a_run_whose_process_dies_is_begun_again_as_often_as_stated(study, deaths, retries, works):
    engine = Puppet({"scans/full/seed-1": [Ending("died", "SIGKILL")] * deaths})
    report = drive(study, engine, retries=retries)
    assert report.failed == ({} if works else {"scans/full/seed-1": "SIGKILL"})
    assert engine.begun.count("scans/full/seed-1") == min(deaths, retries) + 1


def test_what_another_driver_trains_is_waited_for_and_not_begun(study):
    job = study.jobs[0]
    job.folder.mkdir(parents=True)
    lock = filelock.FileLock(job.folder / "run.lock", thread_local=False)
    lock.acquire()

    def other_driver():
        finish(job)
        lock.release()

    timer = threading.Timer(0.3, other_driver)
    timer.start()
    engine = Puppet({"scans/full/seed-1": [Ending("busy", "another process is training it")]})
    assert drive(study, engine) == (3, {})
    timer.join()
    assert "scans/full/seed-0" not in engine.begun
    assert engine.begun.count("scans/full/seed-1") == 2


class Patient(Puppet):
    """An engine whose jobs last until it is stopped."""

    def __init__(self, *, slots):
        super().__init__(slots=slots)
        self.futures = []

    def submit(self, job):
        self.begun.append(job.name)
        self.futures.append(Future())
        if len(self.futures) == self.slots():
            signal.raise_signal(signal.SIGTERM)
        return self.futures[-1]

    def stop(self):
        for future in self.futures:
            future.set_result(Ending("interrupted", "saved"))


def test_a_request_to_stop_lets_the_running_ones_save_and_begins_no_more(study):
    engine = Patient(slots=2)
    with pytest.raises(gt.errors.RunInterruptedError, match="run the same command again"):
        drive(study, engine)
    assert len(engine.begun) == 2
    assert {state_of(job).word for job in study.jobs} == {"waiting"}


def test_never_more_than_the_slots_are_begun_at_a_time(study):
    class Counting(Puppet):
        running = most = 0

        def submit(self, job):
            self.running += 1
            self.most = max(self.most, self.running)
            future = super().submit(job)
            done = Future()

            def end():
                self.running -= 1
                done.set_result(future.result())

            threading.Timer(0.02, end).start()
            return done

    engine = Counting(slots=2)
    assert drive(study, engine) == (3, {})
    assert engine.most == 2


def test_what_got_further_before_it_died_is_begun_again_as_often_as_it_dies(study):
    class Slow(Puppet):
        """One run makes a checkpoint, and dies, every time."""

        def submit(self, job):
            future = super().submit(job)
            if future.result().kind == "died" and self.begun.count(job.name) <= self.n_checkpoints:
                job.folder.mkdir(parents=True, exist_ok=True)
                (job.folder / "new").write_text("checkpoint")
                (job.folder / "new").replace(job.folder / "checkpoint.pt")
            return future

    name = "scans/full/seed-1"
    engine = Slow({name: [Ending("died", "SIGKILL")] * 7})
    engine.n_checkpoints = 7
    assert drive(study, engine) == (3, {})
    assert engine.begun.count(name) == 8
    engine = Slow({name: [Ending("died", "SIGKILL")] * 9})
    engine.n_checkpoints = 4  # then it gets no further: the last one that did was begun again, and once more
    assert drive(study, engine) == (2, {name: "SIGKILL"})
    assert engine.begun.count(name) == 4 + 2


def test_a_machine_that_cannot_do_a_run_costs_it_nothing(study):
    name = "scans/full/seed-1"
    refusals = [Ending("refused", "a node cannot take part")] * 9
    engine = Puppet({name: refusals})
    assert drive(study, engine, retries=0) == (3, {})
    assert engine.begun.count(name) == 10


def test_what_became_of_the_runs_while_they_were_stopped_is_reported(study):
    class Heard(Silence):
        def __init__(self):
            self.endings = {}

        def look(self, _):
            signal.raise_signal(signal.SIGTERM)

        def end(self, job, ending, **_):
            self.endings[job.name] = ending.kind

    class Leaving(Puppet):
        def submit(self, job):
            self.script[job.name] = [Future()]
            return self.script[job.name][0]

        def stop(self):
            kinds = ("interrupted", "finished", "failed")
            for (future,), kind in zip(self.script.values(), kinds, strict=True):
                future.set_result(Ending(kind, "the disk is full"))

    reporter = Heard()
    with pytest.raises(gt.errors.RunInterruptedError):
        driver.drive(study, Leaving(slots=3), retries=2, reporter=reporter)
    assert [reporter.endings[job.name] for job in study.jobs] == ["interrupted", "finished", "failed"]
    assert [state_of(job).word for job in study.jobs] == ["waiting", "waiting", "failed"]


def test_a_run_whose_study_has_more_epochs_now_is_waiting_and_is_trained_further(values, inline):
    first = gt.Study.read(values | {"seeds": 1})
    assert first.run(engine=inline, progress=False) == (1, {})
    study = gt.Study.read(values | {"seeds": 1, "optimization": {"epochs": 4, "batch_size": 16}})
    columns = ["status", "error", "epoch", "epochs"]
    assert study.status()[columns].values.tolist() == [["waiting", "", 2, 4]]
    assert study.results()["status"].tolist() == ["waiting"]
    assert study.run(engine=inline, progress=False) == (1, {})
    assert study.status()[columns].values.tolist() == [["finished", "", 4, 4]]
    assert study.results()["epochs"].tolist() == [4]
    # The study with fewer epochs is another one, for the status as for the training.
    assert "holds a run with epochs 4, got 2" in first.status()["error"][0]
    assert (
        "holds a run with epochs 4, got 2"
        in first.run(engine=inline, progress=False).failed["scans/full/seed-0"]
    )
    assert first.status()["status"].tolist() == ["failed"]
