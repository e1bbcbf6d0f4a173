import json
import time

import pytest
from run_folders import accept, copy_run, flipped, train_small

import graphtask as gt
from graphtask.runs import manifest
from graphtask.runs.layout import CHECKPOINT, MANIFEST, METRICS, TRAINED, WEIGHTS
from graphtask.runs.manifest import check_files, find_damage, read_manifest
from graphtask.runs.status import is_finished


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "run"
    train_small(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return copy_run(original, tmp_path / "run")


def test_a_finished_run_has_a_manifest_of_all_of_its_files(folder):
    sums = read_manifest(folder)
    assert set(sums) == {path.name for path in folder.iterdir()} - {MANIFEST, CHECKPOINT}
    assert all(found.size == (folder / name).stat().st_size for name, found in sums.items())
    assert find_damage(folder) == {}


def test_a_mismatch_names_the_file_the_intact_ones_and_the_remedy(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(flipped(content, len(content) // 2))
    with pytest.raises(gt.errors.RunError) as caught:
        check_files(folder)
    message = str(caught.value)
    assert message.startswith(
        f"{folder / WEIGHTS}: damaged (its SHA-256 differs from manifest.json); intact: "
    )
    assert "trained.graphml" in message
    assert "repeat the train command, which restores it" in message
    check_files(folder, (TRAINED, METRICS))  # the others can be used


def test_the_remedy_works(folder):
    before = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(before[:-1])
    (folder / MANIFEST).unlink()
    train_small(folder)
    assert (folder / WEIGHTS).read_bytes() == before


def test_a_sum_is_computed_once_while_size_and_times_stay(folder, monkeypatch):
    digests = []
    digest = manifest.hashlib.file_digest
    monkeypatch.setattr(manifest.hashlib, "file_digest", lambda *args: digests.append(1) or digest(*args))
    check_files(folder)
    n_fresh = len(digests)
    check_files(folder)
    assert len(digests) == 2 * n_fresh  # files this young may change without a trace
    monkeypatch.setattr(manifest.time, "time", lambda clock=time.time: clock() + 10)
    check_files(folder)
    n_read = len(digests)
    check_files(folder)
    assert len(digests) == n_read
    (folder / METRICS).write_text((folder / METRICS).read_text().replace("0", "1"))
    with pytest.raises(gt.errors.RunError, match=r"metrics\.csv: damaged"):
        check_files(folder)


def test_a_damaged_manifest_is_not_taken_for_a_damaged_file(folder):
    text = (folder / MANIFEST).read_text()
    digest = json.loads(text)["files"][WEIGHTS]["sha256"]
    (folder / MANIFEST).write_text(text.replace(digest, "0" * 64))
    with pytest.raises(gt.errors.RunError, match=r"manifest\.json: damaged \(its own sum differs\)"):
        check_files(folder)


def test_a_newer_manifest_is_one_line(folder):
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(content | {"format": 2}))
    with pytest.raises(gt.errors.RunError, match="a newer version of graphtask"):
        check_files(folder)


def test_without_a_manifest_a_run_is_not_finished_and_says_why(folder):
    (folder / MANIFEST).unlink()
    assert not is_finished(folder)
    with pytest.raises(
        gt.errors.RunError, match=r"no manifest\.json.*train command again.*graphtask check --write"
    ):
        gt.Run.open(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(gt.errors.RunError, match="not finished"):
        gt.Run.open(folder)


def test_accepting_is_possible(folder):
    (folder / METRICS).write_text((folder / METRICS).read_text() + "\n")
    accept(folder)
    check_files(folder)
