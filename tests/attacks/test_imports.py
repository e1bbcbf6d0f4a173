"""Nothing in a graph, a run folder or study.json leads to an import, whatever it names.

A module that leaves a trace is importable, and its name is put in the place of every text of every file.
"""

import contextlib
import json
import re
import shutil
import sys

import numpy as np
import pytest
from helpers import InlineEngine
from run_folders import accept, copy_run, edited, places, train_small

import graphtask as gt
from graphtask.dynamics.table import open_recording
from graphtask.graph import with_provenance
from graphtask.runs.check import check_run
from graphtask.runs.layout import CONFIG, PROVENANCE
from graphtask.study.worker import perform

MODULE = "planted_by_a_stranger"
NAMES = [f"{MODULE}:Thing", MODULE]


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A folder of the path with the module; removed from the imported modules afterwards."""
    folder = tmp_path / "importable"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text("from torch.optim import SGD as Thing\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    yield
    sys.modules.pop(MODULE, None)


def is_imported():
    return MODULE in sys.modules


def texts(value):
    """The paths to all texts inside of a JSON value."""
    for path in places(value):
        inner = value
        for key in path:
            inner = inner[key]
        if isinstance(inner, str) or inner is None:
            yield path


@pytest.mark.usefixtures("planted")
def test_the_module_would_be_imported_if_the_user_named_it(tmp_path):
    with contextlib.suppress(gt.GraphtaskError):
        train_small(tmp_path / "run", optimizer=NAMES[0], epochs=1)
    assert is_imported()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "run"
    train_small(folder)
    return folder


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("name", [CONFIG, PROVENANCE])
def test_no_text_of_a_run_folder_is_imported(original, tmp_path, name):
    folder = copy_run(original, tmp_path / "run")
    text = (folder / name).read_text()
    places_of_texts = list(texts(json.loads(text)))
    assert len(places_of_texts) > 3
    uses = {
        CONFIG: [
            lambda: gt.Run.open(folder).module(),
            lambda: gt.sweep(gt.Run.open(folder), thresholds=[0], metrics="edges", progress=False),
            lambda: gt.retrain(gt.Run.open(folder), threshold=0, epochs=1, progress=False),
            lambda: open_recording(folder),
        ],
        PROVENANCE: [lambda: gt.Run.open(folder)],
    }
    for path in places_of_texts:
        (folder / name).write_text(edited(text, path, lambda inner, key: inner.__setitem__(key, NAMES[0])))
        accept(folder)
        for use in (*uses[name], lambda: check_run(folder, write=True), lambda: train_small(folder)):
            with contextlib.suppress(gt.GraphtaskError):
                use()
            assert not is_imported(), path


@pytest.fixture
def study(tmp_path):
    """A study of one run of two epochs; the first is done."""
    images = np.random.default_rng(0).integers(0, 256, size=(16, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "scans.npz", x_train=images, y_train=[0, 1] * 8, x_test=images, y_test=[0, 1] * 8)
    values = {
        "name": "tiny",
        "out": str(tmp_path / "runs"),
        "channels": 1,
        "device": "cpu",
        "optimization": {"epochs": 1, "batch_size": 8},
        "priors": {"full": {"nodes": 3}},
        "data": {"scans": {"source": str(tmp_path / "scans.npz")}},
    }
    study = gt.Study.read(values)
    study.save()
    return study


@pytest.mark.usefixtures("planted")
def test_no_text_of_study_json_is_imported(study):
    path = study.out / "study.json"
    text = path.read_text()
    n_read = 0
    for place in texts(json.loads(text)):
        path.write_text(edited(text, place, lambda inner, key: inner.__setitem__(key, NAMES[0])))
        with contextlib.suppress(gt.GraphtaskError):
            found = gt.Study.read(study.out)
            n_read += 1
            found.status()
            found.cost()
            found.run(engine=InlineEngine(), progress=False)
            found.results()
        assert not is_imported(), place
        path.write_text(text)
        for job in study.jobs:
            shutil.rmtree(job.folder, ignore_errors=True)
    assert n_read >= 2


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    "keyword", ["data", "kind", "block", "head", "task", "loss", "score", "optimizer", "schedule"]
)
def test_code_that_study_json_names_is_refused_until_the_user_repeats_it(study, keyword):
    path = study.out / "study.json"
    content = json.loads(path.read_text())
    if keyword == "kind":
        content["jobs"][0]["prior"]["kind"] = NAMES[0]
    else:
        content["jobs"][0]["config"] = study.jobs[0].config.replace(**{keyword: NAMES[0]}).to_json()
    path.write_text(json.dumps(content))
    message = (
        rf"study\.json: names code, {keyword} = '{NAMES[0]}', .*repeat the name: --allow-import {NAMES[0]}"
    )
    for imports in ((), ("other:Thing",)):
        with pytest.raises(gt.errors.RunError, match=message):
            gt.Study.read(study.out, imports=imports)
    assert not is_imported()
    (job,) = gt.Study.read(study.out, imports=NAMES).jobs
    assert not is_imported()
    perform(job)
    assert is_imported()


@pytest.mark.usefixtures("planted")
def test_no_text_of_a_graph_is_imported(tmp_path):
    graph = gt.full_dag(4, stages=2)
    graph.es["weight"] = 0.5
    gt.write(with_provenance(graph, data="a", prior={"name": "full", "kind": "full"}), tmp_path / "g.graphml")
    text = (tmp_path / "g.graphml").read_text()
    n_changed = 0
    for found in re.finditer(r">([^<>\s][^<>]*)<|\"([^\"]+)\"", text):
        start, end = found.span(1) if found.group(1) else found.span(2)
        (tmp_path / "changed.graphml").write_text(f"{text[:start]}{NAMES[n_changed % 2]}{text[end:]}")
        n_changed += 1
        with contextlib.suppress(gt.GraphtaskError):
            changed = gt.read(tmp_path / "changed.graphml")
            gt.measure(gt.prune(changed, threshold=0.1))
            gt.compile(changed, channels=1)
        assert not is_imported(), text[start:end]
    assert n_changed > 50
