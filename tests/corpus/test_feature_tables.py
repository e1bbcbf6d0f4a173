import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import graphtask as gt


@pytest.fixture
def table():
    return pd.DataFrame(
        {"graph": ["a", "b"], "seed": [0, 1], "log_paths": [-math.inf, math.nan], "q1d": [True, False]}
    )


def test_every_format_gives_the_same_table(table, tmp_path):
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    rows = [
        {"graph": "a", "seed": 0, "log_paths": "-inf", "q1d": True},
        {"graph": "b", "seed": 1, "log_paths": None, "q1d": False},
    ]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    for name in ("t.csv", "t.json", "t.parquet"):
        found = gt.read_table(tmp_path / name)
        assert list(found.columns) == list(table.columns)
        assert found["seed"].tolist() == [0, 1]
        np.testing.assert_array_equal(found["log_paths"], table["log_paths"])
        assert found["q1d"].tolist() == [True, False]


def test_the_suffix_may_be_in_capitals(table, tmp_path):
    table.to_csv(tmp_path / "T.CSV", index=False)
    assert len(gt.read_table(tmp_path / "T.CSV")) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "cannot be read as a table"),
        ("t.csv", b"a,b\n", "no rows"),
        ("t.csv", b"a,b\n1,2,3\n4\n5,6,7,8,9\n", "cannot be read as a table"),
        ("t.json", b"{}", "is not a list of rows"),
        ("t.json", b"[1]", "is not a list of rows"),
        ("t.json", b"[" * 100_000, "cannot be read as a table"),
        ("t.json", b"[]", "no rows"),
        ("t.parquet", b"PAR1 no more", "cannot be read as a table"),
        ("t.xlsx", b"", r"t\.xlsx: is not a table; the suffix must be one of \.csv, \.json, \.parquet"),
    ],
)
def test_what_is_no_table_is_an_error_that_names_the_file(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gt.errors.FormatError, match=message) as caught:
        gt.read_table(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(gt.errors.FormatError, match=r"t\.csv: cannot be read"):
        gt.read_table(tmp_path / "t.csv")


def test_a_table_with_too_many_cells_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    rows = 3_000_000
    table = pa.table({"dataset": pa.array(["x"] * rows), "m": np.zeros(rows)})
    with pq.ParquetWriter(tmp_path / "bomb.parquet", table.schema, compression="zstd") as writer:
        for _ in range(4):
            writer.write_table(table)
    with pytest.raises(gt.errors.FormatError, match="has 24,000,000 cells; tables of more than 20,000,000"):
        gt.read_table(tmp_path / "bomb.parquet")
    monkeypatch.setattr("graphtask.corpus.feature_tables._MAX_CELLS", 10)
    (tmp_path / "t.csv").write_text("a,b,c\n" * 5)
    (tmp_path / "t.json").write_text(json.dumps([{str(index): 1} for index in range(4)]))
    for name in ("t.csv", "t.json"):
        with pytest.raises(gt.errors.FormatError, match="cells; tables of more than 10 are not read"):
            gt.read_table(tmp_path / name)


def test_a_long_text_in_every_row_is_kept_once(tmp_path):
    texts = pa.array(["x" * 20_000] * 2_000)
    pq.write_table(pa.table({"dataset": texts, "m": np.arange(2_000)}), tmp_path / "t.parquet")
    table = gt.read_table(tmp_path / "t.parquet")
    assert len({id(value) for value in table["dataset"]}) == 1


def test_a_column_of_lists_is_refused(tmp_path):
    pq.write_table(pa.table({"m": [[1, 2], [3]]}), tmp_path / "t.parquet")
    with pytest.raises(gt.errors.FormatError, match="has the nested column 'm'"):
        gt.read_table(tmp_path / "t.parquet")
