import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import graphtask as gt
from graphtask.corpus import edge_columns
from graphtask.corpus.edge_columns import count_rows, edge_lists
from graphtask.corpus.entries import find

TEXTS = ["0 1\n1 2\n", "0 1\n", "a b\nb c\na c\n"]


@pytest.fixture
def written(tmp_path):
    def write(values, *, kind=None, **options):
        path = str(tmp_path / "graphs.parquet")
        pq.write_table(pa.table({"id": range(len(values)), "edges": pa.array(values, kind)}), path, **options)
        return path

    return write


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (TEXTS, pa.string()),
        (TEXTS, pa.large_string()),
        ([text.encode() for text in TEXTS], pa.binary()),
        ([[[0, 1], [1, 2]], [[0, 1]], [["a", "b"], ["b", "c"], ["a", "c"]]][:2], None),
        ([[(0, 1), (1, 2)], [(0, 1)]], pa.list_(pa.list_(pa.int32(), 2))),
        ([[{"s": 0, "t": 1}, {"s": 1, "t": 2}], [{"s": 0, "t": 1}]], None),
        ([[["a", "b"]], [["a", "b"], ["b", "c"]]], None),
        (TEXTS, pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_a_graph_per_row_from_text_bytes_or_lists_of_pairs(written, values, kind):
    path = written(values, kind=kind)
    rows = list(gt.measure_files([path], column="edges", metrics=["edges"], stages=1))
    assert [row["error"] for row in rows] == [""] * len(values)
    expected = [
        value.strip().count("\n" if isinstance(value, str) else b"\n") + 1
        if isinstance(value, str | bytes)
        else len(value)
        for value in values
    ]
    assert [row["edges"] for row in rows] == expected
    assert [row["file"] for row in rows] == [f"{path}/{index}.edges" for index in range(len(values))]


def test_fields_of_an_edge_are_found_by_their_names(written):
    path = written([[{"dst": 1, "src": 0, "weight": 0.5}]])
    (cell,) = edge_lists(path, "edges", [0])
    assert cell.content == b"0\t1\t0.5\n"


def test_cells_may_be_json(written):
    values = ["[[0, 1], [1, 2]]", '{"nodes": ["a", "b"], "links": [["a", "b"]]}', "[[0, 1]"]
    rows = list(gt.measure_files([written(values)], column="edges", metrics=["edges"], stages=1))
    assert [row["edges"] for row in rows[:2]] == [2, 1]
    assert "not a table of edges" in rows[2]["error"]


def test_weights_are_the_third_value_of_an_edge(written):
    path = written([[[0, 1, 0.25], [1, 2, 0.5]]])
    (cell,) = edge_lists(path, "edges", [0])
    assert cell.content == b"0.0\t1.0\t0.25\n1.0\t2.0\t0.5\n"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_rows_are_found_in_any_row_group(written, size):
    texts = [f"0 1\n{'1 2' if index % 2 else ''}\n0 {index + 3}" for index in range(1000)]
    path = written(texts, row_group_size=size if size > 1 else 7)
    wanted = [0, 1, 2, 255, 256, 257, 511, 998, 999]
    assert [(cell.row, cell.content.decode()) for cell in edge_lists(path, "edges", wanted)] == [
        (row, texts[row]) for row in wanted
    ]


def test_nulls_wrong_edges_and_missing_rows_cost_their_own_row(written):
    path = written([[[0, 1]], None, [[0, 1, 2, 3]], [[0]], [None], [[0, None]], [], [[1, 2]]])
    cells = list(edge_lists(path, "edges", [*range(8), 99]))
    assert [cell.problem[:14] for cell in cells] == [
        "",
        "the cell is em",
        *["an edge must b"] * 4,
        "",
        "",
        "the row is no ",
    ]
    rows = list(gt.measure_files([path], column="edges", metrics=["edges"], stages=1))
    assert [bool(row["error"]) for row in rows] == [False, True, True, True, True, True, True, False]
    assert all("\n" not in row["error"] for row in rows)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("edgs", "has no column 'edgs'; did you mean 'edges'"),
        ("id", r"column 'id' must hold edge lists \(text, bytes, or lists of pairs\), got int64"),
    ],
)
def test_another_column_is_one_row_that_names_the_remedy(written, column, message):
    path = written(TEXTS)
    (row,) = gt.measure_files([path], column=column)
    assert row["error"].startswith(f"{path}: ")
    with pytest.raises(gt.errors.FormatError, match=message):
        count_rows(path, column)


@pytest.mark.parametrize(
    "values", [[1.5], [[1, 2]], [[{"a": True}]], [[[b"x"]]], [{"a": 1}], [[[[1]]]], [True]]
)
def test_columns_of_other_types_are_refused(written, values):
    with pytest.raises(gt.errors.FormatError, match="must hold edge lists"):
        count_rows(written(values), "edges")


def test_without_a_column_the_row_names_the_option(written):
    (row,) = gt.measure_files([written(TEXTS)])
    assert row["error"].endswith(
        "name its edge lists with column='edges' (on the command line: --column edges)"
    )


def test_tables_in_folders_are_read_with_a_column_only(written, tmp_path):
    path = written(TEXTS)
    (tmp_path / "a.edges").write_text("0 1")
    assert [entry.file for entry in find([tmp_path])] == [str(tmp_path / "a.edges")]
    assert len(find([tmp_path], column="edges")) == 4
    assert len(find([tmp_path], column="edges", exclude=[path])) == 1


def test_an_empty_table_and_a_file_that_is_no_table_are_one_row_each(written, tmp_path):
    empty = written([], kind=pa.string())
    (tmp_path / "no.parquet").write_bytes(b"PAR1 is not all")
    (tmp_path / "cut.parquet").write_bytes(Path(written(TEXTS)).read_bytes()[:-40])
    written([], kind=pa.string())
    rows = list(
        gt.measure_files(
            [empty, tmp_path / "no.parquet", tmp_path / "cut.parquet", tmp_path / "none.parquet"],
            column="edges",
        )
    )
    assert len(rows) == 4
    assert "the table has no rows" in rows[0]["error"]
    assert all("cannot be read" in row["error"] and "\n" not in row["error"] for row in rows[1:])


def test_a_damaged_page_costs_the_rows_of_its_row_group(written):
    texts = [f"0 1\n1 {index + 5}\n" * 20 for index in range(90)]
    path = written(texts, row_group_size=30, compression="zstd", use_dictionary=False)
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(1)
    content = bytearray(Path(path).read_bytes())
    start = chunk.data_page_offset
    content[start : start + 40] = b"\xff" * 40
    Path(path).write_bytes(content)
    problems = [bool(cell.problem) for cell in edge_lists(path, "edges", range(90))]
    assert problems == [False] * 30 + [True] * 30 + [False] * 30


def test_more_rows_than_bytes_are_refused_before_anything_is_decoded(tmp_path, monkeypatch):
    path = str(tmp_path / "rows.parquet")
    pq.write_table(pa.table({"edges": ["0 1"] * 500_000}), path)
    assert count_rows(path, "edges") == 500_000
    monkeypatch.setattr(edge_columns, "_MAX_ROWS", 1000)
    with pytest.raises(
        gt.errors.FormatError, match=r"has 500,000 rows in [\d,]+ bytes; write tables of at most 1,000"
    ):
        count_rows(path, "edges")


def test_a_row_group_that_expands_too_far_is_refused(written, monkeypatch):
    path = written(
        ["0 1\n" * 5000 + str(index) for index in range(20)], compression="zstd", use_dictionary=False
    )
    monkeypatch.setattr(edge_columns, "_BASE_TOTAL", 1000)
    monkeypatch.setattr(edge_columns, "_MAX_RATIO", 2)
    (row,) = gt.measure_files([path], column="edges")
    assert "has a row group whose column 'edges' expands to" in row["error"]
    monkeypatch.setattr(edge_columns, "_MAX_VALUES", 10)
    monkeypatch.setattr(edge_columns, "_MAX_RATIO", 1 << 40)
    with pytest.raises(gt.errors.FormatError, match="20 values; write smaller row groups"):
        count_rows(path, "edges")


def test_a_row_of_too_many_edges_is_not_turned_into_text(written, monkeypatch):
    path = written(np.zeros((1, 50, 2), dtype=int).tolist())
    monkeypatch.setattr(edge_columns, "MAX_EDGES", 49)
    (cell,) = edge_lists(path, "edges", [0])
    assert "more than 49 edges" in cell.problem


def test_any_bytes_in_the_place_of_the_footer_are_one_row(written):
    path = written(TEXTS)
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<I", content[-8:-4])
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(content)
        for place in rng.integers(len(content) - 8 - length, len(content) - 8, size=3):
            damaged[place] = rng.integers(256)
        Path(path).write_bytes(damaged)
        for row in gt.measure_files([path], column="edges", metrics=["edges"], stages=1):
            assert "\n" not in row["error"]
