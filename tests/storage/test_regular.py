import ast
import os
import socket
from pathlib import Path

import pytest

import graphtask as gt
from graphtask.storage.bounded_json import parse_json
from graphtask.storage.regular import open_regular, read_regular
from graphtask.storage.toml import read_toml


def test_a_regular_file_is_read_also_through_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link", limit=7) == b"content"


def test_a_larger_file_is_refused_without_reading_it(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="larger than 1,024 bytes"):
        read_regular(tmp_path / "sparse", limit=1024)


@pytest.mark.timeout(20)
def test_pipes_devices_sockets_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    for name in (tmp_path / "pipe", tmp_path / "link", tmp_path / "folder", "/dev/zero"):
        with pytest.raises(OSError, match="a regular file is required"):
            open_regular(name)
    with pytest.raises(OSError, match=r".+"):
        open_regular(tmp_path / "socket")
    listener.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 100_000, b"[" * 40 + b"]" * 40, b'"\\ud800"', b'{"\\ud800": 1}', b"\xff", b"9" * 5000],
)
def test_json_that_is_no_json_raises_one_kind_of_error(content):
    with pytest.raises(ValueError, match=r".+"):
        parse_json(content)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a." * 300_000 + "a = 1", "[" + "a . " * 300_000 + "a]"]
)
def test_toml_that_is_nested_too_deeply_is_refused_at_once(tmp_path, text):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_toml(tmp_path / "deep.toml")


def test_toml_with_many_numbers_and_dots_is_read(tmp_path):
    values = ", ".join(f"{number}.5" for number in range(1000))
    (tmp_path / "many.toml").write_text(f"a = [{values}]\nb.c.d = '{'x.' * 50}'\n")
    assert len(read_toml(tmp_path / "many.toml")["a"]) == 1000


PACKAGES = [Path(gt.__file__).parent, Path(__file__).parents[2] / "cli" / "graphtask_cli"]
OPENING = {
    "open",
    "read_bytes",
    "read_text",
    "ZipFile",
    "load_file",
    "safe_open",
    "fromfile",
    "memmap",
    "np.load",
}
OPENERS = {
    "storage/regular.py": "the one place",
    "storage/atomic.py": "writes",
    "engines/shared_folder.py": "writes",
    "workers.py": "writes the log",
    "corpus/urls.py": "opens URLs of the schemes that the user names",
    "reporting/animation.py": "reads what ffmpeg wrote",
    "reporting/page.py": "reads files of graphtask",
    "corpus/cache.py": "reads the code of graphtask",
    "graphtask_cli/commands/view.py": "opens the browser",
}
HANDLES = {"archive", "Run", "gzip", "tarfile", "Image"}  # of members, runs and streams, not of paths


def openings(path):
    """Calls in a module that open a file by its path, as text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            owner, _, name = called.rpartition(".")
            is_stream = name == "ZipFile" and node.args and ast.unparse(node.args[0]) != "path"
            known = owner.rpartition(".")[2] in HANDLES or owner.startswith("self")
            if (name in OPENING or called in OPENING) and not is_stream and not known:
                yield f"{called}({', '.join(map(ast.unparse, node.args))})"


def test_files_are_opened_in_one_place():
    found = {}
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            name = path.relative_to(package).as_posix()
            name = name if package.name == "graphtask" else f"graphtask_cli/{name}"
            calls = list(openings(path))
            if calls and name not in OPENERS:
                found[name] = calls
    assert found == {}
