import os
import socket

import pytest

from graphtask.storage.bounded_json import parse_json
from graphtask.storage.regular import open_regular, read_regular


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
