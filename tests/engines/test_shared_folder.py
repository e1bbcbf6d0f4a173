import pytest

import graphtask as gt
from graphtask.engines.shared_folder import Mark


def test_who_sees_the_mark_may_work_in_the_folder(tmp_path):
    mark = Mark.leave(tmp_path / "runs")
    assert mark.problem() == ""
    assert list((tmp_path / "runs").iterdir()) == [mark.path]
    mark.remove()
    mark.remove()
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_of_the_same_name_on_another_machine_is_told_apart(tmp_path):
    mark = Mark.leave(tmp_path)
    mark.remove()
    assert "is not the same folder there, or cannot be read (No such file or directory)" in mark.problem()
    mark.path.write_text("something else")
    assert mark.problem() == f"{tmp_path} is another folder there"


def test_a_folder_that_can_only_be_read_is_told(tmp_path, monkeypatch):
    mark = Mark.leave(tmp_path)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    assert mark.problem() == f"{tmp_path} cannot be written there (Read-only file system)"
    with pytest.raises(gt.errors.RunError, match="Read-only file system"):
        Mark.leave(tmp_path)
