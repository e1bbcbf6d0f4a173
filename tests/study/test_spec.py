import json
import shutil

import pytest

import graphtask as gt


def test_the_folder_of_a_study_tells_of_itself_even_when_it_is_moved(study, tmp_path):
    study.save()
    assert gt.Study.read(study.out) == study
    shutil.move(study.out, tmp_path / "moved")
    moved = gt.Study.read(tmp_path / "moved")
    assert [job.folder for job in moved.jobs] == [
        tmp_path / "moved" / "scans" / "full" / f"seed-{seed}" for seed in range(3)
    ]


def test_a_study_may_grow_but_two_may_not_share_a_folder(values):
    gt.Study.read(values).save()
    gt.Study.read(values | {"seeds": 4}).save()
    assert len(gt.Study.read(values["out"]).jobs) == 4
    with pytest.raises(gt.errors.RunError, match="holds the study 'tiny', not 'other'; choose another out"):
        gt.Study.read(values | {"name": "other"}).save()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": 1}', '{"format": 1, "name": "x", "threshold": 0, "jobs": [3]}']
)
def test_a_damaged_snapshot_is_one_line(study, content):
    study.save()
    (study.out / "study.json").write_text(content)
    with pytest.raises(gt.errors.RunError, match=r"study.json: is damaged"):
        gt.Study.read(study.out)


def test_other_snapshots_folders_and_files_are_refused(study, tmp_path):
    study.save()
    path = study.out / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(gt.errors.RunError, match="another version of graphtask"):
        gt.Study.read(study.out)
    with pytest.raises(gt.errors.RunError, match="is not the folder of a study"):
        gt.Study.read(tmp_path)
    with pytest.raises(gt.errors.FormatError, match="No such file"):
        gt.Study.read(tmp_path / "no.toml")
    (tmp_path / "a.toml").write_text("seeds = = 3")
    with pytest.raises(gt.errors.FormatError, match=r"a.toml: is not valid TOML .*line 1"):
        gt.Study.read(tmp_path / "a.toml")
    with pytest.raises(gt.errors.ArgumentError, match="apply to a study file"):
        gt.Study.read(tmp_path, data_root="x")


def test_the_threads_of_all_runs_can_be_set(values):
    assert {job.threads for job in gt.Study.read(values, threads=3).jobs} == {3}
    with pytest.raises(gt.errors.ArgumentError, match="threads must be an integer >= 1, got 0"):
        gt.Study.read(values, threads=0)


def test_one_run_is_counted_as_one():
    study = gt.Study.read({"priors": {"full": {"nodes": 4}}, "data": {"cdigits": {}}, "seeds": 1})
    assert "1 run: 1 data set, 1 prior;" in repr(study)


def test_the_corpus_of_a_study_is_its_runs(study):
    from graphtask.corpus.entries import find

    study.save()
    gt.write(gt.chain_dag(3), study.out / "extra.graphml")
    assert [entry.file for entry in find([study.out])] == [str(study.out / "extra.graphml")]


def changed(study, change):
    """Write the snapshot of a study with a change of its first job, and read it."""
    study.save()
    path = study.out / "study.json"
    content = json.loads(path.read_text())
    change(content["jobs"][0])
    path.write_text(json.dumps(content))
    return gt.Study.read(study.out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda job: job.update(label="/tmp/victim"), "label"),
        (lambda job: job.update(label="../victim"), "label"),
        (lambda job: job.update(label="a/../../victim"), "label"),
        (lambda job: job.update(label=["a"]), "label"),
        (lambda job: job["config"]["data"].update(name="../victim"), "(label|data.name)"),
        (lambda job: job["config"]["data"].update(name="/victim"), "(label|data.name)"),
        (lambda job: job["prior"].update(name=".."), "(label|prior.name)"),
        (lambda job: job["prior"].update(name="a/b"), "(label|prior.name)"),
        (lambda job: job["prior"].update(name=None), "(label|prior.name)"),
        (lambda job: job["prior"].update(kind="os.system"), "prior.kind"),
        (lambda job: job["config"]["optimization"].update(seed="0/../../victim"), "seed"),
        (lambda job: job["config"]["optimization"].update(seed=-1), "seed"),
    ],
)
def test_a_snapshot_from_a_stranger_names_no_place_outside_of_its_folder(study, change, message):
    with pytest.raises(gt.errors.RunError, match=rf"study.json: is damaged \(.*{message}"):
        changed(study, change)


def test_a_snapshot_from_a_stranger_downloads_nothing(study):
    moved = changed(study, lambda job: job["config"]["data"].update(download=True, root="/elsewhere"))
    assert not any(job.data.download for job in moved.jobs)


def test_every_byte_of_a_snapshot_that_is_lost_is_one_line(study):
    study.save()
    path = study.out / "study.json"
    content = path.read_bytes()
    for cut in range(0, len(content), 97):
        path.write_bytes(content[:cut])
        with pytest.raises(gt.errors.RunError, match=r"study.json: is damaged"):
            gt.Study.read(study.out)


def test_a_study_with_custom_code_is_saved_again_and_again(values):
    study = gt.Study.read(values | {"block": "torch.nn:Conv2d"})
    for _ in range(2):
        study.save()
    assert gt.Study.read(study.out, imports=["torch.nn:Conv2d"]) == study


def test_the_names_of_a_labeled_job_may_be_any_text(study):
    named = lambda job: job.update(label="place/run") or job["config"]["data"].update(name="a/../b")  # noqa: E731
    assert changed(study, named).jobs[0].folder == study.out / "place" / "run"
