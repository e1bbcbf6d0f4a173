"""The engine on a cluster: against a puppet of Ray, and (slow) on two nodes of a real one."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from processes import plant

import graphtask as gt
from graphtask.corpus.entries import find
from graphtask.corpus.partitioned import Corpus
from graphtask.corpus.parts import Part, read_part
from graphtask.corpus.rows import Settings
from graphtask.engines import cluster_watch
from graphtask.engines import ray as ray_engine
from graphtask.engines.cluster_watch import ClusterWatch
from graphtask.engines.protocol import Ending
from graphtask.engines.ray import RayEngine, runs_on_gpus
from graphtask.engines.shared_folder import Mark
from graphtask.reading import ReadOptions
from graphtask.study.worker import perform
from graphtask_cli.main import cli

PATIENCE = 900  # seconds; on a machine that is busy a node takes minutes to begin a task


class RayError(Exception):
    pass


class TaskCancelledError(RayError):
    pass


class WorkerCrashedError(RayError):
    pass


def node(cpus, gpus=0, *, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpus} | ({"GPU": gpus} if gpus else {}), "NodeID": ""}


@pytest.fixture
def puppet(monkeypatch):
    """Stands for Ray: its nodes and its errors."""
    ray = SimpleNamespace(
        is_initialized=lambda: True,
        nodes=lambda: ray.cluster,
        cluster=[node(8)],
        exceptions=SimpleNamespace(RayError=RayError, TaskCancelledError=TaskCancelledError),
    )
    monkeypatch.setattr(ray_engine, "_imported_ray", lambda: ray)
    return ray


@pytest.mark.parametrize(("options", "is_here"), [({}, False), ({"block": "torch.nn:Conv2d"}, True)])
def test_workers_import_from_the_current_folder_only_if_the_study_names_code(
    puppet, values, tmp_path, monkeypatch, options, is_here
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_engine, "knock", lambda _: None)
    found = []
    puppet.is_initialized = lambda: False
    puppet.init = lambda **_: found.append(Path.cwd())
    RayEngine(loaded(values, **options)).slots()
    assert [folder == tmp_path for folder in found] == [is_here]
    assert Path.cwd() == tmp_path


def loaded(values, **options):
    return gt.Study.read(values | options)


def test_without_ray_the_command_says_in_one_line_what_to_install(values, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "study.toml").write_text(
        f"seeds = 1\nout = '{values['out']}'\n[priors.full]\nnodes = 4\n[data.cdigits]\n"
    )
    result = CliRunner().invoke(cli, ["study", "run", str(tmp_path / "study.toml"), "--engine", "ray"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("graphtask: error: the engine ray needs Ray, which cannot be imported")
    assert result.stderr.endswith("pip install 'graphtask-nn[ray]'\n")
    assert result.stderr.count("\n") == 1
    assert not Path(values["out"]).exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--address", "auto"],
        ["--gpus-per-run", "1"],
        ["--engine", "ray", "--gpus", "0"],
        ["--engine", "ray", "--jobs-per-gpu", "2"],
    ],
)
def test_options_of_the_other_engine_are_refused(tmp_path, options):
    (tmp_path / "study.toml").write_text("seeds = 1\n[priors.full]\nnodes = 4\n[data.cdigits]\n")
    result = CliRunner().invoke(cli, ["study", "run", str(tmp_path / "study.toml"), *options])
    assert result.exit_code == 2
    assert "excludes --engine" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_jobs": 0}, "n_jobs must be"),
        ({"gpus_per_run": 1.5}, "a share below 1, or an integer"),
        ({"gpus_per_run": -1}, "gpus_per_run must be a share below 1, or an integer >= 0, got -1"),
        ({"gpus_per_run": float("nan")}, "gpus_per_run must be a share below 1, or an integer >= 0, got nan"),
    ],
)
def test_what_cannot_be_is_refused(study, options, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        RayEngine(study, **options)


def test_a_study_for_cuda_needs_a_share_of_a_gpu(values):
    with pytest.raises(gt.errors.ArgumentError, match="must not be 0 for device cuda"):
        RayEngine(loaded(values, device="cuda"), gpus_per_run=0)


@pytest.mark.parametrize(
    ("n_gpus", "per_run", "runs"),
    [(1, 0.25, 4), (1, 1 / 3, 3), (2, 0.3, 6), (4, 1, 4), (5, 2, 2), (0, 0.5, 0), (1, 0.7, 1)],
)
def test_a_share_is_of_one_gpu(n_gpus, per_run, runs):
    assert runs_on_gpus(n_gpus, per_run) == runs


def test_there_is_room_for_as_many_runs_as_fit_on_the_nodes_that_live(puppet, values):
    puppet.cluster = [node(5), node(3, 1), node(0), node(64, 8, alive=False)]
    on_cpu = loaded(values, threads=2)
    assert RayEngine(on_cpu).slots() == 2 + 1
    assert RayEngine(on_cpu, n_jobs=7).slots() == 7
    any_device = loaded(values, device="auto")
    assert RayEngine(any_device).slots() == 1  # one GPU a run
    assert RayEngine(any_device, gpus_per_run=0.25).slots() == 3  # of four by the GPU
    assert RayEngine(any_device, gpus_per_run=0).slots() == 5 + 3
    engine = RayEngine(on_cpu)
    assert engine.slots() == 3
    puppet.cluster = []
    assert engine.slots() == 1  # which waits for a node


def test_a_cluster_without_room_for_a_single_run_is_an_error_unless_it_grows(puppet, values):
    puppet.cluster = [node(4)]
    with pytest.raises(gt.errors.ArgumentError, match="no node of the cluster has 8 CPUs and 0 GPUs"):
        RayEngine(loaded(values, threads=8)).slots()
    with pytest.raises(gt.errors.ArgumentError, match=r"has 1 CPU and 0\.5 GPUs"):
        RayEngine(loaded(values, device="cuda"), gpus_per_run=0.5).slots()
    assert RayEngine(loaded(values, threads=8), n_jobs=2).slots() == 2


@pytest.mark.usefixtures("puppet")
@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (WorkerCrashedError("It died. Pages of\nadvice follow."), "died", "(WorkerCrashedError: It died)"),
        (RayError(), "died", "(RayError)"),
        (TaskCancelledError("x"), "interrupted", "cancelled"),
    ],
)
def test_whatever_happens_to_a_task_is_an_ending_in_one_line(study, error, kind, reason):
    done = Future()
    done.set_exception(error)
    ending = RayEngine(study)._ending(done)
    assert ending.kind == kind
    assert reason in ending.reason
    assert "\n" not in ending.reason


@pytest.fixture
def on_a_node(monkeypatch):
    """Stands for Ray in a task; Ray itself would start a cluster."""
    context = SimpleNamespace(get_node_id=lambda: "here")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: context))


@pytest.mark.usefixtures("on_a_node")
def test_a_node_that_does_not_see_the_folder_trains_nothing(study):
    mark = Mark.leave(study.out)
    mark.remove()
    kind, reason, _ = ray_engine._perform(study.jobs[0].worker, study.jobs[0].to_dict(), mark)
    assert kind == "refused"
    assert "cannot be used" in reason
    assert not study.jobs[0].folder.exists()


@pytest.fixture
def parts(tmp_path):
    """Twenty edge lists in a column of a table, as five parts."""
    path = tmp_path / "graphs.parquet"
    pq.write_table(pa.table({"edges": [f"0 1\n1 {index + 2}" for index in range(20)]}), path)
    entries = find([path], column="edges")
    settings = Settings(metrics=["edges"], reading=ReadOptions(stages=1))
    return [
        Part(
            out=tmp_path / "out",
            number=number,
            entries=tuple(entries[4 * number : 4 * number + 4]),
            settings=settings,
            modules=(),
            digest=str(number),
        )
        for number in range(5)
    ]


def test_parts_of_a_corpus_take_a_cpu_each_and_no_gpu(puppet, parts):
    puppet.cluster = [node(3, 1), node(2)]
    assert RayEngine(Corpus(parts[0].out, parts), gpus_per_run=0).slots() == 5


@pytest.mark.usefixtures("on_a_node")
def test_a_node_performs_a_part(parts):
    parts[1].out.mkdir()
    mark = Mark.leave(parts[1].out)
    found = ray_engine._perform(parts[1].worker, parts[1].to_dict(), mark)
    assert found == ("finished", "", "here")
    assert [row["file"].rpartition("/")[2] for row in read_part(parts[1].path)] == [
        f"{row}.edges" for row in range(4, 8)
    ]


def test_a_node_that_refused_gets_no_more_runs(puppet, study):
    puppet.cluster = [node(4) | {"NodeID": "good"}, node(4) | {"NodeID": "bad"}]
    engine = RayEngine(study)
    assert engine.slots() == 8
    done = Future()
    done.set_result(("refused", "node b cannot take part", "bad"))
    assert engine._ending(done) == Ending("refused", "node b cannot take part")
    assert engine.slots() == 4
    asked = []

    class Task:
        def options(self, **options):
            asked.append(options)
            return self

        def remote(self, *_):
            return SimpleNamespace(future=Future)

    engine._task = Task()
    engine._mark = Mark(study.out, "")
    engine.submit(study.jobs[0])
    assert asked[0]["label_selector"] == {"ray.io/node-id": "!in(bad)"}


def test_a_cluster_that_has_gone_ends_the_study_in_one_line(puppet, study, monkeypatch):
    monkeypatch.setattr(ray_engine, "_PATIENCE_WITH_HEAD", 0.2)
    monkeypatch.setattr(cluster_watch, "_PAUSE", 0.01)
    server = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    engine = RayEngine(study)
    engine._watch = ClusterWatch(address, lambda: puppet.cluster)
    engine._is_connected = True
    time.sleep(0.5)
    assert engine.slots() == 8, "it is there"
    puppet.cluster = [node(3)]
    wait_for(lambda: engine.slots() == 3)
    server.close()
    wait_for(lambda: engine._watch.seconds_since_seen() > 0.2)
    with pytest.raises(
        gt.errors.RunError, match=f"the Ray cluster at {address} is lost; when it is back"
    ) as caught:
        engine.slots()
    assert "\n" not in str(caught.value)
    puppet.cancel = lambda *_, **__: pytest.fail("asks a cluster that has gone")
    engine._running[Future()] = "a task"
    engine.__exit__()


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_another_version_on_a_node_is_told(study):
    mark = Mark.leave(study.out)
    assert ray_engine._problem(mark, gt.__version__) == ""
    assert ray_engine._problem(mark, "0.0.1").endswith(", not 0.0.1")


def test_a_cluster_that_is_not_there_is_an_error_in_one_line_and_sigterm_stays_ours():
    before = signal.getsignal(signal.SIGTERM)

    def init(**_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise ConnectionError(
            "Could not find any running Ray instance. Please specify the one to connect to."
        )

    with (
        ray_engine._sigterm_kept(),
        pytest.raises(gt.errors.ArgumentError, match="start one with `ray start --head`"),
    ):
        ray_engine._connect(SimpleNamespace(init=init), "auto", with_current_folder=False)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nobody_listens_is_told_at_once(address):
    def init(**_):
        raise AssertionError("Ray would try for minutes")

    with pytest.raises(gt.errors.ArgumentError, match="no Ray cluster can be reached"):
        ray_engine._connect(SimpleNamespace(init=init), address, with_current_folder=False)


# --- a real cluster


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes: its process, which takes commands, and its address."""
    script = Path(__file__).with_name("ray_cluster.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield SimpleNamespace(process=process, address=address)
        process.stdin.close()
        process.wait(PATIENCE)


@pytest.fixture
def study_file(scans, tmp_path):
    """Write a study file, and give back its path."""

    def write(*, seeds, epochs, more=""):
        path = tmp_path / "tiny.toml"
        path.write_text(
            f"seeds = {seeds}\nchannels = 1\ndevice = 'cpu'\ncheckpoint_seconds = 0\n"
            f"[optimization]\nepochs = {epochs}\nbatch_size = 16\n[priors.full]\nnodes = 4\n"
            f"[data.scans]\nsource = '{scans}'\n{more}"
        )
        return path

    return write


def start(path, cluster):
    command = [sys.executable, "-m", "graphtask_cli", "study", "run", str(path)]
    return subprocess.Popen(
        [*command, "--engine", "ray", "--address", cluster.address, "--cpus-per-run", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


def workers():
    """The processes of Ray that do a run at the moment, by its name."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            match = re.search(r"graphtask (\S+/seed-\d+)", " ".join(process.cmdline()[:1]))
            if match:
                found[match[1]] = process.pid
    return found


def finished_files(study):
    """What tells the files of finished runs apart from files that were written again."""
    paths = {job.name: job.folder / "weights.safetensors" for job in study.jobs}
    return {name: path.stat().st_mtime_ns for name, path in paths.items() if path.exists()}


def results(study):
    table = study.results()
    return table.drop(columns=["run", *(name for name in table if "seconds" in name)])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ctrl_c_saves_every_run_and_the_next_call_goes_on_and_lists_what_failed(study_file, cluster):
    path = study_file(seeds=1, epochs=300, more="[data.lost]\nsource = '/nowhere/lost.npz'\n")
    study = gt.Study.read(path)
    scans, lost = sorted(study.jobs, key=lambda job: job.data.name == "lost")
    process = start(path, cluster)
    wait_until((scans.folder / "metrics.csv").exists, process)
    process.send_signal(signal.SIGINT)
    result, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert (result, said.splitlines()[-1].partition(";")[0]) == ("", "graphtask: interrupted")
    assert not (scans.folder / "weights.safetensors").exists()
    assert not list(study.out.glob("*.mark"))
    process = start(path, cluster)
    result, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, said
    assert re.search(rf"{scans.name} resumed after epoch \d+", said)
    assert said.splitlines()[-1].startswith(f"graphtask: error: {lost.name}: ")
    assert "/nowhere/lost.npz" in said
    assert result.splitlines()[0] == f"{study.out}: 1 of 2 runs finished"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nodes_import_nothing_from_the_current_folder(study_file, cluster, tmp_path):
    (tmp_path / "download").mkdir()
    mark = plant(tmp_path / "download", mark=tmp_path / "executed")
    program = "from graphtask_cli.main import cli; cli()"
    command = [sys.executable, "-P", "-c", program, "study", "run", str(study_file(seeds=2, epochs=1))]
    done = subprocess.run(
        [*command, "--engine", "ray", "--address", cluster.address, "--cpus-per-run", "1"],
        cwd=tmp_path / "download",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, mark.exists()) == (0, False), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_worker_and_a_lost_node_cost_nothing_but_time(study_file, cluster, tmp_path):
    path = study_file(seeds=4, epochs=25)
    study = gt.Study.read(path)
    process = start(path, cluster)
    wait_until(lambda: any((job.folder / "checkpoint-previous.pt").exists() for job in study.jobs), process)
    wait_until(workers, process)
    os.kill(next(iter(workers().values())), signal.SIGKILL)
    wait_until(lambda: any((job.folder / "weights.safetensors").exists() for job in study.jobs), process)
    first_seen = finished_files(study)
    cluster.process.stdin.write("remove\n")
    cluster.process.stdin.flush()
    while process.poll() is None:
        first_seen = finished_files(study) | first_seen
        time.sleep(0.05)
    result, said = process.communicate()
    assert process.returncode == 0, said
    assert result.splitlines()[0] == f"{study.out}: 4 of 4 runs finished"
    assert "its process on the cluster ended (WorkerCrashedError" in said
    assert finished_files(study) == first_seen, "a finished run was trained again"
    assert len(first_seen) == 4
    assert all(said.count(f"{job.name} finished,") <= 1 for job in study.jobs)
    undisturbed = gt.Study.read(path, out=tmp_path / "undisturbed", threads=1)
    assert {perform(job) for job in undisturbed.jobs} == {Ending("finished")}
    assert results(study).equals(results(undisturbed))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_worker_costs_a_part_of_a_corpus_nothing_but_time(cluster, tmp_path):
    texts = [f"0 1\n1 {index % 7 + 2}\n0 {index % 7 + 2}" for index in range(4000)]
    pq.write_table(pa.table({"edges": texts}), tmp_path / "graphs.parquet")
    options = {"column": "edges", "metrics": ["edges", "nodes"], "stages": 1}
    killed = []

    def kill():
        while not killed:
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if re.search(r"graphtask part-\d+", " ".join(process.cmdline()[:1])):
                        process.kill()
                        killed.append(process.pid)
                        return
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.warns(UserWarning, match="its process on the cluster ended .*; measured again"):
        rows = gt.measure_files(
            [tmp_path / "graphs.parquet"],
            out=tmp_path / "out",
            engine=lambda tasks: RayEngine(tasks, address=cluster.address, gpus_per_run=0),
            part_size=500,
            **options,
        )
    killer.join()
    assert list(rows) == list(gt.measure_files([tmp_path / "graphs.parquet"], **options))
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 8


def test_the_token_of_the_user_is_for_clusters_on_this_machine_only(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    ray_engine._use_token("127.0.0.1:6379")
    assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / "token").write_text("secret")
    ray_engine._use_token("10.0.0.1:6379")
    ray_engine._use_token("auto")
    assert "RAY_AUTH_MODE" not in os.environ
    ray_engine._use_token("ray://localhost:10001")
    assert os.environ.pop("RAY_AUTH_MODE") == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray_engine._use_token("localhost:6379")
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_a_cluster_that_refuses_the_token_is_one_line_with_the_remedy(monkeypatch):
    def refuse(**_):
        raise ConnectionError("Failed to connect to Ray cluster")

    monkeypatch.setattr(ray_engine, "knock", lambda _: None)
    with pytest.raises(
        gt.errors.ArgumentError, match=r"RAY_AUTH_MODE=token with RAY_AUTH_TOKEN=.*ray get-auth-token"
    ):
        ray_engine._connect(SimpleNamespace(init=refuse), "10.0.0.1:6379", with_current_folder=False)
