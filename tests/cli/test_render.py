import csv
import io
import json
import math
from functools import partial

import pandas as pd
import pytest

import graphtask as gt
from graphtask_cli import render, tables

RECORDS = [
    {"graph": "a", "value": 0.1 + 0.2, "count": 3, "parts": [1, 2], "flag": True, "none": None},
    {"graph": "b", "value": math.nan, "count": 4, "more": -math.inf},
]


def test_csv_gives_back_every_float_bit_for_bit(capsys):
    render.show(RECORDS, form="csv")
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert float(first["value"]) == 0.1 + 0.2
    assert (first["parts"], first["flag"], first["none"], first["more"]) == ("1/2", "True", "", "")
    assert math.isnan(float(second["value"]))
    assert float(second["more"]) == -math.inf


def test_json_is_strict_and_exact(capsys):
    render.show(RECORDS, form="json")

    def refuse(constant):
        raise AssertionError(constant)

    first, second = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert first["value"] == 0.1 + 0.2
    assert first["parts"] == [1, 2]
    assert first["more"] is None
    assert second["value"] is None
    assert second["more"] == "-inf"


def test_a_table_in_a_file_or_a_pipe_is_never_cut_off(capsys):
    records = [
        {f"column_{index}": index for index in range(60)},
        {f"column_{index}": 1 for index in range(60)},
    ]
    render.show(records, form="table")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == list(records[0])
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_on_a_terminal_keeps_to_its_width_and_loses_nothing(monkeypatch, width):
    monkeypatch.setattr(render, "_terminal_width", lambda: width)
    records = [
        {"graph": f"g{row}", **{f"m{column}": 1000 * row + column for column in range(30)}}
        for row in range(9)
    ]
    text = render._as_table(records)
    plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert max(map(len, plain.splitlines())) <= width
    shown = set(plain.split())
    assert {render.rounded(value) for record in records for value in record.values()} <= shown
    assert set(records[0]) <= shown


def test_one_record_stands_upright_and_none_at_all_prints_nothing(capsys):
    render.show([{"nodes": 60, "edges": 1770}], form="table")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["nodes", "60"],
        ["edges", "1,770"],
    ]
    render.show([], form="table")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (863_300, "863,300"),
        (1234.5678, "1235"),
        (104_417_720.0, "104,417,720"),
        (0.0123456, "0.01235"),
        (-0.0, "0"),
        (math.inf, "inf"),
        (False, "no"),
        ([20, 20, 20], "20/20/20"),
    ],
)
def test_people_see_four_digits_and_thousands_apart(value, text):
    assert render.rounded(value) == text


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_tables_in_files_have_every_digit_and_row(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    records = [{"graph": "a", "value": 1 / 3, "n": 2**53}, {"graph": "b", "value": -math.inf, "n": 1}]
    tables.write_table(records, path)
    exact_json = partial(pd.read_json, precise_float=True)
    read = {".csv": pd.read_csv, ".json": exact_json, ".parquet": pd.read_parquet}[suffix]
    frame = read(path)
    assert frame["graph"].tolist() == ["a", "b"]
    assert float(frame["value"][0]) == 1 / 3
    assert float(frame["value"][1]) == -math.inf
    assert frame["n"].tolist() == [2**53, 1]


def test_tables_that_we_cannot_write_are_refused(tmp_path):
    with pytest.raises(gt.errors.ArgumentError, match=r"must be \.csv, \.json or \.parquet"):
        tables.write_table(RECORDS, tmp_path / "table.xlsx")
