import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pandas as pd
import pytest
from processes import PATIENCE, are_gone, children, wait_until

import graphtask as gt
from graphtask.corpus import cache as row_cache
from graphtask.corpus.measure import measure_entries
from graphtask.corpus.rows import Settings, completed, ordered_columns
from graphtask.metrics.registry import Metric, register_metric, unregister_metric
from graphtask.metrics.table import with_reasons
from graphtask.metrics.view import Options
from graphtask.reading import ReadOptions

FAST = ["edges", "nodes_stage_k", "log_paths", "parameters"]


def same(left, right):
    """Equal, NaN being equal to itself."""
    return repr(left) == repr(right)


def test_rows_are_what_measure_gives_with_origin_and_fingerprint(graphs):
    import hashlib

    rows = list(gt.measure_files(graphs, channels=3))
    assert [row["file"] for row in rows] == list(graphs)
    for row, (path, graph) in zip(rows, graphs.items(), strict=True):
        expected = gt.measure(graph, channels=3)
        assert same({name: row[name] for name in expected}, expected)
        assert (row["dataset"], row["seed"], row["threshold"]) == (
            "cdigits",
            graph["provenance"]["seed"],
            0.006,
        )
        assert row["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
        assert row["error"] == ""


def test_the_number_of_processes_changes_nothing(graphs):
    one, three = (list(gt.measure_files(graphs, metrics="paper", n_jobs=n_jobs)) for n_jobs in (1, 3))
    assert same(one, three)


def test_options_reach_the_processes(tmp_path):
    trained = gt.full_dag(6)
    trained.es["weight"] = [(15 - index) / 15 for index in range(15)]
    gt.write(trained, tmp_path / "t.graphml")
    (tmp_path / "two.edges").write_text("a c\nb c\na c\n")
    for n_jobs in (1, 2):
        options = {"stages": [2, 2], "join": True, "merge": True, "n_jobs": n_jobs}
        paths = [tmp_path / "two.edges", tmp_path / "t.graphml"]
        with pytest.warns(UserWarning, match="1 graph keeps the stages that it has"):
            row, _ = gt.measure_files(paths, metrics=FAST, **options)
        assert (row["edges"], row["nodes_stage_1"]) == (4, 2)
        rows = gt.measure_files(
            [tmp_path / "t.graphml", tmp_path / "two.edges"], threshold=0.3, n_jobs=n_jobs
        )
        row, broken = rows
        assert (row["threshold"], row["edges"]) == (0.3, gt.prune(trained, threshold=0.3).ecount())
        assert broken["error"].startswith(f"{tmp_path / 'two.edges'}: multi-edges")


def test_a_broken_file_is_one_row_and_takes_no_other_down(tmp_path, graphs):
    files = {
        "empty.graphml": b"",
        "cut.graphml": next(iter(graphs)).encode(),
        "noise.npz": bytes(range(256)),
        "cycle.edges": b"a b\nb a\n",
        "what.exe": b"MZ",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    broken = [tmp_path / name for name in files] + [tmp_path / "missing.gml", tmp_path / "no\nname.gml"]
    mixed = [path for pair in zip(broken, list(graphs), strict=False) for path in pair]
    for n_jobs in (1, 2):
        rows = list(gt.measure_files(mixed, metrics=FAST, n_jobs=n_jobs))
        assert [bool(row["error"]) for row in rows] == [True, False] * len(broken)
        assert all("\n" not in row["error"] and len(row["error"]) < 1000 for row in rows)
        assert all("edges" not in row for row in rows[::2])


def test_arguments_are_checked_before_the_first_row(graphs):
    for wrong in (
        {"metrics": "papr"},
        {"channels": 0},
        {"n_jobs": 0},
        {"n_jobs": True},
        {"order": "alphabet"},
        {"layout_starts": 0},
    ):
        with pytest.raises(gt.errors.ArgumentError):
            gt.measure_files(graphs, **wrong)


def test_rows_come_as_they_are_done_and_the_rest_can_be_left(graphs):
    rows = gt.measure_files(list(graphs) * 20, n_jobs=2)
    assert next(rows)["file"] == next(iter(graphs))
    rows.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("graphtask-worker")]
    assert own_workers() == []


def own_workers():
    listing = subprocess.run(["ps", "-o", "ppid=,args=", "-A"], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in listing.stdout.splitlines()]
    ours = [args for parent, args in lines if int(parent) == os.getpid()]
    return [args for args in ours if "corpus.worker" in args or "defunct" in args]


# Metrics of one's own, in other processes


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that registers metrics which end their process, take long, or print."""
    (tmp_path / "own_metrics_for_test.py").write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from graphtask.metrics.registry import Metric, register_metric

            def end(view):
                if view.facts["seed"] in {3, 4, 11}:
                    print("noise on stdout", flush=True)
                    os._exit(3)
                return 1

            def kill(view):
                if view.facts["seed"] == 5:
                    os.kill(os.getpid(), 9)
                return 1

            def late(view):
                time.sleep(0.3 if view.facts["seed"] == 0 else 0)
                return int(view.facts["seed"])

            def fails(view):
                raise RuntimeError("of all\\nthings")

            for metric in (end, kill, late, fails):
                register_metric(Metric(name=f"test_{metric.__name__}", compute=metric, formula="1"))
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_metrics_for_test  # noqa: F401

    yield
    for name in ("end", "kill", "late", "fails"):
        unregister_metric(f"test_{name}")
    del sys.modules["own_metrics_for_test"]


@pytest.mark.usefixtures("module")
def test_a_process_that_dies_costs_one_row(graphs):
    rows = list(gt.measure_files(graphs, metrics=["test_end"], n_jobs=2))
    assert [row["file"] for row in rows] == list(graphs)
    assert [index for index, row in enumerate(rows) if row["error"]] == [3, 4, 11]
    assert rows[3]["error"].startswith(f"{rows[3]['file']}: the process that measured it ended (status 3)")
    assert all(row["test_end"] == 1 for row in rows if not row["error"])
    rows = list(gt.measure_files(graphs, metrics=["test_kill"], n_jobs=2))
    assert "SIGKILL" in rows[5]["error"]
    assert sum(bool(row["error"]) for row in rows) == 1


@pytest.mark.usefixtures("module")
def test_rows_keep_their_order_when_the_first_takes_longest(graphs):
    rows = list(gt.measure_files(graphs, metrics=["test_late", "test_fails"], n_jobs=2))
    assert [row["test_late"] for row in rows] == list(range(12))
    assert all(math.isnan(row["test_fails"]) and row["undefined"].startswith("test_fails: ") for row in rows)


def test_a_metric_that_other_processes_cannot_know_says_so(graphs):
    register_metric(Metric(name="test_local", compute=lambda view: view.n_nodes, formula="n"))
    try:
        assert next(gt.measure_files(graphs, metrics=["test_local"]))["test_local"] == 8
        with pytest.raises(gt.errors.ArgumentError, match=r"n_jobs=1"):
            list(gt.measure_files(graphs, metrics=["test_local"], n_jobs=2))
    finally:
        unregister_metric("test_local")


def test_an_interrupted_corpus_leaves_no_process_behind(graphs):
    code = textwrap.dedent(
        f"""
        import signal, graphtask as gt
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell hands it down ignored
        rows = gt.measure_files({list(graphs)!r} * 2000, metrics=["pca_elongation"], n_jobs=2)
        for row in rows:
            print("row", flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    assert process.stdout.readline() == b"row\n"
    workers = wait_until(lambda: len(found := children(process.pid)) == 2 and found)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert stderr.decode().splitlines()[-1] == "KeyboardInterrupt"
    assert are_gone(workers)


# The cache


@pytest.fixture
def counted(monkeypatch):
    """The names of the graphs that are really measured."""
    from graphtask.corpus import measure

    names = []
    answer = measure.answer

    def counting(file, **options):
        names.append(file)
        return answer(file, **options)

    monkeypatch.setattr(measure, "answer", counting)
    return names


def test_a_grown_folder_is_measured_only_where_it_grew(tmp_path, graphs, counted):
    folder = tmp_path / "graphs"
    options = {"metrics": FAST, "channels": 2, "cache": tmp_path / "rows.sqlite"}
    first = list(gt.measure_files([folder], **options))
    assert counted == list(graphs)
    counted.clear()
    assert same(list(gt.measure_files([folder], **options)), first)
    assert counted == []
    gt.write(gt.full_dag(5), folder / "00a.graphml")
    grown = list(gt.measure_files([folder], **options))
    assert counted == [str(folder / "00a.graphml")]
    assert same([row for row in grown if row["file"] not in counted], first)
    counted.clear()
    (folder / "00.graphml").write_bytes((folder / "01.graphml").read_bytes())
    changed = list(gt.measure_files([folder], **options))
    assert counted == []  # its content is that of another file
    assert changed[0]["edges"] == changed[2]["edges"]


@pytest.mark.parametrize(
    "other",
    [
        {"channels": 3},
        {"metrics": [*FAST, "min_path"]},
        {"metrics": FAST[:1]},
        {"metrics": "paper"},
        {"in_channels": 1},
        {"layout_starts": 2},
        {"layout_seed": 1},
        {"stages": 2},
        {"join": True},
        {"merge": True},
        {"order": "ids"},
    ],
    ids=str,
)
def test_another_option_is_another_row(tmp_path, graphs, counted, other):
    options = {"metrics": FAST, "channels": 2, "cache": tmp_path}
    path = next(iter(graphs))
    list(gt.measure_files([path], **options))
    counted.clear()
    (row,) = gt.measure_files([path], **(options | other))
    assert counted == [path]
    (expected,) = gt.measure_files([path], **(options | other | {"cache": None}))
    assert same(row, expected)


def test_another_version_is_another_row(tmp_path, graphs, counted, monkeypatch):
    import importlib.metadata

    path = next(iter(graphs))
    for _ in range(2):
        list(gt.measure_files([path], metrics=FAST, cache=tmp_path))
    assert counted == [path]
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "99")
    list(gt.measure_files([path], metrics=FAST, cache=tmp_path))
    assert counted == [path] * 2


def test_other_code_is_another_row(tmp_path, graphs, counted, monkeypatch):
    path = next(iter(graphs))
    for digest in ("a", "a", "b"):
        monkeypatch.setattr(row_cache, "_digest", lambda _, digest=digest: digest)
        list(gt.measure_files([path], metrics=FAST, cache=tmp_path))
    assert counted == [path] * 2


@pytest.mark.parametrize(
    "changed", ["metrics/paths.py", "storage/formats.py", "priors/orient.py", "graph.py"]
)
def test_the_digest_of_the_code_changes_with_what_reads_and_measures(tmp_path, changed):
    package = Path(gt.__file__).parent
    before = row_cache._digest(package)
    copy = tmp_path / "graphtask"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "drawing" / "style.py").write_text("another style")
    assert row_cache._digest(copy) == before
    row_cache._digest.cache_clear()
    (copy / changed).write_text((copy / changed).read_text() + "\n# changed")
    assert row_cache._digest(copy) != before


def test_another_suffix_is_another_row(tmp_path, counted):
    for name in ("a.txt", "a.csv"):
        (tmp_path / name).write_text("0,1,1\n0,0,1\n0,0,0\n")
    list(gt.measure_files([tmp_path], metrics=["edges"], stages=1, cache=tmp_path))
    assert len(counted) == 2


def test_an_own_metric_that_changed_is_measured_again(tmp_path, graphs, counted):
    path = next(iter(graphs))
    values = []
    for compute in (
        lambda view: view.n_nodes + 1,
        lambda view: view.n_nodes + 2,
        lambda view: view.n_nodes + 2,
    ):
        register_metric(Metric(name="test_own", compute=compute, formula="n"))
        (row,) = gt.measure_files([path], metrics=["test_own"], cache=tmp_path)
        values.append(row["test_own"])
        unregister_metric("test_own")
    assert values == [9, 10, 10]
    assert len(counted) == 2


def test_errors_are_not_remembered(tmp_path, counted):
    path = tmp_path / "a.edges"
    path.write_text("a b c d\n")
    for _ in range(2):
        (row,) = gt.measure_files([path], stages=1, metrics=["edges"], cache=tmp_path)
        assert row["error"]
    assert len(counted) == 2


def test_the_cache_works_with_processes_and_archives_too(tmp_path, graphs, counted):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in graphs:
            archive.write(path, Path(path).name)
    options = {"metrics": FAST, "cache": tmp_path / "rows.sqlite"}
    fresh = list(gt.measure_files([tmp_path / "a.zip"], n_jobs=2, **options))
    assert counted == []
    from_folder = list(gt.measure_files(graphs, **options))
    assert counted == []
    assert same([row | {"file": ""} for row in fresh], [row | {"file": ""} for row in from_folder])


@pytest.mark.parametrize(
    "content", [b"no database", b"SQLite format 3\0" + bytes(4096), b"SQLite format 3\0", b"\0" * 100]
)
def test_a_cache_that_is_none_is_left_alone_with_one_message(tmp_path, graphs, counted, content):
    cache = tmp_path / "rows.sqlite"
    cache.write_bytes(content)
    with pytest.warns(UserWarning, match=r"rows\.sqlite: the cache cannot be used") as caught:
        rows = list(gt.measure_files(graphs, metrics=FAST, cache=cache))
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert counted == list(graphs)
    assert [row["error"] for row in rows] == [""] * 12
    assert cache.read_bytes() == content


def test_a_damaged_row_is_computed_again(tmp_path, graphs, counted):
    cache = tmp_path / "rows.sqlite"
    first = list(gt.measure_files(graphs, metrics=FAST, cache=cache))
    counted.clear()
    with sqlite3.connect(cache) as database:
        ((key, row),) = database.execute("SELECT key, row FROM rows LIMIT 1")
        database.execute("UPDATE rows SET row = ? WHERE key = ?", (row.replace(b"1", b"2", 1), key))
    database.close()
    assert same(list(gt.measure_files(graphs, metrics=FAST, cache=cache)), first)
    assert len(counted) == 1
    counted.clear()
    assert same(list(gt.measure_files(graphs, metrics=FAST, cache=cache)), first)
    assert counted == []


@pytest.mark.parametrize("place", [100, 1000, 4100, 5000, 8000])
def test_a_cache_damaged_anywhere_never_gives_wrong_rows(tmp_path, graphs, place):
    cache = tmp_path / "rows.sqlite"
    expected = list(gt.measure_files(graphs, metrics=FAST, cache=cache))
    content = bytearray(cache.read_bytes())
    for index in range(place, min(place + 300, len(content))):
        content[index] ^= 0x5A
    cache.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same(list(gt.measure_files(graphs, metrics=FAST, cache=cache)), expected)


def test_a_place_where_no_cache_can_be_is_no_reason_to_fail(tmp_path, graphs):
    with pytest.warns(UserWarning, match="the cache cannot be used"):
        rows = list(gt.measure_files(graphs, metrics=FAST, cache=tmp_path / "no" / "folder" / "rows.sqlite"))
    assert len(rows) == 12


def test_rows_are_kept_when_the_caller_stops_early(tmp_path, graphs, counted):
    rows = gt.measure_files(graphs, metrics=FAST, cache=tmp_path)
    for _ in range(5):
        next(rows)
    rows.close()
    counted.clear()
    list(gt.measure_files(graphs, metrics=FAST, cache=tmp_path))
    assert len(counted) <= 7


# Settings and columns


def test_settings_come_back_from_their_text():
    settings = Settings(
        metrics=["a", "b"],
        options=Options(channels=3, layout_starts=2),
        reading=ReadOptions(stages=[1, 2], join=True, merge=True, order="x"),
        threshold=0.1,
        relative=True,
    )
    assert Settings.from_json(settings.to_json()) == settings
    assert Settings.from_json(Settings().to_json()) == Settings()


def test_columns_and_missing_stages_are_those_of_measure_all(tmp_path):
    graphs = [gt.full_dag(6, stages=1), gt.full_dag(6, stages=3), gt.full_dag(6, stages=2)]
    paths = []
    for index, graph in enumerate(graphs):
        paths.append(tmp_path / f"{index}.graphml")
        gt.write(graph, paths[-1])
    rows = list(gt.measure_files(paths, channels=2))
    seen = dict.fromkeys(column for row in rows for column in row)
    columns = ordered_columns(seen, Settings(options=Options(channels=2)))
    table = with_reasons(gt.measure_all(graphs, channels=2))
    assert [*columns, "undefined"] == list(table.columns)
    for row, (_, expected) in zip(rows, table.iterrows(), strict=True):
        whole = completed(row, columns)
        assert whole["undefined"] == expected["undefined"]
        for column in columns:
            assert (pd.isna(whole[column]) and pd.isna(expected[column])) or whole[column] == expected[column]
    assert completed({"error": "x"}, columns) == {"error": "x"}


def test_values_of_the_provenance_that_are_no_numbers_or_texts_are_shown_as_json(tmp_path):
    graph = gt.graph.with_provenance(gt.full_dag(4), data={"name": "x", "sizes": (1, 2)}, seed=[1, 2])
    gt.write(graph, tmp_path / "a.graphml")
    (row,) = gt.measure_files([tmp_path / "a.graphml"], metrics=["edges"])
    assert json.loads(row["dataset"]) == {"name": "x", "sizes": [1, 2]}
    assert row["seed"] == "[1, 2]"


def test_the_entries_of_a_corpus_can_be_measured_twice(graphs):
    from graphtask.corpus.entries import find

    entries = find(graphs)
    first, second = (list(measure_entries(entries, Settings(metrics=FAST))) for _ in range(2))
    assert same(first, second)


def test_a_lone_surrogate_in_the_provenance_is_replaced_in_its_row(tmp_path):
    (tmp_path / "bad.json").write_text(
        '{"graph": {"provenance": {"data": "\\ud800", "prior": {"name": "\\udfff"}}},'
        '"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"source": "a", "target": "b"}]}'
    )
    (row,) = gt.measure_files([tmp_path / "bad.json"], stages=1, metrics=["edges"])
    assert (row["error"], row["dataset"], row["prior"]) == (
        "",
        "\N{REPLACEMENT CHARACTER}",
        "\N{REPLACEMENT CHARACTER}",
    )
    json.dumps(row, ensure_ascii=False).encode()


def test_the_digest_covers_all_modules_that_take_part_in_a_measurement(tmp_path):
    gt.write(gt.full_dag(4, stages=2), tmp_path / "a.graphml")
    program = (
        "import sys; from pathlib import Path; from graphtask.corpus.rows import Settings, row_of; "
        "from graphtask.corpus.cache import _CODE; import graphtask; "
        f"row_of(Path({str(tmp_path / 'a.graphml')!r}).read_bytes(), name='a.graphml', settings=Settings()); "
        "home = Path(graphtask.__file__).parent; "
        "files = [Path(m.__file__).relative_to(home) for n, m in sys.modules.items() if n.startswith('graphtask.')]; "
        "print([str(f) for f in files if not {f.parts[0], str(f)} & {*_CODE}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    others = {"corpus/__init__.py", "corpus/cache.py"}
    assert set(eval(done.stdout)) <= others, "these modules are missing in the digest"


def test_a_column_has_what_reading_chose(tmp_path):
    (tmp_path / "a.txt").write_text("0 1\n1 0\n1 2\n")
    gt.write(gt.full_dag(4), tmp_path / "b.graphml")
    (tmp_path / "c.json").write_text('{"nodes": [0, 1, 2], "links": [[0, 1, 3]]}')
    rows = list(gt.measure_files([tmp_path], metrics=["nodes"], reading="auto"))

    assert [row["nodes"] for row in rows] == [3, 4, 2]
    assert [row["reading"] for row in rows] == [
        "read with --order ids --stages 3",
        "",
        "read with --drop-isolated --stages 2; edge attribute 'weight' renamed to 'file_weight' (not all in [0, 1])",
    ]
    dropped = next(gt.measure_files([tmp_path / "c.json"], metrics=["nodes"], stages=1, drop_isolated=True))
    assert dropped["nodes"] == 2


def test_the_parts_of_a_folder_have_the_column_too(tmp_path):
    (tmp_path / "a.txt").write_text("0 1\n1 0\n1 2\n")
    rows = gt.measure_files(
        [tmp_path / "a.txt"], metrics=["nodes"], reading="auto", out=tmp_path / "out", n_jobs=1
    )

    assert [row["reading"] for row in rows] == ["read with --order ids --stages 3"]
    assert list(gt.read_table(tmp_path / "out")["reading"]) == ["read with --order ids --stages 3"]
