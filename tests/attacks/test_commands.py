"""Commands that measure and train are killed at random, lack disk space or permissions, or share a folder."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import graphtask as gt

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

PROGRAM = "from graphtask_cli.main import cli; cli()"
SEED = 0


def report(line):
    """Print a count, which `pytest -s` shows."""
    sys.stdout.write(f"\n{line}\n")


def begin(*words, **settings):
    command = [sys.executable, "-P", "-c", PROGRAM, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def finish(*words, **settings):
    process = begin(*words, **settings)
    out, errors = process.communicate(timeout=900)
    assert "Traceback" not in errors, errors
    return process.returncode, out, errors


def descendants(process):
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_at_random(words, *, times, longest, least, prepare=lambda _: None):
    """Start a command again and again, and kill it with SIGKILL after a random time; return the number of kills.

    Args:
        words: The command.
        times: Number of starts.
        longest: Seconds that it takes if nobody kills it.
        least: Number of kills without which the test shows nothing.
        prepare: Called with the number of each start.
    """
    rng = random.Random(SEED)
    killed = 0
    for number in range(times):
        prepare(number)
        process = begin(*words)
        time.sleep(rng.uniform(0, longest))
        family = descendants(process)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        end = time.monotonic() + 60
        while any(child.is_running() for child in family):
            assert time.monotonic() < end, "a child of a killed command is still there"
            time.sleep(0.1)
    assert killed >= least
    return killed


def seconds(*words):
    """Seconds that a command takes."""
    start = time.monotonic()
    assert finish(*words)[0] == 0
    return time.monotonic() - start


def content(folder):
    """All files of a folder that are not temporary, with their bytes."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture
def graphs(tmp_path):
    folder = tmp_path / "graphs"
    folder.mkdir()
    for seed in range(60):
        gt.write(gt.random_dag(14, seed=seed, stages=2), folder / f"{seed:02d}.graphml")
    return folder


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        "seeds = 3\nchannels = 1\ndevice = 'cpu'\ncheckpoint_seconds = 0\nepochs = 2\nbatch_size = 64\n"
        "priors.full = {nodes = 4, stages = 2}\ndata.cdigits = {transforms = ['subset:100']}\n"
    )
    return path


def test_metrics_killed_at_random_leaves_the_old_table_or_the_new_one(graphs, tmp_path):
    table, cache = tmp_path / "t.csv", tmp_path / "rows.sqlite"
    words = ["metrics", graphs, "--jobs", "2", "-o", table, "--cache", cache]
    table.write_text("the old table\n")
    longest = seconds("metrics", graphs, "--jobs", "2", "-o", tmp_path / "first.csv")
    # A cache of killed commands shortens the next ones; every other one begins without it.
    killed = kill_at_random(
        words,
        times=12,
        longest=longest,
        least=4,
        prepare=lambda number: number % 2 or cache.unlink(missing_ok=True),
    )
    assert table.read_text() == "the old table\n" or len(table.read_text().splitlines()) == 61
    assert finish(*words)[0] == 0
    fresh = tmp_path / "fresh.csv"
    assert finish("metrics", graphs, "--jobs", "1", "-o", fresh)[0] == 0
    assert table.read_bytes() == fresh.read_bytes()
    report(f"metrics: {killed} kills survived, {len(table.read_text().splitlines()) - 1} rows equal")


def test_a_study_killed_at_random_ends_with_the_same_results(study_file, tmp_path):
    other = tmp_path / "undisturbed"
    longest = seconds("study", "run", study_file, "--jobs", "2", "--runs", other)
    killed = kill_at_random(["study", "run", study_file, "--jobs", "2"], times=6, longest=longest, least=2)
    assert finish("study", "run", study_file, "--jobs", "2")[0] == 0
    one, two = (gt.Study.read(study_file, out=out).results() for out in (None, other))
    timing = ["seconds_per_epoch"]
    assert one.drop(columns=timing).equals(two.drop(columns=timing))
    report(f"study run: {killed} kills survived, {len(one)} runs with equal bits")


def test_two_commands_on_one_folder_do_not_disturb_each_other(study_file, graphs, tmp_path):
    pairs = [begin("study", "run", study_file, "--jobs", "1") for _ in range(2)]
    for process in pairs:
        _, errors = process.communicate(timeout=900)
        assert (process.returncode, "Traceback" in errors) == (0, False), errors
    assert (gt.Study.read(study_file).status()["status"] == "finished").all()
    table, cache = tmp_path / "t.csv", tmp_path / "rows.sqlite"
    pairs = [begin("metrics", graphs, "--jobs", "2", "-o", table, "--cache", cache) for _ in range(2)]
    for process in pairs:
        _, errors = process.communicate(timeout=900)
        assert (process.returncode, "Traceback" in errors) == (0, False), errors
    with table.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 60
    report("two processes on one folder: 2 commands, nothing lost")


def test_a_full_disk_is_one_line_and_keeps_the_old_table(graphs, study_file, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        (disk / "t.csv").write_text("the old table\n")
        (disk / "fill").write_bytes(bytes(60 << 10))
        status, _, errors = finish("metrics", graphs, "-o", disk / "t.csv")
        assert (status, len(errors.splitlines())) == (1, 1), errors
        assert "No space left" in errors
        assert (disk / "t.csv").read_text() == "the old table\n"
        status, _, errors = finish("study", "run", study_file, "--jobs", "1", "--runs", disk / "runs")
        assert status == 1
        assert "No space left" in errors
        report("disk full: 2 commands, one line each, the old table kept")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def without_rights(*words):
    """Run a command as root that may not ignore permissions, or as the user that runs the tests."""
    if os.geteuid() != 0:
        return finish(*words)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("permissions mean nothing to root")
    drop = [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    command = [*drop, sys.executable, "-P", "-c", PROGRAM, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_missing_permissions_are_one_line(graphs, study_file, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    (graphs / "sub").mkdir()
    shutil.copy(graphs / "00.graphml", graphs / "sub")
    (graphs / "01.graphml").chmod(0)
    (graphs / "sub").chmod(0)
    locked.chmod(0o500)
    try:
        status, out, errors = without_rights("metrics", graphs, "--format", "csv", "--metrics", "edges")
        rows = list(csv.DictReader(out.splitlines()))
        assert (status, len(rows), sum(bool(row["error"]) for row in rows)) == (0, 61, 2), errors
        for words in (
            ["metrics", graphs, "-o", locked / "t.csv"],
            ["study", "run", study_file, "--jobs", "1", "--runs", locked / "runs"],
        ):
            status, _, errors = without_rights(*words)
            assert (status, len(errors.splitlines())) == (1, 1), errors
        assert list(locked.iterdir()) == []
        report("no permission: 2 of 61 rows, 2 commands with one line each")
    finally:
        for path in (locked, graphs / "sub", graphs / "01.graphml"):
            path.chmod(0o700)


def test_pipes_and_devices_are_refused_at_once(tmp_path, graphs):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "study.json")
    os.mkfifo(graphs / "pipe.graphml")
    os.mkfifo(graphs / "pipe.zip")
    refused = 0
    for words in (
        ["study", "status", tmp_path / "pipe.toml"],
        ["study", "run", tmp_path / "folder"],
        ["study", "status", "/dev/zero"],
        ["metrics", graphs / "pipe.graphml", "/dev/zero", graphs / "pipe.zip"],
        ["metrics", graphs / "00.graphml", "--cache", graphs / "pipe.graphml", "--metrics", "edges"],
    ):
        start = time.monotonic()
        status, _, errors = finish(*words)
        assert time.monotonic() - start < 60
        assert status == ("--cache" not in words), errors
        refused += 1
    report(f"pipes and devices: {refused} commands refused at once")


def test_nothing_is_written_elsewhere(study_file, tmp_path):
    """A study from a stranger, with every name replaced by one that leads out of its folder."""
    runs = tmp_path / "download" / "s"
    assert finish("study", "run", study_file, "--jobs", "1", "--runs", runs)[0] == 0
    path, before = runs / "study.json", content(tmp_path)
    original = path.read_text()
    refused = 0
    for victim in (
        str(tmp_path / "victim"),
        "../victim",
        "a/../../victim",
        "..",
        ".",
        "",
        "a\\b",
        "a\nb",
        "x" * 300,
    ):
        for place in (
            ("label",),
            ("config", "data", "name"),
            ("prior", "name"),
            ("config", "optimization", "seed"),
        ):
            if victim == "" and place == ("label",):
                continue  # the default
            values = json.loads(original)
            inner = values["jobs"][0]
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = victim
            path.write_text(json.dumps(values))
            with pytest.raises(gt.errors.RunError, match="is damaged"):
                gt.Study.read(runs)
            refused += 1
    path.write_text(original)
    assert content(tmp_path) == before
    assert not Path(tmp_path / "victim").exists()
    report(f"names that lead out of a study: {refused} refused")
