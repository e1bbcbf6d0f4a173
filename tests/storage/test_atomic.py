import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from graphtask.errors import GraphtaskError
from graphtask.storage.atomic import check_target, remove_leftovers, write_atomically


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_has_the_bytes_and_nothing_is_left_beside_it(tmp_path):
    target = tmp_path / "file.bin"

    with write_atomically(target) as file:
        file.write(b"new")

    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["file.bin"]


def test_a_block_that_fails_leaves_the_old_file_and_its_own_error(tmp_path):
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")

    def fail():
        with write_atomically(target) as file:
            file.write(b"half")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    code = (
        "import os, signal, sys\n"
        "from graphtask.storage.atomic import remove_leftovers, write_atomically\n"
        "with write_atomically(sys.argv[1]) as file:\n"
        "    file.write(b'half' * 100_000)\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    process = subprocess.run([sys.executable, "-c", code, str(target)], check=False)

    assert process.returncode == -9
    assert target.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path / "other.bin")
    assert len(names(tmp_path)) == 2
    remove_leftovers(target)
    assert names(tmp_path) == ["file.bin"]


def test_leftovers_of_one_file_are_not_those_of_another_one(tmp_path):
    with write_atomically(tmp_path / "file.bin") as file:
        for name in ("file", "file.bin.bin", "FILE.BIN"):
            remove_leftovers(tmp_path / name)
        file.write(b"new")
    assert names(tmp_path) == ["file.bin"]


def test_a_library_may_open_the_handle_s_path_itself(tmp_path):
    target = tmp_path / "file.txt"

    with write_atomically(target) as file:
        Path(file.name).write_text("by name")

    assert target.read_text() == "by name"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/file", "there is no folder"),
        (".", "it is a folder"),
        ("pipe", "it is a device or a pipe"),
        ("file\0name", "null"),
        ("x" * 300, "too long"),
        ("note/file", "there is no folder"),
    ],
)
def test_a_target_that_cannot_be_is_refused_in_one_line(tmp_path, name, words):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "note").write_text("a file, not a folder")
    before = names(tmp_path)

    with pytest.raises(GraphtaskError, match=words) as caught, write_atomically(f"{tmp_path}/{name}") as file:
        file.write(b"x")

    assert "\n" not in str(caught.value)
    assert names(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)

    with pytest.raises(GraphtaskError, match="you may not write into"), write_atomically(folder / "file"):
        pass


def test_a_folder_without_permission_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, _mode: path != tmp_path)
    with pytest.raises(GraphtaskError, match=r"you may not write into .*; choose another folder"):
        check_target(tmp_path / "file")


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    """A limit on the size of files stands for the full disk: writing fails with an OSError half-way."""
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    code = (
        "import resource, signal, sys\n"
        "from graphtask.errors import GraphtaskError\n"
        "from graphtask.storage.atomic import remove_leftovers, write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    with write_atomically(sys.argv[1]) as file:\n"
        "        file.write(b'x' * 100_000)\n"
        "except GraphtaskError as error:\n"
        "    print(error)\n"
    )

    process = subprocess.run(
        [sys.executable, "-c", code, str(target)], check=True, capture_output=True, text=True
    )

    assert process.stdout == f"cannot write {target}: File too large; nothing was left half-written\n"
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_an_error_about_another_file_is_passed_on(tmp_path):
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "file"):
        (tmp_path / "other").read_bytes()


def test_new_files_have_the_usual_permissions_and_replaced_ones_keep_theirs(tmp_path):
    plain, kept = tmp_path / "plain", tmp_path / "kept"
    usual = tmp_path / "usual"
    usual.touch()
    kept.touch()
    kept.chmod(0o640)

    for target in (plain, kept):
        with write_atomically(target) as file:
            file.write(b"x")

    assert stat.S_IMODE(plain.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path, exists):
    target, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(target)
    if exists:
        target.write_bytes(b"precious")
        target.chmod(0o600)

    with write_atomically(link) as file:
        file.write(b"x")

    assert not link.is_symlink()
    assert link.read_bytes() == b"x"
    assert target.exists() == exists
    assert not exists or target.read_bytes() == b"precious"


def test_a_link_to_a_device_is_refused_and_not_replaced(tmp_path):
    (tmp_path / "link").symlink_to("/dev/null")
    with pytest.raises(GraphtaskError, match="it is a device or a pipe"), write_atomically(tmp_path / "link"):
        pass
    assert (tmp_path / "link").is_symlink()
