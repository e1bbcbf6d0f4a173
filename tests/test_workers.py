import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from processes import PATIENCE, are_gone, children, plant, wait_until

import graphtask as gt
from graphtask.workers import Pool, Reply, child_path, encoded, n_cores, reserve_blas

ROOT = Path(__file__).parent.parent

SERVE = """
import os, sys, time
from graphtask.workers import Parent

def serve():
    parent = Parent({at_end!r})
    for values, content in parent.requests():
        do = values.get("do")
        if do == "exit":
            os._exit(3)
        if do == "kill":
            os.kill(os.getpid(), 9)
        if do == "nonsense":
            os.write(parent._replies.fileno(), b"hello\\n")
        if do == "python":
            while True:
                pass
        if do == "c":
            sum(range(10**15))
        print("printed", flush=True)
        parent.reply({{"pid": os.getpid(), "size": None if content is None else len(content), **values}})
"""


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Make pools whose children import this module from a folder of the path."""
    (tmp_path / "echo_for_test.py").write_text(SERVE.format(at_end="exit"))
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(n=1, **options):
        return Pool("echo_for_test", environments=[{}] * n, at_end="exit", **options)

    return make


def asked(pool, content=None, **values):
    return pool.submit(encoded(values, content), then=lambda reply: reply).result(PATIENCE)


def test_a_child_that_dies_costs_one_request(pool):
    with pool(keys=["pid"]) as echo:
        first = asked(echo, do="echo").values
        assert asked(echo, do="exit") == Reply(None, "status 3", "ended")
        assert asked(echo, do="kill") == Reply(None, "SIGKILL", "ended")
        again = asked(echo, b"x" * 3_000_000, do="echo").values
    assert first["pid"] != again["pid"] != os.getpid()
    assert again["size"] == 3_000_000


def test_a_child_that_sends_nonsense_is_replaced(pool, monkeypatch):
    monkeypatch.setattr("graphtask.workers._END_SECONDS", 0.1)
    with pool(keys=["pid"]) as echo:
        assert asked(echo, do="nonsense").kind == "ended"
        assert asked(echo, do="echo").kind == "replied"


def test_a_child_that_cannot_start_is_a_reply(tmp_path, monkeypatch, capfd):
    (tmp_path / "broken_for_test.py").write_text("raise RuntimeError('of all\\nthings')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Pool("broken_for_test", environments=[{}], at_end="exit", keys=["pid"]) as broken:
        reply = asked(broken)
    assert reply == Reply(None, "RuntimeError: of all things", "not started")
    assert "Traceback" not in capfd.readouterr().err


def test_a_child_that_reports_a_failure_and_stays_is_ended_at_once(tmp_path, monkeypatch):
    (tmp_path / "failing_for_test.py").write_text(
        "import time; from graphtask.workers import Parent\n"
        "def serve():\n    Parent('exit').reply({'failure': 'no memory'}); time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    start = time.monotonic()
    with Pool("failing_for_test", environments=[{}], at_end="exit", greeting=encoded({})) as failing:
        assert asked(failing) == Reply(None, "no memory", "not started")
    assert time.monotonic() - start < 30


def test_closing_ends_children_that_compute_and_those_that_do_not_read(pool):
    before = children(os.getpid())  # of other tests, such as a Ray cluster
    echo = pool(2)
    futures = [echo.submit(encoded({"do": "python"}), then=lambda reply: reply) for _ in range(2)]
    workers = wait_until(
        lambda: len(found := [child for child in children(os.getpid()) if child not in before]) >= 2 and found
    )
    blocked = echo.submit(encoded({}, b"x" * 5_000_000), then=lambda reply: reply)
    start = time.monotonic()
    echo.close()
    assert time.monotonic() - start < 30
    assert are_gone(workers)
    assert {future.result().kind for future in futures} == {"stopped"}
    assert blocked.cancelled() or blocked.result().kind == "stopped"


@pytest.mark.parametrize("do", ["python", "c"])
@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "portable"])
def test_children_end_with_a_parent_that_is_killed_in_the_middle_of_a_computation(tmp_path, do, kernel):
    if do == "c" and (not kernel or sys.platform != "linux"):
        pytest.skip("a thread cannot run while C code holds the interpreter lock")
    (tmp_path / "echo_for_test.py").write_text(SERVE.format(at_end="exit"))
    program = f"""
        import sys, time
        sys.path.insert(0, {str(tmp_path)!r})
        from graphtask.workers import Pool, encoded
        pool = Pool("echo_for_test", environments=[{{}}] * 2, at_end={"exit" if kernel else "save"!r})
        [pool.submit(encoded({{"do": "echo"}}), then=print).result() for _ in range(4)]
        [pool.submit(encoded({{"do": {do!r}}}), then=print) for _ in range(2)]
        time.sleep(1)
        print("busy", flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE)
    while process.stdout.readline() != b"busy\n":
        pass
    workers = wait_until(lambda: len(found := children(process.pid)) == 2 and found)
    process.kill()
    process.communicate()
    start = time.monotonic()
    wait_until(lambda: are_gone(workers))
    assert time.monotonic() - start < 10


def test_the_main_module_is_not_run_again_and_ctrl_c_reaches_only_the_parent(tmp_path):
    (tmp_path / "echo_for_test.py").write_text(SERVE.format(at_end="exit"))
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            print("main", flush=True)
            from graphtask.workers import Pool, encoded
            import os, signal
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with Pool("echo_for_test", environments=[{}], at_end="exit") as pool:
                try:
                    pool.submit(encoded({}), then=str).result()
                    os.killpg(0, signal.SIGINT)
                except KeyboardInterrupt:
                    print(pool.submit(encoded({}), then=lambda reply: reply.kind).result())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        process_group=0,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.splitlines() == ["main", "replied"]


def test_the_path_of_a_child_lacks_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/lib/a", "/lib/b"])
    assert child_path() == ["/lib/a", "/lib/b"]
    monkeypatch.setattr(sys, "path", ["", "/lib/a"])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert child_path() == ["/lib/a"]


def test_the_number_of_cores_is_that_of_this_process():
    assert 1 <= n_cores() <= os.cpu_count()


# Code in the current folder


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A current folder full of modules that leave a file when they are imported; returns that file."""
    here = tmp_path / "download"
    here.mkdir()
    monkeypatch.chdir(here)
    return plant(here, mark=tmp_path / "executed")


def isolated(program):
    """Run a program as the installed script runs the command: without the current folder in the path."""
    return subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path[:0] = {child_path()!r}\n{program}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def command(*words):
    return isolated(f"from graphtask_cli.main import cli; cli({[*map(str, words)]!r})")


def test_a_child_imports_nothing_from_the_current_folder(planted, pool):
    child = Path("..", "echo_for_test.py")
    child.write_text(f"import json, igraph, numpy\n{child.read_text()}")
    with pool(keys=["pid"]) as echo:
        assert (asked(echo).kind, planted.exists()) == ("replied", False)


@pytest.mark.parametrize("folder", ["graphtask", "cli/graphtask_cli"])
def test_only_workers_start_python(folder):
    """Every other module starts none of its own; `reporting.animation` starts ffmpeg, Ray starts its cluster."""
    starts = re.compile(
        r"\b(subprocess|multiprocessing|ProcessPoolExecutor|os\.(spawn|exec|system|popen|fork))\b"
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*.py")
        if starts.search(path.read_text(encoding="utf-8"))
    }
    assert found <= {"graphtask/workers.py", "graphtask/reporting/animation.py"}


def test_measuring_imports_nothing_from_the_current_folder(planted):
    for seed in range(25):
        gt.write(gt.random_dag(6, seed=seed, stages=2), f"{seed:02d}.graphml")
    Path("own.py").write_text(
        "from graphtask.metrics.registry import Metric, register_metric\n"
        "register_metric(Metric(name='own', compute=lambda view: view.n_nodes, formula='n'))\n"
    )
    calls = [
        # Many files: several processes by themselves.
        ["metrics", ".", "--metrics", "edges", "--format", "csv"],
        ["metrics", "00.graphml", "01.graphml", "--import", "own", "--metrics", "own", "--jobs", "2"],
    ]
    program = "for words in {calls!r}: cli(words, standalone_mode=False)"
    done = isolated(f"from graphtask_cli.main import cli\n{program.format(calls=calls)}")
    assert (done.returncode, planted.exists()) == (0, False), done.stderr


COMMANDS = """
from graphtask_cli.commands import demo
from graphtask_cli.main import cli
demo.DATA, demo.SEEDS, demo.NODES, demo.CHANNELS, demo.PAPER_THRESHOLD = ("cdigits",), (0,), 4, 1, 0.0
demo.OPTIONS.update(epochs=1, batch_size=512)
demo._draw_initial = demo._print_results = demo._draw_all = demo._write_report = lambda *_: None
for words in {commands!r}:
    cli(words, standalone_mode=False)
    print(words[0], words[1], flush=True)
"""


@pytest.mark.slow
def test_training_imports_nothing_from_the_current_folder(planted, tmp_path):
    study, runs = tmp_path / "s.toml", tmp_path / "runs"
    study.write_text(
        "seeds = 1\nchannels = 1\ndevice = 'cpu'\nepochs = 1\nbatch_size = 64\n"
        "priors.full = {nodes = 4, stages = 2}\ndata.cdigits = {transforms = ['subset:100']}\n"
    )
    run = runs / "s" / "cdigits" / "full" / "seed-0"
    commands = (
        ["study", "run", study, "--jobs", "1"],
        ["study", "run", runs / "s", "--jobs", "1"],
        ["retrain", runs / "s", "--out", tmp_path / "new", "--jobs", "1", "--threshold", "0"],
        ["sweep", run, "--thresholds", "0"],
        ["demo", "--out", tmp_path / "demo", "--jobs", "2"],
    )
    done = isolated(COMMANDS.format(commands=[[*map(str, words)] for words in commands]))
    assert (done.returncode, planted.exists()) == (0, False), done.stderr
    assert len(done.stdout.splitlines()) >= len(commands)


def test_the_installed_command_imports_nothing_from_the_current_folder(planted):
    script = Path(sys.executable).with_name("graphtask")
    if not script.exists():
        pytest.skip("graphtask is not installed as a command")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, planted.exists()) == (0, False), done.stderr


# Memory


def limited(program, *, megabytes):
    """Run a program that may not have more than so much memory for data."""
    lines = f"""
        import resource
        from graphtask.workers import prepare, reserve_blas
        prepare()
        import numpy as np, scipy.linalg
        def limit(megabytes):
            used = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")][0]
            resource.setrlimit(resource.RLIMIT_DATA, ((used << 10) + (megabytes << 20),) * 2)
        limit({megabytes})
        {program}
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(lines)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_linear_algebra_without_memory_is_an_error_and_not_a_loop_without_end():
    done = limited("reserve_blas()", megabytes=20)
    assert "out of memory: 80 MiB for linear algebra" in done.stderr
    works = "reserve_blas(); limit(1); m = np.eye(4); scipy.linalg.blas.dgemm(1.0, m, m @ m); print('works')"
    assert limited(works, megabytes=100).stdout == "works\n"


def test_the_buffers_can_be_reserved_twice():
    reserve_blas()
    reserve_blas()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
@pytest.mark.parametrize("megabytes", [110, 190])
def test_a_corpus_ends_when_memory_runs_out(tmp_path, megabytes):
    for seed in range(30):
        gt.write(gt.random_dag(16, seed=seed, stages=2), tmp_path / f"{seed:02d}.graphml")
    program = (
        "import resource, sys; "
        f"resource.setrlimit(resource.RLIMIT_DATA, ({megabytes << 20},) * 2); "
        f"sys.argv[1:] = ['metrics', {str(tmp_path)!r}, '--jobs', '2', '--format', 'csv']; "
        "from graphtask_cli.main import cli; cli()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=290, check=False
    )
    assert done.returncode != 0 or len(done.stdout.splitlines()) == 31


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_corpus_that_receives_sigterm_leaves_no_process(tmp_path):
    for seed in range(2):
        gt.write(gt.random_dag(6, seed=seed, stages=2), tmp_path / f"{seed:02d}.graphml")
    program = f"""
        import graphtask as gt
        for row in gt.measure_files([{str(tmp_path)!r}] * 5000, n_jobs=2):
            print("row", flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"row\n"
    workers = wait_until(lambda: len(found := children(process.pid)) == 2 and found)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    wait_until(lambda: are_gone(workers))
    assert not [found for found in psutil.process_iter(["ppid"]) if found.info["ppid"] == process.pid]


def test_requests_are_lines_of_json():
    assert json.loads(encoded({"a": 1})) == {"a": 1}
    assert encoded({"a": 1}, b"xyz") == b'{"a": 1, "size": 3}\nxyz'
