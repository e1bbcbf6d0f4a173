import functools
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import graphtask as gt
from graphtask.corpus import urls
from graphtask.corpus.entries import find
from graphtask.corpus.urls import fetch, public_name

OPTIONS = {"metrics": ["edges"], "stages": 1}


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/endless"):  # claims 3 bytes, and a part of the answer never ends
            self.send_response(200)
            self.end_headers()
            while True:
                try:
                    self.wfile.write(b"0 1\n" * 100_000)
                except OSError:
                    return
        if self.path.startswith("/broken"):
            self.send_error(500)
            return
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "a.edges").write_text("0 1\n1 2\n")
    (tmp_path / "b.graphml").write_bytes(b"<graphml>")
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path))) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()


def test_urls_of_allowed_schemes_are_measured_and_failures_cost_a_row(server, tmp_path):
    addresses = [
        f"{server}/{name}"
        for name in ("a.edges", "b.graphml", "missing.edges", "broken.edges", "a.edges?x=1")
    ]
    rows = list(gt.measure_files([*addresses, tmp_path / "a.edges"], schemes=["http"], **OPTIONS))
    assert [row.get("edges") for row in rows] == [2, None, None, None, 2, 2]
    assert [bool(row["error"]) for row in rows] == [False, True, True, True, False, False]
    assert rows[0]["sha256"] == rows[5]["sha256"]
    assert "there is no file at this URL" in rows[2]["error"]
    assert "500" in rows[3]["error"]
    assert all("\n" not in row["error"] for row in rows)
    assert [row["file"] for row in rows[:1]] == addresses[:1]
    assert rows[4]["file"] == addresses[0], "without the query"


def test_an_endless_answer_is_cut_at_the_largest_size_of_a_file(server, monkeypatch):
    monkeypatch.setattr(urls, "MAX_BYTES", 3_000_000)
    monkeypatch.setattr("graphtask.storage.limits.MAX_BYTES", 3_000_000)
    with pytest.raises(gt.errors.FormatError, match="is larger than 3,000,000 bytes"):
        fetch(f"{server}/endless.edges")


@pytest.mark.parametrize(
    ("url", "schemes", "message"),
    [
        ("https://h/a.gml", [], "allow it with schemes=['https'] (on the command line: --scheme https)"),
        ("s3://b/a.gml", ["https"], "allow it with schemes=['s3'] (on the command line: --scheme s3)"),
        ("HTTPS://h/a.gml", [], "--scheme https)"),
        ("simplecache::https://h/a.gml", ["https"], "file"),
        ("https://h/a.zip::memory://x", ["https", "memory"], "chained URLs are not opened"),
        ("file:///etc/passwd", ["https"], "its scheme is not allowed"),
        ("https://[h/a.gml", ["https"], "is not a valid URL"),
    ],
)
def test_other_schemes_and_chains_are_a_row_and_never_opened(url, schemes, message, monkeypatch):
    monkeypatch.setattr(urls, "fetch", lambda _: pytest.fail("opened"))
    (row,) = gt.measure_files([url], schemes=schemes, **OPTIONS)
    assert message in row["error"]


@pytest.mark.parametrize(
    ("schemes", "message"),
    [
        (["file"], "schemes must be schemes of other machines, got 'file'; pass local files as paths"),
        (["nosuch"], "schemes must be schemes that fsspec knows, such as https, s3 or gs, got 'nosuch'"),
        ("https", r"schemes must be a list of schemes, such as \['https'\], got 'https'"),
    ],
)
def test_unknown_and_local_schemes_are_refused(schemes, message):
    with pytest.raises(gt.errors.ArgumentError, match=message):
        find(["x"], schemes=schemes)


def test_a_missing_library_is_one_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(
        gt.errors.ArgumentError, match=r"URLs need fsspec, .*pip install 'graphtask-nn\[urls\]'"
    ):
        find(["https://h/a.gml"], schemes=["https"])


def test_a_missing_library_of_a_scheme_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(gt.errors.ArgumentError, match="scheme s3 needs another library") as caught:
        find(["s3://b/a.gml"], schemes=["s3"])
    assert "\n" not in str(caught.value)


def test_no_credentials_in_names_and_messages():
    url = "http://me:secret@127.0.0.1:1/a.edges?token=secret"
    assert public_name(url) == "http://127.0.0.1:1/a.edges"
    (row,) = gt.measure_files([url], schemes=["http"], **OPTIONS)
    assert row["error"]
    assert "secret" not in str(row)
