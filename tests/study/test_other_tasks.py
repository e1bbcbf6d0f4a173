"""A study of another task from its file to the report: its score is in the place of the accuracy everywhere."""

import json
from pathlib import Path

import numpy as np
import pytest
import quickjs
from helpers import InlineEngine

import graphtask as gt
from graphtask import reporting
from graphtask.columns import TASK_SCORES, shown_score
from graphtask.reporting.explorer_data import explorer_data

RULES = (Path(reporting.__file__).parent / "assets" / "rules.js").read_text(encoding="utf-8")
STUDY = """
name = "others"
out = "runs"
seeds = 2
channels = 2
device = "cpu"
threshold = 0.2
task = "{task}"
warm_up = 0.5
gradient_clip = 1.0
ema = 0.5
{options}

[optimization]
epochs = 2
batch_size = 16
learning_rate = 0.05

[priors.full]
nodes = 5
stages = 1

[data.one]
source = "one.npz"

[data.other]
source = "other.npz"
"""


def pixels(rng, n):
    images = rng.integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)
    return images, (images[..., 0] // 100).astype(int)


def numbers(rng, n):
    table = rng.standard_normal((n, 4))
    return table, table[:, :2] - table[:, 2:]


TASKS = {"segmentation": (pixels, "", "iou"), "regression": (numbers, 'block = "mlp"', "r2")}


@pytest.fixture(scope="module", params=TASKS)
def finished(request, tmp_path_factory):
    """The path of a study file whose runs are finished, and the score of its task."""
    make, options, score = TASKS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    for seed, name in enumerate(("one", "other")):
        rng = np.random.default_rng(seed)
        (x_train, y_train), (x_test, y_test) = make(rng, 48), make(rng, 24)
        np.savez(folder / name, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    path = folder / "study.toml"
    path.write_text(STUDY.format(task=request.param, options=options))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("graphtask.study.study.local_engine", lambda *_, **__: InlineEngine())
        gt.Study.read(path).run(progress=False)
    return path, score


def test_the_status_has_the_score_of_the_task_before_the_first_epoch(finished, tmp_path):
    path, score = finished
    status = gt.Study.read(path, out=tmp_path / "none yet").status()
    assert status["status"].tolist() == ["waiting"] * 4
    assert [name for name in status.columns if name.startswith("test_")] == [f"test_{score}"]


def test_the_scores_that_are_known_without_pytorch_are_those_of_the_tasks():
    assert {name: task.score.name for name, task in gt.tasks.TASKS.items()} == dict(TASK_SCORES)


def test_the_tables_of_the_study_have_the_score_of_the_task(finished):
    path, score = finished
    study = gt.Study.read(path)
    results, status = study.results(), study.status()
    assert status["status"].tolist() == ["finished"] * 4
    for table in (results, status):
        assert f"test_{score}" in table
        assert not [name for name in table.columns if "accuracy" in name]
    runs = [gt.Run.open(job.folder) for job in study.jobs]
    assert sorted(results[f"test_{score}"]) == sorted(run.test_score for run in runs)
    parity = gt.training.parity(runs[0], threshold=0.2, device="cpu")
    assert parity.score_pruned in results[f"test_{score}_pruned"].tolist()
    assert f"test_{score}" in json.dumps(study.summary().reset_index().to_dict("list"))
    assert runs[0].config.optimization.ema == 0.5


def test_its_graphs_are_compared_by_data_set(finished):
    path, _ = finished
    found = gt.read_all([path.parent / "runs"])
    assert sorted(set(found.labels)) == ["one", "other"]
    compared = gt.compare(found.graphs, found.labels, n_permutations=9)
    assert len(compared.classifications[0].confusion) == 2


def test_the_slider_of_the_report_shows_the_score_that_the_sweep_found(finished, tmp_path):
    path, score = finished
    folder = gt.Study.read(path).jobs[0].folder
    run = gt.Run.open(folder)
    thresholds = [0.0, *np.quantile(run.graph.es["weight"], [0.1, 0.3, 0.5, 0.8]).tolist(), 2.0]
    table = gt.sweep(run, thresholds=thresholds, metrics="edges", device="cpu", progress=False).table
    page = gt.report([path], out=tmp_path / "report.html", sweeps={str(folder): table}).read_text()
    assert f"Test {score} and sparsity over τ" in page
    context = quickjs.Context()
    data = explorer_data(run.graph, name="g", sweep=table)
    context.eval(f"{RULES}\nconst G = {json.dumps(data)}; graphtaskRules.prepare(G);")
    assert data["sweep"]["score"] == score
    for _, row in table.iterrows():
        shown = json.loads(
            context.eval(
                f"JSON.stringify(graphtaskRules.score(G, graphtaskRules.prune(G, {row['threshold']!r})))"
            )
        )
        value = row[f"test_{score}"]
        is_connected = row["status"] == "connected"
        assert shown == (
            {"value": value, "text": shown_score(value, score, digits=2)} if is_connected else None
        )
    assert not is_connected, "the last threshold is above all weights"
