import gc
import gzip
import hashlib
import io
import random
import stat
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from mutations import cut, double, drop, flip_bits, insert

import graphtask as gt
from graphtask.corpus import archives
from graphtask.corpus.archives import members
from graphtask.corpus.entries import find

GRAPH = b"0 1\n1 2\n"


def zipped(path, files, *, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path, files):
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


WRITERS = {"a.zip": zipped, "a.tar": tarred, "a.tar.gz": tarred, "a.tgz": tarred}


def rows(path, **options):
    return list(gt.measure_files([path], metrics=["edges"], stages=1, **options))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_graphs_in_an_archive_are_measured_in_its_order(tmp_path, name, n_jobs):
    chains = {
        f"x/{n:03}.edges": "".join(f"{i} {i + 1}\n" for i in range(n)).encode() for n in range(9, 1, -1)
    }
    path = WRITERS[name](
        tmp_path / name, chains | {"readme.md": b"", "__MACOSX/x.gml": b"", "x/.hidden.gml": b""}
    )
    found = rows(path, n_jobs=n_jobs)
    assert [row["edges"] for row in found] == list(range(9, 1, -1))
    assert [row["file"] for row in found] == [f"{path}/{member}" for member in chains]
    (tmp_path / "one.edges").write_bytes(chains["x/005.edges"])
    (single,) = rows(tmp_path / "one.edges")
    assert found[4]["sha256"] == single["sha256"]


@pytest.mark.parametrize("name", WRITERS)
def test_an_archive_in_a_folder_is_opened_too_but_not_one_in_an_archive(tmp_path, name):
    inner = WRITERS[name](tmp_path / name, {"in.edges": GRAPH})
    zipped(tmp_path / "outer.zip", {f"deep/{name}": inner.read_bytes(), "b.edges": GRAPH})
    found = {row["file"].removeprefix(f"{tmp_path}/"): row["error"] for row in rows(tmp_path)}
    assert found.pop(f"outer.zip/deep/{name}").endswith("archives inside archives are not opened")
    assert found == {f"{name}/in.edges": "", "outer.zip/b.edges": ""}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "outside", ["../evil.edges", "/etc/evil.edges", "a/../../evil.edges", "..\\evil.edges"]
)
def test_names_that_lead_out_of_an_archive_are_refused_and_nothing_is_unpacked(tmp_path, name, outside):
    (tmp_path / "in").mkdir()
    path = WRITERS[name](tmp_path / "in" / name, {outside: GRAPH, "good.edges": GRAPH})
    before = sorted(tmp_path.rglob("*"))
    bad, good = rows(path)
    assert bad["error"].endswith("its name leads out of the archive")
    assert (good["edges"], good["error"]) == (2, "")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_archives_are_not_followed(tmp_path, kind):
    (tmp_path / "secret.edges").write_bytes(GRAPH)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link.edges")
        info.type, info.linkname = kind, str(tmp_path / "secret.edges")
        archive.addfile(info)
        device = tarfile.TarInfo("device.edges")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    link, device = rows(tmp_path / "a.tar")
    assert link["error"].endswith("is a link; links in archives are not followed")
    assert device["error"].endswith("is not a regular file")
    info = zipfile.ZipInfo("link.edges")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    zipped(tmp_path / "b.zip", {info: b"../secret.edges"})
    (link,) = rows(tmp_path / "b.zip")
    assert link["error"].endswith("is a link; links in archives are not followed")


MEGABYTES = 64


def bomb_zip(path):
    """A file that expands a thousand times."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.edges", "w") as file:
        for _ in range(MEGABYTES):
            file.write(bytes(1 << 20))


def bomb_tar(path):
    with gzip.open(path, "wb") as file:
        info = tarfile.TarInfo("a.edges")
        info.size = MEGABYTES << 20
        file.write(info.tobuf())
        for _ in range(MEGABYTES):
            file.write(bytes(1 << 20))


def bomb_header(path):
    """A tar file whose first header says that a very long name follows."""
    with gzip.open(path, "wb") as file:
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, MEGABYTES << 20
        file.write(info.tobuf(format=tarfile.GNU_FORMAT))
        for _ in range(MEGABYTES):
            file.write(bytes(1 << 20))


@pytest.mark.parametrize(
    ("name", "build", "words"),
    [
        ("a.zip", bomb_zip, "expands to more than 200 times its size"),
        ("a.tgz", bomb_tar, "expands to more than 200 times its size"),
        ("a.tgz", bomb_header, "a header is larger than 65,536 bytes"),
    ],
)
def test_an_archive_that_expands_without_end_is_one_row_with_an_error(
    tmp_path, monkeypatch, name, build, words
):
    monkeypatch.setattr(archives, "_BASE_TOTAL", 1 << 20)
    build(tmp_path / name)
    tracemalloc.start()
    started = time.process_time()
    (row,) = rows(tmp_path / name)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert words in row["error"]
    assert row["file"] == str(tmp_path / name)
    assert seconds < 5
    assert peak < 8 << 20


def test_a_member_that_is_too_large_is_one_row_with_an_error(tmp_path, monkeypatch):
    from graphtask.storage import limits

    monkeypatch.setattr(limits, "MAX_BYTES", 100)
    for name, write in WRITERS.items():
        large, small = rows(write(tmp_path / name, {"large.edges": b"0 1\n" * 30, "small.edges": GRAPH}))
        assert "is larger than 100 bytes" in large["error"]
        assert small["edges"] == 2


def test_packings_that_need_much_memory_are_not_read(tmp_path):
    (row,) = rows(zipped(tmp_path / "a.zip", {"a.edges": GRAPH}, compression=zipfile.ZIP_LZMA))
    assert "unsupported compression method" in row["error"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_archive_costs_no_more_than_what_is_damaged(tmp_path, name):
    path = WRITERS[name](tmp_path / name, {f"{i}.edges": GRAPH * 200 for i in range(5)})
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    found = rows(path)
    assert "error" in found[-1]
    assert found[-1]["error"].startswith(str(path))
    assert "\n" not in found[-1]["error"]
    path.write_bytes(b"no archive")
    (row,) = rows(path)
    assert row["error"].startswith(f"{path}: cannot be read")
    path.write_bytes(b"")
    assert all(row["error"] for row in rows(path))


def test_a_broken_checksum_costs_one_row(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.edges": GRAPH, "b.edges": GRAPH}, compression=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(GRAPH)] = ord("7")
    path.write_bytes(content)
    bad, good = rows(path)
    assert "CRC" in bad["error"]
    assert good["edges"] == 2


def test_a_broken_checksum_of_a_whole_archive_is_one_more_row_with_an_error(tmp_path):
    path = tarred(tmp_path / "a.tar.gz", {"a.edges": GRAPH})
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    (*_, last) = rows(path)
    assert last["error"].startswith(f"{path}: cannot be read: CRC check failed")


def test_an_archive_may_not_go_on_for_ever_after_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_BASE_TOTAL", 1 << 20)
    path = tarred(tmp_path / "a.tar.gz", {"a.edges": GRAPH})
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(32 << 20)))
    assert "200 times its size" in rows(path)[-1]["error"]


def test_an_encrypted_member_is_one_row_with_an_error(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.edges": GRAPH})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    (row,) = rows(path)
    assert "encrypted" in row["error"]


def test_an_archive_that_changes_between_listing_and_reading_is_noticed(tmp_path):
    from graphtask.corpus.measure import measure_entries
    from graphtask.corpus.rows import Settings
    from graphtask.reading import ReadOptions

    path = zipped(tmp_path / "a.zip", {"a.edges": GRAPH, "b.edges": GRAPH})
    entries = find([path])
    zipped(path, {"c.edges": GRAPH})
    settings = Settings(metrics=["edges"], reading=ReadOptions(stages=1))
    errors = [row["error"] for row in measure_entries(entries, settings)]
    assert all("is no longer in the archive" in error for error in errors)
    assert len(errors) == 2


def test_an_archive_of_nothing_and_a_missing_one_are_rows_with_an_error(tmp_path):
    (row,) = rows(zipped(tmp_path / "a.zip", {"readme.md": b""}))
    assert row["error"].endswith("the archive has no graph file")
    (row,) = rows(tmp_path / "missing.tar.gz")
    assert row["error"].endswith("cannot be read: No such file or directory")


def n_headers():
    gc.collect()
    return sum(type(item) is archives._Info for item in gc.get_objects())


def test_listing_a_large_tar_keeps_no_headers(tmp_path):
    path = tarred(tmp_path / "a.TAR", {f"{index}.edges": GRAPH for index in range(300)})
    assert archives.is_archive(path.name)
    before = n_headers()
    kept = [n_headers() - before for member in members(str(path)) if member.place in {100, 299}]
    assert max(kept) < 10


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_archive_is_rows_and_never_another_error(tmp_path, name):
    assert n_measured_of_damaged(tmp_path, name, n_mutants=60) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_five_hundred_damaged_archives_are_rows_and_never_another_error(tmp_path, name):
    assert n_measured_of_damaged(tmp_path, name, n_mutants=500) > 200


def n_measured_of_damaged(tmp_path, name, *, n_mutants):
    rng = random.Random(name)
    members = {f"x/{i}.edges": GRAPH * (i + 1) for i in range(4)}
    seed = WRITERS[name](tmp_path / f"seed{name}", members).read_bytes()
    known = {hashlib.sha256(content).hexdigest() for content in members.values()}
    n_read = 0
    for _ in range(n_mutants):
        path = tmp_path / name
        path.write_bytes(rng.choice([cut, flip_bits, flip_bits, drop, double, insert])(seed, rng))
        found = rows(path, merge=True)
        assert all(row["file"].startswith(str(path)) for row in found)
        measured = [row["sha256"] for row in found if not row["error"]]
        # Members of .zip have checksums, and so has the whole of .tar.gz: what was changed does not pass for what was packed.
        assert name == "a.tar" or set(measured) <= known or (name != "a.zip" and len(measured) < len(found))
        n_read += len(measured)
    return n_read


@pytest.mark.parametrize("n_digits", [33, 60_000])
def test_long_runs_of_digits_in_a_header_are_refused_at_once(tmp_path, n_digits):
    """Python before 3.11.10 needs quadratic time for them (CVE-2024-6232)."""
    info = tarfile.TarInfo("a.edges")
    info.size = 4
    digits = tarfile.TarInfo("digits")
    digits.type, digits.size = tarfile.XHDTYPE, n_digits
    content = digits.tobuf() + b"1" * n_digits + bytes(-n_digits % 512)
    content += info.tobuf() + b"0 1\n" + bytes(508) + bytes(1024)
    (tmp_path / "a.tar").write_bytes(content)
    (row,) = gt.measure_files([tmp_path / "a.tar"], stages=1)
    assert "a header has a number of more than 32 digits" in row["error"]


def test_headers_of_long_names_are_read(tmp_path):
    name = "x" * 300 + "é" * 100 + ".edges"
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for index in range(3):
            info = tarfile.TarInfo(f"{index}{name}")
            info.size, info.pax_headers = 4, {"comment": "of a person"}
            archive.addfile(info, io.BytesIO(b"0 1\n"))
    found = list(gt.measure_files([tmp_path / "a.tar"], stages=1, metrics=["edges"]))
    assert [(row["error"], row["edges"]) for row in found] == [("", 1)] * 3
    assert [Path(row["file"]).name for row in found] == [f"{index}{name}" for index in range(3)]


def test_an_archive_of_headers_alone_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("graphtask.corpus.archives._MAX_HEADERS", 100_000)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for index in range(300):
            archive.addfile(tarfile.TarInfo(f"{index}.edges"))
    (*_, last) = gt.measure_files([tmp_path / "a.tar.gz"], stages=1)
    assert "of headers" in last["error"]
