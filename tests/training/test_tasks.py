"""Tasks other than classification, from reading the targets to the tables of every tool."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as reference
from torch.nn import functional

import graphtask as gt
from graphtask.data.batches import Batches
from graphtask.study.results import _frame
from graphtask.tasks import IGNORED, SCORES, Score, load_task, standard_error
from graphtask.training.loop import evaluate

OPTIONS = {
    "channels": 3,
    "epochs": 2,
    "batch_size": 30,
    "learning_rate": 0.02,
    "progress": False,
    "device": "cpu",
}


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def table_data(n=90):
    """Features, and two targets that are linear in them, with noise."""
    x = random(n, 5)
    return x, x[:, :2] - x[:, 2:4] + 0.1 * random(n, 2, seed=1)


def label_data(n=90):
    x = random(n, 6)
    return x, (x[:, :3] > 0.2).astype(int)


def pixel_data(n=40):
    """Images whose pixels are labeled by their brightness; a tenth has no label."""
    x = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)
    y = (x[..., 0] // 100).astype(int)
    y[random(n, 8, 8) > 1.3] = -1
    return x, y


TASKS = {
    "regression": (table_data, {"block": "mlp"}, "r2"),
    "multilabel": (label_data, {"block": "mlp"}, "f1"),
    "segmentation": (pixel_data, {"block": "simple", "crop_padding": 2}, "iou"),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_tool_has_the_score_of_the_task_in_the_place_of_the_accuracy(task, tmp_path):
    make, options, score = TASKS[task]
    graph = gt.full_dag(5, stages=1 if options["block"] == "mlp" else 2)
    gt.train(graph, data=make(), task=task, out=tmp_path / "run", **OPTIONS, **options)
    run = gt.Run.open(tmp_path / "run")
    data = gt.load_data(make(), targets=run.task.targets)
    assert run.score == score
    assert {f"train_{score}", f"test_{score}"} <= set(run.metrics.columns)
    assert not any("accuracy" in name for name in run.metrics.columns)
    assert f"test {score} {run.test_score:.4g}" in repr(run)
    assert gt.provenance(run.graph)[f"test_{score}"] == run.test_score

    swept = gt.sweep(run, thresholds=[0, 0.2], metrics="edges", data=data, progress=False)
    assert swept.table[f"test_{score}"][0] == swept.table[f"trained_{score}"][0] == run.test_score
    assert swept.plot().axes[0].get_title(loc="left") == f"test {score}"
    report = gt.training.parity(run, threshold=0.2, data=data)
    assert report.score_trained == pytest.approx(run.test_score)
    assert report.score_cut == pytest.approx(report.score_pruned)
    again = gt.retrain(run, threshold=0.2, data=data, epochs=1, channels="fit", progress=False)
    table = gt.training.compare_retrained(run, {"retrained": again}, threshold=0.2, data=data)
    assert table.table[f"test_{score}"].tolist()[::2] == [run.test_score, again.test_score]
    assert "full_mean" in table.side_by_side()
    assert f"test_{score}_mean" in table.summary()
    assert table.plot().axes[0].get_title(loc="left") == f"test {score}"
    n_parameters = sum(parameter.numel() for parameter in run.module().parameters())
    assert table.table["parameters"][0] == n_parameters


@pytest.mark.parametrize(
    "name", ["accuracy", "r2", "mae", "rmse", "f1", "label_accuracy", "iou", "pixel_accuracy"]
)
def test_scores_are_those_of_scikit_learn_in_any_batches(name):
    score = SCORES[name]
    outputs = torch.from_numpy(
        random(60, 4) if name not in {"iou", "pixel_accuracy"} else random(12, 4, 5, 5)
    )
    if name == "accuracy":
        targets = torch.arange(60) % 4
        expected = reference.accuracy_score(targets, outputs.argmax(1))
    elif name in {"r2", "mae", "rmse"}:
        targets = outputs + 3 + torch.from_numpy(random(60, 4, seed=1))
        function = {
            "r2": reference.r2_score,
            "mae": reference.mean_absolute_error,
            "rmse": reference.mean_squared_error,
        }
        expected = function[name](targets, outputs)
        expected = expected**0.5 if name == "rmse" else expected
    elif name in {"f1", "label_accuracy"}:
        targets = torch.from_numpy((random(60, 4, seed=1) > 0.5).astype(np.float32))
        found = (outputs > 0).numpy()
        expected = (
            reference.f1_score(targets, found, average="macro")
            if name == "f1"
            else (found == targets.numpy()).mean()
        )
    else:
        targets = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (12, 5, 5)))
        targets[0] = IGNORED
        true, found = targets[1:].flatten(), outputs.argmax(1)[1:].flatten()
        expected = (
            reference.jaccard_score(true, found, average="macro")
            if name == "iou"
            else reference.accuracy_score(true, found)
        )
    assert score.value(outputs, targets) == pytest.approx(expected, rel=1e-6)
    parts = [score.terms(outputs[k : k + 7], targets[k : k + 7]).double() for k in range(0, len(targets), 7)]
    assert score.at(sum(parts) / len(targets)) == pytest.approx(expected, rel=1e-6)


def test_the_standard_error_is_that_of_a_mean_and_of_the_bootstrap():
    error = torch.from_numpy(random(200)).abs()
    score = SCORES["mae"]
    assert standard_error(score, error) == pytest.approx(float(error.std()) / 200**0.5, rel=1e-9)
    targets = torch.from_numpy(random(200, 1))
    outputs = targets + torch.from_numpy(random(200, 1, seed=1))
    terms = torch.stack([SCORES["r2"].terms(outputs[k : k + 1], targets[k : k + 1]) for k in range(200)])
    rng = np.random.default_rng(0)
    draws = [SCORES["r2"].at(terms[rng.integers(0, 200, 200)].mean(dim=0)) for _ in range(400)]
    assert standard_error(SCORES["r2"], terms) == pytest.approx(np.std(draws), rel=0.15)


def test_labels_of_pixels_are_cropped_and_mirrored_with_their_images():
    images = np.random.default_rng(0).integers(1, 200, (6, 5, 4, 1), dtype=np.uint8)
    batches = Batches(
        images, images[..., 0].astype(np.int64), batch_size=6, mean=[0.0], std=[1 / 255], padding=2, flip=True
    )
    for epoch in range(4):
        for shown, labels in batches.epoch(seed=0, epoch=epoch):
            values = shown[:, 0].round().long()
            assert torch.equal(torch.where(values == 0, IGNORED, values), labels)
            assert (labels == IGNORED).any()
    ((shown, labels),) = batches.in_order()
    assert torch.equal(shown[:, 0].round().long(), labels)


def test_a_table_of_pandas_is_images_of_one_pixel_that_are_never_shifted():
    frame = pd.DataFrame(random(50, 3), columns=["a", "b", "c"])
    data = gt.load_data((frame, frame["a"] * 2), targets="values")
    assert (data.x_train.shape, data.y_train.shape, data.x_train.dtype) == (
        (40, 1, 1, 3),
        (40, 1),
        np.float32,
    )
    assert (data.targets, data.n_classes, data.size) == ("values", 1, (1, 1))
    run = gt.train(
        gt.full_dag(3, stages=1), data=data, task="regression", score="mae", block="mlp", **OPTIONS
    )
    assert run.score == "mae"
    subset = data.subset(10, 5, seed=0)
    assert (len(subset.y_train), len(subset.y_test)) == (10, 5)
    assert subset.fingerprint != data.fingerprint


def test_floats_of_any_range_are_kept_and_standardized():
    x = (1000 + 50 * random(40, 4, 4, 2)).astype(np.float32)
    data = gt.load_data((x, np.arange(40) % 2))
    assert data.x_train.dtype == np.float32
    from graphtask.training.batches import split_batches

    batches = split_batches(data, gt.TrainConfig(crop_padding=0, flip=False), device="cpu")
    for _ in range(2):  # the images are not changed in place
        ((shown, _),) = batches.train.epoch(seed=0, epoch=0)
        assert shown.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-4)
        assert shown.std(dim=(0, 2, 3), unbiased=False).tolist() == pytest.approx([1, 1], abs=1e-4)


@pytest.fixture
def my_task(tmp_path, monkeypatch):
    """A module of the user's with a task, a score, a loss and a head."""
    (tmp_path / "my_task.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "import graphtask as gt\n"
        "def loss(outputs, targets):\n"
        "    return (outputs - targets).abs().mean()\n"
        "within = gt.tasks.Score(name='within', terms=lambda outputs, targets: ((outputs - targets).abs() < 1).all(1).sum())\n"
        "class Head(nn.Module):\n"
        "    def __init__(self, channels, n_outputs, stride):\n"
        "        super().__init__()\n"
        "        self.linear = nn.Linear(channels, n_outputs)\n"
        "    def forward(self, x):\n"
        "        return self.linear(x.amax(dim=(2, 3)))\n"
        "task = gt.tasks.Task(name='near', targets='values', loss=loss, score=within, head=Head)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "my_task:task"
    sys.modules.pop("my_task", None)


def test_a_custom_task_is_trained_and_imported_only_when_named_again(my_task, tmp_path):
    options = OPTIONS | {"block": "mlp"}
    run = gt.train(gt.full_dag(3, stages=1), data=table_data(), task=my_task, out=tmp_path / "run", **options)
    parts = {"task": "regression", "loss": "my_task:loss", "score": "my_task:within", "head": "my_task:Head"}
    same = gt.train(gt.full_dag(3, stages=1), data=table_data(), **parts, **options)
    assert all(torch.equal(value, same.weights[key]) for key, value in run.weights.items())
    assert run.score == same.score == "within"
    sys.modules.pop("my_task", None)
    opened = gt.Run.open(tmp_path / "run")
    for call in (opened.module, lambda: opened.task):
        with pytest.raises(gt.errors.RunError, match="--allow-import my_task:task"):
            call()
    assert "my_task" not in sys.modules
    assert gt.Run.open(tmp_path / "run", imports=[my_task]).module().head.linear.out_features == 2


def test_the_table_of_a_study_has_the_score_of_each_task():
    done = {
        "dataset": "d",
        "prior": "full",
        "seed": 0,
        "status": "finished",
        "error": "",
        "threshold": 0.0,
        "run": "a",
    }
    rows = [
        done | {"test_r2": 0.5, "test_r2_pruned": 0.4},
        done | {"test_accuracy": 0.9, "test_accuracy_pruned": 0.8},
    ]
    table = _frame([dict(row) for row in rows])
    assert table["test_r2"].tolist()[0] == 0.5
    assert list(table.columns)[6:10] == ["test_r2", "test_r2_pruned", "test_accuracy", "test_accuracy_pruned"]
    assert list(_frame([dict(done)]).columns)[6:8] == ["test_accuracy", "test_accuracy_pruned"]


def test_a_smaller_score_is_better_where_the_score_says_so():
    found = gt.training.suggested_threshold(
        [0.0, 0.1, 0.2],
        [1.0, 1.05, 2.0],
        trained_accuracy=1.0,
        n_images=9,
        standard_error=0.1,
        larger_is_better=False,
    )
    assert found == 0.1


def test_evaluation_is_the_mean_loss_and_the_score():
    net = gt.compile(gt.full_dag(3, stages=1), channels=2, in_channels=5, n_classes=2, block="mlp").eval()
    x, y = (part.astype(np.float32) for part in table_data(20))
    batches = Batches(x[:, None, None], y, batch_size=8, mean=[0.0] * 5, std=[1.0] * 5)
    outputs = net(torch.from_numpy(x)[:, :, None, None])
    found = evaluate(net, batches, task=load_task("regression"))
    assert found.loss == pytest.approx(functional.mse_loss(outputs, torch.from_numpy(y)).item(), rel=1e-5)
    assert found.score == pytest.approx(reference.r2_score(y, outputs.detach()), rel=1e-5)


def test_what_does_not_fit_is_one_clear_line():
    x, y = table_data(20)
    wrong = [
        (lambda: load_task("regresion"), "unknown task 'regresion'; did you mean 'regression'"),
        (lambda: load_task("regression", score="r3"), "unknown score 'r3'"),
        (lambda: load_task("regression", loss="nonsense"), "unknown loss 'nonsense'"),
        (
            lambda: load_task("torch.nn:Linear"),
            r"task must name a graphtask.tasks.Task, got 'torch.nn:Linear'",
        ),
        (lambda: Score(name="loss", terms=torch.sum), "name must be an identifier other than loss"),
        (lambda: gt.load_data((x, y * np.nan), targets="values"), "targets must be finite numbers of shape"),
        (
            lambda: gt.load_data((x, y), targets="pixels"),
            r"labels of pixels must be integers of shape \(N, H, W\)",
        ),
        (lambda: gt.load_data("cdigits", targets="values"), "has classes, but the task needs values"),
        (lambda: gt.load_data((x, y), targets="values", transforms=["pad:2"]), "pad:2 needs images of bytes"),
        (lambda: gt.load_data((x, y), targets="numbers"), "targets must be one of"),
        (
            lambda: gt.train(gt.full_dag(3), data=gt.load_data((x, y), targets="values"), progress=False),
            "task must be one of values, as the data are, got 'classification'",
        ),
        (
            lambda: gt.train(
                gt.full_dag(5, stages=5), data=pixel_data(20), task="segmentation", progress=False
            ),
            "pixels",
        ),
    ]
    for call, message in wrong:
        with pytest.raises(gt.errors.GraphtaskError, match=message):
            call()
