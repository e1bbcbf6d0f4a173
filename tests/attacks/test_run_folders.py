"""Attacks on run folders: flipped bits, missing keys, wrong types, cut files, pipes and links.

Each test prints how many damaged inputs it tried. What may happen: an error of graphtask, or a result that is right.
"""

import contextlib
import io
import json
import os
import re
import shutil
import struct
import threading
from collections import Counter

import pytest
import torch
from run_folders import WRONG, accept, copy_run, drawn, edited, flipped, places, sampled, train_small

import graphtask as gt
from graphtask.dynamics.table import open_recording
from graphtask.runs.check import check_run
from graphtask.runs.checkpoint_file import read_payload, write_payload
from graphtask.runs.layout import (
    CHECKPOINT,
    CONFIG,
    DIVERGED,
    HISTORY,
    LOCK,
    MANIFEST,
    METRICS,
    OUTCOME,
    PROVENANCE,
    TRAINED,
    WEIGHTS,
)
from graphtask.runs.manifest import LISTED
from graphtask.runs.outcome import read_outcome, write_outcome
from graphtask.runs.provenance import read_environments
from graphtask.training.checkpointing import load_checkpoint
from graphtask.training.run import Run

ROWS = {0.006: {"test_accuracy": 0.5, "accuracy_pruned": float("nan"), "undefined": ""}}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "run"
    train_small(folder)
    write_outcome(folder, ROWS)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return copy_run(original, tmp_path / "run")


def open_everything(folder):
    """Read all that can be read of a run, and describe what was found; or the class of graphtask's error."""
    try:
        run = Run.open(folder)
        weights = {name: tensor.numpy().tobytes() for name, tensor in run.weights.items()}
        run.module()
        return repr(
            (run.config, weights, run.metrics.to_csv(), run.graph.es["weight"], gt.provenance(run.graph))
        )
    except gt.GraphtaskError as error:
        message = str(error)
        assert "\n" not in message
        assert message.isprintable()
        return "detected"


def also_readable(folder):
    """Run the other readers, which may find damage too, and must raise nothing but errors of graphtask."""
    read_environments(folder)
    read_outcome(folder)
    check_run(folder)
    for reader in (open_recording, load_checkpoint):
        with contextlib.suppress(gt.GraphtaskError):
            reader(folder)


def report(name, counts):
    print(f"\n{name}: {sum(counts.values())} damaged inputs, {dict(counts)}")  # noqa: T201 - the counts are the result


@pytest.mark.parametrize("name", [*LISTED, MANIFEST])
@pytest.mark.parametrize(
    "count", [40, pytest.param(1 << 40, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_every_flipped_bit_in_a_finished_run_is_detected(folder, name, count):
    path = folder / name
    content = path.read_bytes()
    counts = Counter()
    for place in sampled(len(content), count):
        path.write_bytes(flipped(content, place, 1 << place % 8))
        counts["detected" if check_run(folder).status == "damaged" else "SILENT"] += 1
        if place % 8 == 0:
            assert open_everything(folder) == "detected"
    report(name, counts)
    assert set(counts) == {"detected"}
    path.write_bytes(content)
    assert open_everything(folder) != "detected"


@pytest.mark.parametrize("name", [*LISTED, MANIFEST])
def test_a_file_that_is_cut_short_or_missing_is_detected(folder, name):
    path = folder / name
    content = path.read_bytes()
    for length in sampled(len(content), 20):
        path.write_bytes(content[:length])
        assert open_everything(folder) == "detected", length
        assert check_run(folder).status == "damaged"
    path.unlink()
    assert open_everything(folder) == "detected"


@pytest.mark.parametrize("name", [HISTORY, METRICS, TRAINED, WEIGHTS])
@pytest.mark.parametrize(
    "count", [24, pytest.param(150, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_a_flipped_bit_with_a_manifest_to_match_is_an_error_or_readable(folder, name, count):
    path = folder / name
    content = path.read_bytes()
    counts = Counter()
    for place in drawn(len(content), count):
        path.write_bytes(flipped(content, place, 1 << place % 8))
        accept(folder)
        counts["detected" if open_everything(folder) == "detected" else "readable"] += 1
        also_readable(folder)
    report(name, counts)


@pytest.mark.parametrize("name", [CONFIG, PROVENANCE, OUTCOME, MANIFEST])
@pytest.mark.parametrize("step", [19, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_missing_keys_and_wrong_types_are_errors_or_readable(folder, name, step):
    text = (folder / name).read_text()
    changes = [
        (f"without {path}", edited(text, path, lambda inner, key: inner.pop(key)))
        for path in places(json.loads(text))
    ]
    for path in places(json.loads(text)):
        changes += [
            (
                f"{path} = {value!r}",
                edited(text, path, lambda inner, key, value=value: inner.__setitem__(key, value)),
            )
            for value in WRONG
        ]
    changes += [
        ("more", json.dumps({**json.loads(text), "more": 1})),
        ("deep", "[" * 100_000),
        ("digits", "9" * 10_000),
    ]
    changes += [("not an object", json.dumps(value)) for value in ([], 1, "x", None)]
    counts = Counter()
    for number, (_what, changed) in enumerate(changes):
        if number % step:
            continue
        (folder / name).write_text(changed)
        if name != MANIFEST:
            accept(folder)
        counts["detected" if open_everything(folder) == "detected" else "readable"] += 1
        also_readable(folder)
    report(name, counts)


@pytest.mark.parametrize("section", ["model", "data", "optimization", "runtime"])
def test_an_option_of_a_newer_version_is_one_clear_line(folder, section):
    config = json.loads((folder / CONFIG).read_text())
    config[section]["brand_new"] = True
    (folder / CONFIG).write_text(json.dumps(config))
    accept(folder)
    with pytest.raises(
        gt.errors.RunError, match=r"config\.json: .*another version of graphtask.*'brand_new'"
    ):
        Run.open(folder)
    with pytest.raises(gt.errors.RunError, match="brand_new"):
        train_small(folder)


def test_a_format_of_a_newer_version_is_one_clear_line(folder):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"version": 9}))
    accept(folder)
    with pytest.raises(gt.errors.RunError, match=r"has format 9, this version of graphtask reads"):
        Run.open(folder)


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_wrong_values_in_the_metrics_table_are_errors(folder, step):
    text = (folder / METRICS).read_text()
    header, *rows = text.splitlines()
    names = header.split(",")
    counts = Counter()
    for column, _ in enumerate(names):
        without = "\n".join(
            ",".join(line.split(",")[:column] + line.split(",")[column + 1 :]) for line in (header, *rows)
        )
        tables = [without]
        for value in ("", "x", "nan", "inf", "1e999", '"', "-1", "=1+1", "9" * 400):
            cells = rows[0].split(",")
            cells[column] = value
            tables.append("\n".join([header, ",".join(cells), *rows[1:]]))
        for table in tables[::step]:
            (folder / METRICS).write_text(table)
            accept(folder)
            counts["detected" if open_everything(folder) == "detected" else "readable"] += 1
            also_readable(folder)
    for table in (
        "",
        header,
        "\n".join([header, rows[0]]),
        "\n".join([header, *rows, rows[-1]]),
        "\0",
        "\n".join([header, *reversed(rows)]),
    ):
        (folder / METRICS).write_text(table)
        accept(folder)
        assert open_everything(folder) == "detected", table
    report(METRICS, counts)
    assert counts["detected"] > 2 * counts["readable"]


def test_channels_beyond_the_stored_weights_are_refused_before_a_network_of_that_size_is_made(folder):
    config = json.loads((folder / CONFIG).read_text())
    config["model"]["channels"] = 100_000
    (folder / CONFIG).write_text(json.dumps(config))
    accept(folder)
    with pytest.raises(gt.errors.RunError, match="the weights do not match the trained graph and its config"):
        Run.open(folder)


@pytest.mark.parametrize("name", ["weight", "w"])
def test_a_trained_graph_without_weights_is_refused(folder, name):
    text = (folder / TRAINED).read_text()
    changed = text.replace(f'attr.name="{name}"', 'attr.name="other"')
    assert changed != text
    (folder / TRAINED).write_text(changed)
    accept(folder)
    with pytest.raises(gt.errors.RunError, match="not of one run"):
        Run.open(folder)


@pytest.mark.parametrize("change", ["empty", "without", "another shape", "other values"])
def test_weights_that_are_not_of_the_run_are_refused(folder, change):
    import safetensors.torch

    weights = safetensors.torch.load_file(folder / WEIGHTS)
    edge_weight = weights.pop("edge_weight")
    if change == "empty":
        weights = {}
    if change == "another shape":
        weights["edge_weight"] = edge_weight[:-1].clone()
    if change == "other values":
        weights["edge_weight"] = edge_weight + 1
    safetensors.torch.save_file(weights, folder / WEIGHTS)
    accept(folder)
    with pytest.raises(gt.errors.RunError):
        Run.open(folder)


def test_provenance_that_is_not_that_of_the_run_is_refused(folder):
    text = (folder / TRAINED).read_text()
    changed = re.sub(r'"seed": 3', '"seed": "3/../../../../victim"', text)
    assert changed != text
    (folder / TRAINED).write_text(changed)
    accept(folder)
    with pytest.raises(gt.errors.RunError, match="not of one run"):
        Run.open(folder)


@pytest.mark.parametrize(
    "count", [24, pytest.param(1 << 40, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_every_flipped_bit_in_a_checkpoint_is_detected(folder, count):
    content = (folder / CHECKPOINT).read_bytes()
    counts = Counter()
    for place in sampled(len(content), count):
        (folder / CHECKPOINT).write_bytes(flipped(content, place, 1 << place % 8))
        try:
            load_checkpoint(folder)
            counts["SILENT"] += 1
        except gt.errors.RunError:
            counts["detected"] += 1
    report(CHECKPOINT, counts)
    assert set(counts) == {"detected"}


@pytest.mark.parametrize("count", [16, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_a_checkpoint_with_a_sum_to_match_is_an_error_or_resumes(original, tmp_path, count):
    payload = read_payload(original, CHECKPOINT)
    folder = copy_run(original, tmp_path / "run")
    (folder / MANIFEST).unlink()
    counts = Counter()
    for place in drawn(len(payload), count):
        with (folder / CHECKPOINT).open("wb") as file:
            write_payload(file, flipped(payload, place, 1 << place % 8))
        (folder / MANIFEST).unlink(missing_ok=True)
        try:
            train_small(folder)
            counts["resumes"] += 1
        except gt.GraphtaskError:
            counts["detected"] += 1
    report("checkpoint with another sum", counts)


@pytest.mark.parametrize(
    "change",
    [{}, {"epoch": "x"}, {"rows": None}, {"module": {}}, {"history": torch.zeros(2)}, {"optimizer": []}],
)
def test_a_state_that_is_not_that_of_the_run_is_one_line(original, tmp_path, change):
    folder = copy_run(original, tmp_path / "run")
    (folder / MANIFEST).unlink()
    state = torch.load(io.BytesIO(read_payload(folder, CHECKPOINT)), weights_only=True)
    state = {**state, **change} if change else {"something": 1}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with (folder / CHECKPOINT).open("wb") as file:
        write_payload(file, buffer.getvalue())
    with pytest.raises(gt.errors.RunError, match="does not match the run"):
        train_small(folder)


@pytest.mark.parametrize("name", [*LISTED, MANIFEST, OUTCOME, CHECKPOINT, DIVERGED, LOCK])
def test_a_pipe_in_the_place_of_a_file_never_blocks(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)

    def work():
        for reader in (Run.open, open_recording, read_environments, read_outcome, check_run, train_small):
            with contextlib.suppress(gt.GraphtaskError):
                reader(folder)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive(), f"waiting for {name}"


@pytest.mark.parametrize("name", [*LISTED, MANIFEST, OUTCOME, CHECKPOINT, DIVERGED, LOCK])
def test_nothing_is_written_through_a_link_in_a_run_folder(folder, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (folder / MANIFEST).unlink()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    for work in (train_small, lambda folder: write_outcome(folder, ROWS), check_run, Run.open):
        with contextlib.suppress(gt.GraphtaskError):
            work(folder)
    assert victim.read_text() == "precious"


def test_a_header_that_promises_more_than_the_file_has_takes_no_memory(folder):
    shape = (2**40, 6)
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    import zipfile

    with zipfile.ZipFile(folder / HISTORY, "w") as archive:
        archive.writestr("w.npy", array)
    accept(folder)
    with pytest.raises(gt.errors.RunError, match=r"history\.npz: damaged"):
        open_recording(folder)


class KilledError(BaseException):
    """Stands for a kill: nothing between here and the caller may handle it."""


@pytest.mark.parametrize(
    ("first", "step"), [(3, 7), pytest.param(1, 1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_killed_before_any_file_the_run_resumes_to_the_same_bytes_or_is_finished(
    original, tmp_path, monkeypatch, first, step
):
    from pathlib import Path

    replace = Path.replace
    sums = {name: (original / name).read_bytes() for name in (TRAINED, WEIGHTS, HISTORY)}
    for moment in range(first, 60, step):
        folder, calls = tmp_path / str(moment), 0

        def counted(self, target):
            nonlocal calls
            calls += 1
            if calls == moment:  # noqa: B023 - used within the iteration
                raise KilledError
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", counted)
            try:
                train_small(folder)
            except KilledError:
                assert (
                    check_run(folder).status in {"unfinished", "unverified", "damaged"} or not folder.exists()
                )
            else:
                break
        train_small(folder)
        assert check_run(folder).status == "intact"
        for name, content in sums.items():
            assert (folder / name).read_bytes() == content, (moment, name)
        shutil.rmtree(folder)
    print(f"\nkills survived: {len(range(first, moment, step))}")  # noqa: T201 - likewise
    assert 10 < moment < 60
