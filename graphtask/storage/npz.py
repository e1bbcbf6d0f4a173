"""Adjacency matrices in ``.npz`` files, of numpy and of scipy; nothing in a file is executed or trusted.

numpy's own reader reserves memory for whatever shape a file claims, and scipy's hands indices to compiled code as
they are. So the members are read here: header, size and indices are checked against the bytes that are there.
"""

import io
import math
import struct
import warnings
import zipfile
import zlib
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from graphtask.errors import FormatError
from graphtask.graph import NAME, STAGE
from graphtask.storage.assembly import Parts
from graphtask.storage.limits import check_bytes
from graphtask.storage.matrix import dense_parts, edge_parts, sparse_parts

_Array = npt.NDArray[Any]

_DENSE = ("adjacency", "arr_0", "adj", "adjacency_matrix", "adj_matrix", "A")
_EDGE_INDEX = "edge_index"
_EDGE_WEIGHTS = ("edge_weight", "edge_weights", "weight", "weights")
_DATA = {"x_train", "train_images"}  # arrays of data sets
_COMPRESSED = {"csr": ("row", "column"), "csc": ("column", "row")}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_MEMBERS = 64
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError)
_HEADER_ERRORS = (ValueError, KeyError, TypeError, SyntaxError, TokenError, MemoryError, RecursionError)


def parse(content: bytes) -> Parts:
    """Return the parts of the graph whose adjacency matrix an ``.npz`` file holds.

    A matrix that `scipy.sparse.save_npz` wrote in csr, csc or coo format, or a square array named ``adjacency`` or
    ``arr_0``, or the only square array. Entries other than 1 are weights. An array of integers ``edge_index`` of shape
    (2, edges) or (edges, 2) is an edge list; ``edge_weight`` may go with it. Pickled objects are never loaded.

    Raises:
        FormatError: The file is damaged, holds something else, or is not safe to read.

    Example:
        >>> buffer = io.BytesIO()
        >>> np.savez(buffer, adjacency=np.eye(3, k=1))
        >>> parse(buffer.getvalue()).edges
        [(0, 1), (1, 2)]
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = _arrays(archive)
    except FormatError:
        raise
    except _ZIP_ERRORS as error:
        raise FormatError(f"is not a complete .npz file ({error})") from None
    if "format" in arrays:
        return _sparse(arrays)
    if _EDGE_INDEX in arrays:
        return _from_edge_index(arrays)
    name = next((name for name in _DENSE if name in arrays), None)
    if name is None and len(arrays) == 1:
        name = next(iter(arrays))
    if name is None:
        name = _only_square(arrays)
    if name is None:
        shown = ", ".join(sorted(arrays)[:5]) or "none"
        remedy = (
            "it is a data set, so train on it: graphtask train GRAPH --data"
            if _DATA & arrays.keys()
            else "give the adjacency matrix that name"
        )
        raise FormatError(f"has no array named adjacency (its arrays: {shown}); {remedy}")
    return _with_names_and_stages(array_parts(arrays[name]), arrays)


def parse_npy(content: bytes) -> Parts:
    """Return the parts of the graph whose adjacency matrix an ``.npy`` file holds; pickled objects are never loaded.

    Integers of shape (2, edges) or (edges, 2) that are no square matrix are an edge list.

    Raises:
        FormatError: The file is damaged, holds something else, or is not safe to read.

    Example:
        >>> buffer = io.BytesIO()
        >>> np.save(buffer, np.eye(3, k=1))
        >>> parse_npy(buffer.getvalue()).edges
        [(0, 1), (1, 2)]
    """
    return array_parts(parse_array(content, "adjacency"))


def array_parts(array: _Array) -> Parts:
    """Return the parts of an adjacency matrix, or of an edge list of integers of shape (2, edges) or (edges, 2).

    Raises:
        FormatError: The array is neither.
    """
    is_edge_list = array.ndim == 2 and array.dtype.kind in "iu" and array.shape != (2, 2) and 2 in array.shape
    return edge_parts(array) if is_edge_list else dense_parts(array)


def _from_edge_index(arrays: dict[str, _Array]) -> Parts:
    weights = next((arrays[name] for name in _EDGE_WEIGHTS if name in arrays), None)
    count = arrays.get("num_nodes")
    n_nodes = (
        int(count) if count is not None and count.shape in {(), (1,)} and count.dtype.kind in "iu" else 0
    )
    return _with_names_and_stages(edge_parts(arrays[_EDGE_INDEX], weights=weights, n_nodes=n_nodes), arrays)


def _with_names_and_stages(parts: Parts, arrays: dict[str, _Array]) -> Parts:
    """Return the parts with the arrays ``names`` and ``stage``, where they fit the nodes."""
    columns = dict(parts.vertex_columns)
    for key, attribute, kinds in (("names", NAME, "U"), ("stage", STAGE, "iu")):
        array = arrays.get(key)
        if array is not None and array.shape == (parts.n_nodes,) and array.dtype.kind in kinds:
            columns[attribute] = array.tolist()
    return parts._replace(vertex_columns=columns)


def _only_square(arrays: dict[str, _Array]) -> str | None:
    """Return the name of the only array that can be an adjacency matrix."""
    square = [
        name
        for name, array in arrays.items()
        if array.ndim == 2 and array.shape[0] == array.shape[1] > 1 and array.dtype.kind in "biuf"
    ]
    return square[0] if len(square) == 1 else None


def _arrays(archive: zipfile.ZipFile) -> dict[str, _Array]:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise FormatError(f"holds {len(members)} arrays; a graph has few")
    check_bytes(sum(member.file_size for member in members))
    arrays = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if member.compress_type not in _METHODS:
            raise FormatError(f"array {name!r} has an unsupported compression; use numpy.savez_compressed")
        if name in arrays:
            raise FormatError(f"has two arrays named {name!r}")
        with archive.open(member) as file:
            arrays[name] = parse_array(file.read(member.file_size + 1), name)
    return arrays


def parse_array(content: bytes, name: str) -> _Array:
    """Return the array in the bytes of a ``.npy`` file, without loading pickles or reserving memory that it claims.

    Raises:
        FormatError: The bytes are damaged, or hold neither numbers nor text.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, is_fortran, dtype = read_header(stream)
    except _HEADER_ERRORS as error:
        raise FormatError(f"array {name!r} is damaged (its header: {type(error).__name__})") from None
    if dtype.hasobject or dtype.kind not in "biufSU":
        raise FormatError(f"array {name!r} holds {dtype}, not numbers; pickled objects are never loaded")
    data = content[stream.tell() :]
    count = math.prod(shape)
    if min(shape, default=0) < 0 or dtype.itemsize == 0 or count * dtype.itemsize != len(data):
        raise FormatError(f"array {name!r} is damaged: its size differs from its header")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")


def _sparse(arrays: dict[str, _Array]) -> Parts:
    kind = _text(arrays["format"])
    if kind not in {"coo", *_COMPRESSED}:
        raise FormatError(f"the sparse matrix has the format {kind!r}; save it as csr, csc or coo")
    shape = _member(arrays, "shape")
    if shape.dtype.kind not in "iu" or shape.shape != (2,) or shape[0] != shape[1]:
        raise FormatError("the adjacency matrix is not square")
    n_nodes = int(shape[0])
    data = _flat(arrays, "data")
    if kind == "coo":
        rows, columns = _places(arrays, "row", len(data)), _places(arrays, "col", len(data))
    else:
        inner = _places(arrays, "indices", len(data))
        outer = _outer(_flat(arrays, "indptr"), n_nodes, len(data))
        rows, columns = (outer, inner) if kind == "csr" else (inner, outer)
    return sparse_parts(n_nodes, rows, columns, data)


def _outer(starts: _Array, n_nodes: int, n_entries: int) -> _Array:
    """Return the row (of csr) of every entry, from the first entry of each row."""
    counts: _Array = np.diff(starts.astype(np.int64)) if starts.dtype.kind in "iu" else np.array([-1])
    fits = len(starts) == n_nodes + 1 and len(starts) > 0 and starts[0] == 0 and starts[-1] == n_entries
    if not fits or bool((counts < 0).any()):
        raise FormatError("array 'indptr' does not fit the other arrays of the sparse matrix")
    return np.repeat(np.arange(n_nodes), counts)


def _places(arrays: dict[str, _Array], name: str, n_entries: int) -> _Array:
    places = _flat(arrays, name)
    if len(places) != n_entries or places.dtype.kind not in "iu":
        raise FormatError(f"array {name!r} does not fit the other arrays of the sparse matrix")
    return places


def _flat(arrays: dict[str, _Array], name: str) -> _Array:
    array = _member(arrays, name)
    if array.ndim != 1:
        raise FormatError(f"array {name!r} of the sparse matrix has {array.ndim} dimensions, not one")
    return array


def _member(arrays: dict[str, _Array], name: str) -> _Array:
    if name not in arrays:
        raise FormatError(f"the sparse matrix lacks its array {name!r}; save it with scipy.sparse.save_npz")
    return arrays[name]


def _text(array: _Array) -> str:
    value = array.item() if array.size == 1 and array.dtype.kind in "SU" else ""
    return value.decode("ascii", errors="replace") if isinstance(value, bytes) else value
