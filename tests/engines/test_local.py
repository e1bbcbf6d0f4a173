import os

import pytest

import graphtask as gt
from graphtask.engines.local import LocalEngine
from graphtask.study.local import local_engine
from graphtask.workers import n_cores


def test_every_process_sees_one_gpu_of_those_that_are_visible(monkeypatch):
    def seen(**options):
        return [place.get("CUDA_VISIBLE_DEVICES") for place in LocalEngine(**options)._places]

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert seen(gpus=[0, 2], jobs_per_gpu=2) == ["0", "2", "0", "2"]
    assert seen(n_jobs=2) == [None, None]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-5")
    assert seen(gpus=[1, 0]) == ["GPU-5", "4"]
    with pytest.raises(
        gt.errors.ArgumentError,
        match="gpus must be numbers below 2, the GPUs that CUDA_VISIBLE_DEVICES lists, got 2",
    ):
        seen(gpus=[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_jobs": 0}, "n_jobs must be an integer >= 1, got 0"),
        ({"jobs_per_gpu": 0}, "jobs_per_gpu must be an integer >= 1, got 0"),
        ({"n_jobs": 1, "gpus": [0]}, "cannot be combined with gpus"),
        ({"gpus": [0, 0]}, r"gpus must be different numbers >= 0, got \[0, 0\]"),
        ({"gpus": [-1]}, r"gpus must be different numbers >= 0, got \[-1\]"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        LocalEngine(**options)


def test_without_a_word_there_are_as_many_processes_as_cores_for_their_threads(values):
    assert n_cores() == len(os.sched_getaffinity(0))
    values["seeds"] = 500

    def slots(**options):
        return local_engine(gt.Study.read(values, **options).jobs, n_jobs=None, gpus=None).slots()

    assert slots() == n_cores()
    assert slots(threads=n_cores()) == 1
    assert slots(threads=n_cores() + 1) == 1
    values["seeds"] = 1
    assert slots() == 1


def test_a_gpu_that_is_not_here_is_refused_before_anything_begins(values, monkeypatch):
    monkeypatch.setattr("graphtask.study.local._n_gpus", lambda: 1)
    study = gt.Study.read(values)
    assert local_engine(study.jobs, n_jobs=None, gpus=[0], jobs_per_gpu=2).slots() == 2
    with pytest.raises(
        gt.errors.ArgumentError, match="gpus must be numbers below 1, the GPUs that PyTorch finds, got 1"
    ):
        local_engine(study.jobs, n_jobs=None, gpus=[0, 1])


def test_a_process_that_cannot_be_started_is_an_ending(study, monkeypatch):
    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("subprocess.Popen", refuse)
    with LocalEngine(n_jobs=1) as engine:
        ending = engine.submit(study.jobs[0]).result()
    assert (ending.kind, ending.reason) == ("died", "no process can be started (Cannot allocate memory)")


def test_an_engine_that_was_stopped_begins_nothing(study):
    with LocalEngine(n_jobs=1) as engine:
        engine.stop()
        assert engine.submit(study.jobs[0]).result().kind == "interrupted"
    assert not study.jobs[0].folder.exists()


@pytest.mark.parametrize(
    "cut", [b"", b'{"kind": "fin', b'{"kind": "finished", "reason": ""}', b"{}\n", b"[]\n"]
)
def test_a_reply_that_is_cut_off_is_that_of_a_dead_process(study, monkeypatch, cut):
    program = f"import sys; sys.stdin.readline(); sys.stdout.buffer.write({cut!r})"
    monkeypatch.setattr("graphtask.workers._PROGRAM", program.replace("{", "{{").replace("}", "}}"))
    with LocalEngine(n_jobs=1) as engine:
        ending = engine.submit(study.jobs[0]).result()
    assert ending.kind == "died"
    assert ending.reason.startswith("its process ended (status 0)")


def test_a_process_that_answers_nonsense_and_stays_is_ended(study, monkeypatch):
    program = "import sys, time; sys.stdin.readline(); print('hello', flush=True); time.sleep(600)"
    monkeypatch.setattr("graphtask.workers._PROGRAM", program.replace("{", "{{").replace("}", "}}"))
    monkeypatch.setattr("graphtask.workers._END_SECONDS", 0.1)
    with LocalEngine(n_jobs=1) as engine:
        ending = engine.submit(study.jobs[0]).result()
    assert (ending.kind, "SIGKILL" in ending.reason) == ("died", True)
