"""Files that are not what their suffix says, or that mean harm: one line says why."""

import io
import re
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

import graphtask as gt


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def csr(**changes):
    parts = {"format": np.array(b"csr"), "shape": [2, 2], "data": [1.0], "indices": [1], "indptr": [0, 1, 1]}
    return npz(**{name: np.asarray(value) for name, value in (parts | changes).items()})


def claimed_shape(shape):
    """An array of 8 bytes that says it is as large as ``shape``."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(
            "arr_0.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)
        )
    return buffer.getvalue()


def zipped_zeros(n_bytes):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("arr_0.npy", "w") as file,
    ):
        for _ in range(n_bytes >> 20):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.network", b"a b", "the suffix must be one of .graphml, .gml"),
        ("a", b"a b", "the suffix must be one of"),
        ("a.txt", b"", "has no line with an edge"),
        ("a.txt", b"# only\n", "has no line with an edge"),
        ("a.txt", b"<?xml version='1.0'?>", "is not a table of edges: it starts with "),
        ("a.csv", b'{"nodes": []}', "is not a table of edges"),
        ("a.edges", b"graph [\n directed 1\n]", "is not a table of edges"),
        ("a.txt", b"\xff\xff1\x002\x00", "is not UTF-8 text"),
        ("a.txt", b"a\0b c", "zero byte"),
        ("a.txt", b"a b\nc\n", "line 2: has 1 cell; an edge is: source target [weight [time]]"),
        ("a.txt", b"a b\n\n# x\na b c d\n", "line 4: the weight must be a number, got 'c'"),
        ("a.txt", b"a b big\n", "line 1: the weight must be a number, got 'big'"),
        ("a.txt", b"a b 1_0\n", "line 1: the weight must be a number, got '1_0'"),
        ("a.txt", b"a b {'weight': open('x')}\n", "are not attributes; networkx writes them"),
        ("a.txt", b"a b {" + b"(" * 9000 + b"\n", "are not attributes"),
        ("a.txt", b"a b {'x': " + b"-" * 9000 + b"1}\n", "are not attributes"),
        ("a.txt", b"a b " + b"{" * 20000, "are not attributes"),
        ("a.csv", b"a b\nb c\n", "has no separator"),
        ("a.csv", b"a,b\n,c\n", "line 2: an edge lacks its source or its target"),
        ("a.csv", b"source,target\n", "has names of columns but no edge"),
        ("a.csv", b"source,target\na,b,c\n", "line 2: has 3 cells under 2 names of columns"),
        ("a.csv", b"source,target,x,x\na,b,1,2\n", "line 1: two columns have the same name"),
        ("a.csv", b"source,target,weight\na,b,1\nb,c,much\n", "line 3: the weight must be a number, got 'much'"),
        ("a.csv", b'a,b\n"b,c\n', "line 2: unexpected end of data"),
        ("a.csv", b"0,nan,0,0\n0,0,1,0\n0,0,0,1\n0,0,0,0", "got NaN or infinity"),
        ("a.csv", b"0,1,0,0,0\n0,0,1,0,0\n0,0,0,1,0\n0,0,0,0,0\n0,0,0,0", "line 1: has 5 cells"),
        ("a.txt", b"1" * (2 << 20), "line 1: is longer than 1,048,576 characters"),
        ("a.json", b"", "is not valid JSON"),
        ("a.json", b"[1, 2", "is not valid JSON"),
        ("a.json", b"[" * 100_000, "nested more than 64 deep"),
        ("a.json", b"\xff", "is not UTF-8 text"),
        ("a.json", b"[]", "must be a JSON object"),
        ("a.json", b'{"nodes": []}', "neither links nor edges"),
        ("a.json", b'{"nodes": [], "links": [], "edges": []}', "both links and edges"),
        ("a.json", b'{"nodes": {}, "links": []}', "'nodes' must be a list of objects"),
        ("a.json", b'{"nodes": [{}], "links": [1]}', "'links' must be a list of objects"),
        ("a.json", b'{"nodes": [{"id": 1}, {"id": 1.0}], "links": []}', "two nodes have the id 1.0"),
        ("a.json", b'{"nodes": [{"id": 1}], "links": [{"source": 1}]}', "an edge has no 'target'"),
        ("a.json", b'{"nodes": [{"id": 1}], "links": [{"source": 1, "target": "1"}]}', "names the node '1'"),
        ("a.json", b'{"nodes": [{"id": 1}], "links": [{"source": 1, "target": true}]}', "names the node True"),
        ("a.json", b'{"nodes": [], "links": [], "directed": 1}', "'directed' must be true or false, got 1"),
        ("a.json", b'{"nodes": [], "links": [], "links": []}', "the same key twice"),
        ("a.json", b'{"nodes": [], "links": [], "graph": 3}', "'graph' must be an object"),
        ("a.gml", b"", "holds 0 graphs"),
        ("a.gml", b"graph [ ] graph [ ]", "holds 2 graphs"),
        ("a.gml", b"graph 3", "holds 1 graph;"),
        ("a.gml", b"graph [ node [ id 1 ]\n", "line 2: the file ends too early"),
        ("a.gml", b"graph [\n ] ]", "line 2: ']' is not a key"),
        ("a.gml", b"graph [\n node ]", "line 2: the key 'node' has no value"),
        ("a.gml", b"graph [\n node [ id 12abc ] ]", "line 2: '12abc ] ]' is no GML"),
        ("a.gml", b"graph [\n node [ id 1.5 ] ]", "line 2: a node has no 'id'"),
        ("a.gml", b"graph [\n node [ id 1 ]\n edge [ source 1 ] ]", "line 3: an edge has no 'target'"),
        ("a.gml", b"graph [ node 3 ]", "a node must be node [ … ], got 3"),
        ("a.gml", b"graph [ node [ id 1 ] node [ id 1 ] ]", "two nodes have the id 1"),
        ("a.gml", b"graph [ node [ id 1 ] edge [ source 1 target 2 ] ]", "names the node 2, which does not exist"),
        ("a.gml", b"graph [ directed 2 ]", "'directed' must be 0 or 1, got 2"),
        ("a.gml", b"a [ " * 100_000, "nested more than 64 deep"),
        ("a.gml", b"graph [ x " + b"1" * 1_000_000 + b" ]", "too many digits"),
        ("a.gml", b"graph [ x " + b"1" * 1_000_000 + b"a ]", "is no GML"),
        ("a.npz", b"", "is not a complete .npz file"),
        ("a.npz", b"PK\x03\x04" + bytes(100), "is not a complete .npz file"),
        ("a.npz", npz(a=np.eye(2), b=np.eye(2)), "has no array named adjacency (its arrays: a, b)"),
        ("a.npz", npz(x_train=np.zeros((3, 2)), y_train=np.zeros(3)), "train on it: graphtask train GRAPH --data"),
        ("a.npz", npz(adjacency=np.ones((2, 3))), "must be square, got the shape 2 × 3"),
        ("a.npz", npz(adjacency=np.array([["a", "b"], ["c", "d"]])), "must hold numbers, got <U1"),
        ("a.npz", npz(adjacency=np.array([[0, 1j], [0, 0]])), "holds complex128, not numbers"),
        ("a.npz", npz(adjacency=np.array([[0, np.inf], [0, 0]])), "got NaN or infinity"),
        ("a.npz", npz(adjacency=np.array([[None, {}], [0, 0]])), "pickled objects are never loaded"),
        ("a.npz", claimed_shape("(1000000, 1000000)"), "its size differs from its header"),
        ("a.npz", claimed_shape("(-1, -1)"), "is damaged"),
        ("a.npz", claimed_shape("(" * 500), "is damaged"),
        ("a.npz", lambda: zipped_zeros(300 << 20), "is larger than 268,435,456 bytes"),
        ("a.npz", csr(shape=[2, 3]), "is not square"),
        ("a.npz", csr(shape=[3_000_000, 3_000_000]), "does not fit the other arrays"),
        ("a.npz", csr(indices=[7]), "outside of its 2 rows and columns"),
        ("a.npz", csr(indices=[-1]), "outside of its 2 rows and columns"),
        ("a.npz", csr(indices=[0.5]), "array 'indices' does not fit"),
        ("a.npz", csr(indices=[[1]]), "array 'indices' of the sparse matrix has 2 dimensions"),
        ("a.npz", csr(indptr=[0, 9, 1]), "array 'indptr' does not fit"),
        ("a.npz", csr(indptr=[0, 1]), "array 'indptr' does not fit"),
        ("a.npz", csr(format=np.array(b"dia")), "has the format 'dia'; save it as csr, csc or coo"),
        ("a.npz", npz(format=np.array(b"coo"), shape=np.array([2, 2])), "lacks its array 'data'"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_file_that_is_not_what_its_suffix_says_is_refused_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content() if callable(content) else content)
    with pytest.raises(gt.errors.FormatError, match=re.escape(words)) as caught:
        gt.read(path, stages=1)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_adjacency_matrix_adds_up_what_a_sparse_matrix_holds_twice(tmp_path):
    (tmp_path / "twice.npz").write_bytes(csr(data=[0.25, 0.5], indices=[1, 1], indptr=[0, 2, 2]))
    assert gt.read(tmp_path / "twice.npz", stages=1).es["weight"] == [0.75]


# Files of about n bytes.
HOSTILE = [
    ("a.json", lambda n: b"[" + b"[]," * (n // 2) + b"1]"),
    ("a.json", lambda n: b'{"nodes":[' + b"{}," * (n // 5) + b'{}],"links":[]}'),
    ("a.json", lambda n: b'{"nodes":[{' + b",".join(b'"%d":1' % i for i in range(n // 20)) + b"}" + b",{}" * (n // 20) + b'],"links":[]}'),
    ("a.gml", lambda n: b"a 1 " * (n // 10)),
    ("a.gml", lambda n: b"graph [ " + b"node [ id 1 ] " * (n // 25) + b"]"),
    ("a.gml", lambda n: b'a "' * (n // 10 * 3 + 1)),
    ("a.txt", lambda n: b"1 2\n" * (n // 20 * 3)),
    ("a.txt", lambda n: b"".join(b"1 2 {'%d': 1}\n" % i for i in range(n // 50))),
    ("a.csv", lambda n: (b"0," * 999 + b"0\n") * (n // 1000)),
    ("a.csv", lambda n: b"source,target" + b",x" * (n // 10)),
    ("a.csv", lambda n: b'"' * (n // 2 + 1)),
    ("a.txt", lambda n: b"-" * n),
    ("a.txt", lambda n: b"a b " + b"1" * n + b"e"),
]  # fmt: skip


@pytest.mark.parametrize("n", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "make"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_file_is_refused_within_seconds_and_a_small_multiple_of_its_size(tmp_path, name, make, n):
    content = make(n)
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    started = time.process_time()
    try:
        with pytest.raises(gt.GraphtaskError):
            gt.read(tmp_path / name, stages=1)
        seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < n / 50_000  # traced, which is several times slower
    assert peak < 64 * n + 40 * len(content)
