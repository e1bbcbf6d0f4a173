"""Studies whose processes are killed, whose disk is full, and whose folders are damaged."""

import contextlib
import functools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from processes import PATIENCE, are_gone, children, wait_until
from run_folders import unfinish

import graphtask as gt
from graphtask.runs.lock import is_locked
from graphtask.study.worker import perform

PROGRAM = "from graphtask_cli.main import cli; cli()"


@pytest.fixture
def study_file(scans, tmp_path):
    """Write a study file, and give back its path."""

    def write(*, seeds, epochs=2, priors="[priors.full]\nnodes = 4\n", name="tiny"):
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f"seeds = {seeds}\nchannels = 1\ndevice = 'cpu'\ncheckpoint_seconds = 0\n"
            f"[optimization]\nepochs = {epochs}\nbatch_size = 16\n{priors}"
            f"[data.scans]\nsource = '{scans}'\n"
        )
        return path

    return write


def start(path, *options, **settings):
    command = [sys.executable, "-c", PROGRAM, "study", "run", str(path), "--quiet", *map(str, options)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **settings)


def finished_files(study):
    """What tells the files of finished runs apart from files that were written again."""
    return {
        job.name: (stat.st_ino, stat.st_mtime_ns)
        for job in study.jobs
        if (job.folder / "weights.safetensors").exists()
        and (stat := (job.folder / "weights.safetensors").stat())
    }


def is_over_or_at_work(driver, study):
    return driver.poll() is not None or any(is_locked(job.folder) for job in study.jobs)


def run_with_kills(path, *, kills, n_jobs, pause):
    """Do a study while its processes are killed: ``kills`` of workers (True: of the driver), after random pauses."""
    study = gt.Study.read(path)
    seen = {}

    def look():
        now = finished_files(study)
        assert now.items() >= seen.items(), "a finished run was written again"
        seen.update(now)

    rng = random.Random(0)
    driver = start(path, "--jobs", n_jobs, "--retries", 100)
    for of_driver in kills:
        wait_until(functools.partial(is_over_or_at_work, driver, study))
        time.sleep(rng.uniform(0, pause))
        look()
        victims = [driver.pid] if of_driver else [child.pid for child in children(driver.pid)]
        if driver.poll() is None and victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims), signal.SIGKILL)
        if of_driver:
            driver.communicate()
            driver = start(path, "--jobs", n_jobs, "--retries", 100)
    _, errors = driver.communicate(timeout=PATIENCE * 8)
    look()
    assert driver.returncode == 0, errors
    assert len(seen) == len(study.jobs)
    return study.results()


def undisturbed(study):
    """The results of a study that nobody disturbs, computed in this process."""
    assert {perform(job).kind for job in study.jobs} == {"finished"}
    return study.results()


def assert_same_bits(one, other):
    assert (one["status"] == "finished").all()
    pd.testing.assert_frame_equal(
        one.drop(columns="seconds_per_epoch"), other.drop(columns="seconds_per_epoch"), check_exact=True
    )


@pytest.mark.timeout(1200)  # most of it is loading PyTorch in five processes
def test_killed_workers_and_drivers_cost_nothing_but_time(study_file, tmp_path):
    path = study_file(seeds=6)
    table = run_with_kills(path, kills=[False, True], n_jobs=1, pause=0.2)
    assert_same_bits(table, undisturbed(gt.Study.read(path, out=tmp_path / "undisturbed")))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_forty_runs_under_many_kills_end_as_undisturbed_ones(study_file, tmp_path):
    path = study_file(seeds=20, epochs=8, priors="[priors.full]\nnodes = 4\n[priors.chain]\nnodes = 4\n")
    kills = [random.Random(seed).random() < 0.3 for seed in range(24)]
    table = run_with_kills(path, kills=kills, n_jobs=2, pause=1.0)
    assert len(table) == 40
    assert_same_bits(table, undisturbed(gt.Study.read(path, out=tmp_path / "undisturbed")))


@pytest.mark.slow
def test_ctrl_c_saves_every_run_ends_every_process_and_the_next_call_goes_on(study_file):
    path = study_file(seeds=2, epochs=400)
    study = gt.Study.read(path)
    driver = start(path, "--jobs", 2)
    wait_until(lambda: all((job.folder / "checkpoint.pt").exists() for job in study.jobs))
    workers = children(driver.pid)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 130
    assert "graphtask: interrupted; the state is saved in" in errors
    assert "Traceback" not in errors
    assert len(workers) == 2
    assert are_gone(workers)
    table = study.status()
    assert table["status"].tolist() == ["waiting"] * 2
    assert (table["epoch"] < 400).all()


def test_folders_and_checkpoints_that_are_damaged_cost_their_own_run_and_one_clear_line(values, inline):
    study = gt.Study.read(values | {"seeds": 4})
    place, config, checkpoint, healthy = study.jobs
    place.folder.parent.mkdir(parents=True)
    place.folder.write_text("no folder")
    for job in (config, checkpoint):
        assert perform(job).kind == "finished"
        unfinish(job.folder)
    (config.folder / "config.json").write_text('{"channels": ')
    (checkpoint.folder / "checkpoint.pt").write_bytes(b"graphtask checkpoint 1 0\n")
    report = study.run(engine=inline, progress=False)
    assert report.n_finished == 1
    for job, reason in (
        (place, "the run folder cannot be used (File exists)"),
        (config, "config.json: damaged"),
        (checkpoint, "no checkpoint can be read; delete the folder to train from the start"),
    ):
        line = report.failed[job.name]
        assert line.startswith(str(job.folder))
        assert reason in line
        assert "\n" not in line
    table = study.results()
    assert table["status"].tolist() == ["failed"] * 3 + ["finished"]
    assert (table["error"] != "").tolist() == [True] * 3 + [False]
    for job in (config, checkpoint):
        shutil.rmtree(job.folder)
    place.folder.unlink()
    assert study.run(engine=inline, progress=False) == (4, {})
    assert perform(healthy).kind == "finished"


@contextlib.contextmanager
def files_of_at_most(size):
    """Let the system refuse to write more into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_does_not_fit_costs_its_own_run_and_one_clear_line(values, inline):
    values["priors"]["large"] = {"kind": "full", "nodes": 4, "channels": 12}
    study = gt.Study.read(values | {"seeds": 1})
    with files_of_at_most(100_000):
        report = study.run(engine=inline, progress=False)
    ((name, line),) = report.failed.items()
    assert name == "scans/large/seed-0"
    assert line.startswith(f"cannot write {study.jobs[1].folder}")
    assert line.endswith("File too large; nothing was left half-written")
    assert not list(study.out.rglob("*.tmp"))
    assert study.status()["status"].tolist() == ["finished", "failed"]
    assert study.run(engine=inline, progress=False) == (2, {})


@pytest.mark.slow
def test_a_full_disk_costs_the_runs_that_do_not_fit_and_they_go_on_when_there_is_room(
    values, inline, tmp_path
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        study = gt.Study.read(values | {"seeds": 12, "out": str(disk / "runs")})
        report = study.run(engine=inline, progress=False)
        assert 0 < report.n_finished < 12
        assert all("No space left on device" in line for line in report.failed.values())
        before = finished_files(study)
        assert len(before) == report.n_finished
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert study.run(engine=inline, progress=False) == (12, {})
        assert finished_files(study).items() >= before.items()
        assert_same_bits(study.results(), undisturbed(gt.Study.read(values | {"seeds": 12})))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
