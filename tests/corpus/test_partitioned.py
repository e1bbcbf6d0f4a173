import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import InlineParts
from processes import PATIENCE, wait_until

import graphtask as gt
from graphtask.corpus.entries import find
from graphtask.corpus.measure import measure_entries
from graphtask.corpus.partitioned import engine_factory, measure_parts
from graphtask.corpus.parts import Part, read_part
from graphtask.corpus.rows import NullModel, Settings, completed, ordered_columns
from graphtask.engines.protocol import Ending
from graphtask.metrics.view import Options
from graphtask.reading import ReadOptions

FAST = ["edges", "nodes_stage_k", "log_paths"]


@pytest.fixture
def inline():
    """Measure into parts in this process; returns the report, the engine and the messages."""

    def measure(paths, out, *, metrics=FAST, part_size=5, plan=(), stages=None, **options):
        engines, notes = [], []

        def factory(tasks):
            engines.append(InlineParts(tasks, plan))
            return engines[-1]

        settings = Settings(metrics=metrics, reading=ReadOptions(stages=stages), options=Options(), **options)
        report = measure_parts(
            find(paths), settings, out=out, engine=factory, part_size=part_size, notify=notes.append
        )
        return report, (engines[0].performed if engines else []), notes

    return measure


def local(paths, **options):
    settings = Settings(metrics=FAST, reading=ReadOptions(**options))
    rows = list(measure_entries(find(paths), settings, n_jobs=1, notify=lambda _: None))
    columns = ordered_columns([column for row in rows for column in row], settings)
    return [completed(row, columns) for row in rows]


def same(left, right):
    return [sorted(map(repr, row.items())) for row in left] == [
        sorted(map(repr, row.items())) for row in right
    ]


@pytest.fixture
def mixed(graphs, tmp_path):
    """Graphs of two and three stages, one of which is broken."""
    (tmp_path / "broken.edges").write_text("?")
    return [*graphs, str(tmp_path / "broken.edges")]


def test_parts_hold_the_rows_of_the_local_table(inline, mixed, tmp_path):
    report, performed, _ = inline(mixed, tmp_path / "out")
    assert [part.name for part in performed] == ["part-00000", "part-00001", "part-00002"]
    assert [file.name for file in report.files] == [f"part-0000{index}.parquet" for index in range(3)]
    assert (report.n_errors, report.n_resumed, report.failed) == (1, 0, {})
    assert report.errors[0].startswith(mixed[-1])
    assert same(report.rows(), local(mixed))


def test_any_reader_takes_the_parts_for_one_table(inline, mixed, tmp_path):
    inline(mixed, tmp_path / "out", part_size=1)
    schemas = {str(pq.read_schema(file).remove_metadata()) for file in (tmp_path / "out").glob("*.parquet")}
    assert len(schemas) == 1, "also the part of a broken file, which has no metrics"
    for table in (pd.read_parquet(tmp_path / "out"), gt.read_table(tmp_path / "out")):
        assert table["file"].tolist() == mixed
        assert table["edges"].notna().tolist() == [True] * 12 + [False]
        assert table["nodes_stage_2"].isna().sum() == 1 + sum(seed % 2 == 0 for seed in range(12))


def test_parts_that_are_there_are_kept_and_a_damaged_one_is_measured_again(inline, mixed, tmp_path):
    out = tmp_path / "out"
    inline(mixed, out)
    before = {file.name: file.stat().st_mtime_ns for file in out.iterdir()}
    report, performed, _ = inline(mixed, out)
    assert (performed, report.n_resumed) == ([], 3)
    assert {file.name: file.stat().st_mtime_ns for file in out.iterdir()} == before
    part = out / "part-00001.parquet"
    (out / "part-00002.parquet").unlink()
    content = bytearray(part.read_bytes())
    chunk = pq.ParquetFile(part).metadata.row_group(0).column(0)
    content[chunk.data_page_offset + chunk.total_compressed_size - 3] ^= 1
    part.write_bytes(content)
    report, performed, notes = inline(mixed, out)
    assert [part.number for part in performed] == [1, 2]
    assert notes == [f"{part}: is damaged, and measured again"]
    assert same(report.rows(), local(mixed))


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": ["edges"]},
        {"part_size": 4},
        {"threshold": 0.5},
        {"stages": 2},
    ],
)
def test_a_folder_of_another_table_is_refused(inline, graphs, tmp_path, change):
    inline(graphs, tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    with pytest.raises(gt.errors.GraphtaskError, match="has rows of other graphs, settings or versions"):
        inline(graphs, tmp_path / "out", **change)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


def test_a_changed_graph_is_noticed(inline, graphs, tmp_path):
    inline(graphs, tmp_path / "out")
    first = Path(next(iter(graphs)))
    gt.write(gt.full_dag(4), first)
    with pytest.raises(gt.errors.GraphtaskError, match=r"part-00000.parquet: has rows of other graphs"):
        inline(graphs, tmp_path / "out")


def test_other_files_in_the_folder_are_refused_before_the_work(inline, graphs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(
        gt.errors.GraphtaskError, match=r"must be empty, or have the 3 parts of this table, has notes.txt"
    ):
        inline(graphs, tmp_path / "out")
    inline(graphs, tmp_path / "more")
    with pytest.raises(gt.errors.GraphtaskError, match=r"has part-00002\.parquet"):
        inline(list(graphs)[:10], tmp_path / "more")


def test_a_part_whose_process_dies_is_measured_again_in_isolation(inline, graphs, tmp_path, monkeypatch):
    monkeypatch.setattr("graphtask.corpus.measure.MeasuringPool", PoolOfOne)
    lost = Ending("died", "its node is lost")
    report, performed, notes = inline(graphs, tmp_path / "out", plan={0: lost, 1: Ending("refused")})
    assert sorted((part.number, part.is_isolated) for part in performed) == [
        (0, False),
        (0, True),
        (1, False),
        (1, False),
        (2, False),
    ]
    assert notes == ["part-00000: its node is lost; measured again"]
    assert same(report.rows(), local(graphs))


class PoolOfOne:
    """Stands for the child process of an isolated part."""

    def __init__(self, settings, *, n_jobs):
        assert n_jobs == 1
        self.settings = settings

    def submit(self, file, *, path, content):
        from graphtask.corpus.worker import answer

        future = Future()
        future.set_result(answer(file, path=path, content=content, settings=self.settings))
        return future

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_a_part_that_dies_again_and_again_is_reported_and_the_others_are_written(inline, graphs, tmp_path):
    died = Ending("died", "SIGKILL")
    report, performed, _ = inline(
        list(graphs)[:2], tmp_path / "out", part_size=1, plan=dict.fromkeys([0, 2, 3, 4, 5], died)
    )
    assert report.failed == {"part-00000": "SIGKILL"}
    assert [file.name for file in report.files] == ["part-00001.parquet"]
    assert len(performed) == 6


def test_ctrl_c_keeps_what_is_there(inline, graphs, tmp_path):
    with pytest.raises(
        gt.errors.RunInterruptedError, match=r"interrupted; 2 parts of 3 in .*; run the same command again"
    ):
        inline(graphs, tmp_path / "out", plan={2: "Ctrl-C"})
    report, performed, _ = inline(graphs, tmp_path / "out")
    assert (report.n_resumed, [part.number for part in performed]) == (2, [2])


def test_leftovers_of_a_killed_writer_are_removed(inline, graphs, tmp_path):
    inline(graphs, tmp_path / "out")
    from graphtask.storage.atomic import _temporary_prefix

    part = tmp_path / "out" / "part-00000.parquet"
    left = part.with_name(f"{_temporary_prefix(part)}00.tmp")
    left.write_bytes(b"PAR1")
    inline(graphs, tmp_path / "out")
    assert not left.exists()


def test_null_models_and_a_cache_need_one_table(graphs, tmp_path):
    settings = Settings(metrics=FAST, null_model=NullModel(5, "degree", 0))
    with pytest.raises(gt.errors.ArgumentError, match="write one table instead of a folder"):
        measure_parts(find(graphs), settings, out=tmp_path / "out", engine=InlineParts, notify=print)
    with pytest.raises(gt.errors.ArgumentError, match="cache cannot be combined with out"):
        gt.measure_files(graphs, out=tmp_path / "out", cache=tmp_path)
    with pytest.raises(gt.errors.ArgumentError, match="engine needs out"):
        gt.measure_files(graphs, engine="local")
    with pytest.raises(gt.errors.ArgumentError, match="engine must be one of local, ray, got 'dask'"):
        gt.measure_files(graphs, out=tmp_path / "out", engine="dask")
    with pytest.raises(gt.errors.ArgumentError, match="part_size must be an integer >= 1, got 0"):
        gt.measure_files(graphs, out=tmp_path / "out", part_size=0)
    assert not (tmp_path / "out").exists()


def test_rows_of_a_table_of_edge_lists_in_parts(tmp_path):
    path = tmp_path / "graphs.parquet"
    pq.write_table(
        pa.table({"edges": [f"0 1\n1 {index + 2}" for index in range(30)]}), path, row_group_size=7
    )
    rows = gt.measure_files(
        [path], column="edges", metrics=FAST, stages=1, out=tmp_path / "out", engine=InlineParts, part_size=4
    )
    expected = gt.measure_files([path], column="edges", metrics=FAST, stages=1)
    assert same(rows, expected)


def test_a_folder_inside_the_corpus_is_not_measured(tmp_path):
    pq.write_table(pa.table({"edges": ["0 1"] * 3}), tmp_path / "graphs.parquet")
    options = {
        "column": "edges",
        "metrics": FAST,
        "stages": 1,
        "engine": InlineParts,
        "out": tmp_path / "out",
    }
    assert len(list(gt.measure_files([tmp_path], **options))) == 3
    assert len(list(gt.measure_files([tmp_path], **options))) == 3


def test_a_part_travels_as_json(graphs, tmp_path):
    part = Part(
        out=tmp_path,
        number=3,
        entries=tuple(find(graphs)),
        settings=Settings(metrics=FAST),
        modules=("mine",),
        digest="x",
        is_isolated=True,
    )
    assert Part.from_dict(json.loads(json.dumps(part.to_dict()))) == part
    assert (part.path.name, part.names_code, part.on_cpu()) == ("part-00003.parquet", True, part)


def test_a_damaged_part_is_one_line_when_read(tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        gt.errors.GraphtaskError, match=r"part-00000.parquet: the part is damaged \(.*\); measure again"
    ):
        list(read_part(tmp_path / "part-00000.parquet"))


def test_parts_of_processes_on_this_machine(graphs, tmp_path):
    settings = Settings(metrics=FAST)
    report = measure_parts(
        find(graphs),
        settings,
        out=tmp_path / "out",
        engine=engine_factory("local", n_jobs=1),
        part_size=6,
        notify=pytest.fail,
    )
    assert same(report.rows(), local(graphs))
    assert (tmp_path / "out" / "_graphtask.log").exists()


@pytest.mark.slow
def test_a_graph_that_kills_its_process_costs_its_own_row(graphs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "killer.py").write_text(
        "import os\nfrom graphtask.metrics.registry import Metric, register_metric\n"
        "def killing(view):\n"
        "    if view.graph.vcount() == 9: os.kill(os.getpid(), 9)\n"
        "    return view.graph.ecount()\n"
        "register_metric(Metric(name='killing', compute=killing, formula='x', meaning='y', low=0, high=1e9))\n"
    )
    command = [sys.executable, "-m", "graphtask_cli", "metrics", *graphs, "--import", "killer"]
    done = subprocess.run(
        [*command, "--metrics", "killing", "-o", "out/", "--part-size", "4", "--jobs", "2"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = gt.read_table(tmp_path / "out")
    killed = [graph.vcount() == 9 for graph in graphs.values()]
    assert (table["error"] != "").tolist() == killed
    assert table["error"][killed.index(True)].endswith("its memory may have run out")


@pytest.mark.slow
def test_a_killed_command_is_resumed(tmp_path):
    pq.write_table(
        pa.table({"edges": [f"0 1\n1 {index + 2}" for index in range(6000)]}), tmp_path / "g.parquet"
    )
    command = [
        sys.executable,
        "-m",
        "graphtask_cli",
        "metrics",
        str(tmp_path / "g.parquet"),
        "--column",
        "edges",
    ]
    command += [
        "--stages",
        "1",
        "--metrics",
        "edges,nodes",
        "-o",
        f"{tmp_path}/out/",
        "--part-size",
        "500",
        "--jobs",
        "2",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: len(list((tmp_path / "out").glob("part-*"))) >= 3)
        os.kill(process.pid, signal.SIGKILL)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("part-*")}
    assert 3 <= len(kept) < 12
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert f"6,000 graphs in 12 parts, {len(kept)} of them kept" in done.stdout
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert len(gt.read_table(tmp_path / "out")) == 6000
