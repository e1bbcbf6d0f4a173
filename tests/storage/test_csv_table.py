import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphtask.storage.csv_table import read_csv


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back_with_every_bit(values):
    table = pd.DataFrame({"x": values})
    found = read_csv(io.BytesIO(table.to_csv(index=False).encode()))
    pd.testing.assert_frame_equal(found.astype(float), table, check_exact=True)


@pytest.mark.parametrize(
    ("version", "options"), [("2.2.3", {"float_precision": "round_trip"}), ("3.1.0", {})]
)
def test_only_versions_that_round_are_told_not_to(monkeypatch, version, options):
    asked = {}
    monkeypatch.setattr(pd, "__version__", version)
    monkeypatch.setattr(pd, "read_csv", lambda _source, **given: asked.update(given) or pd.DataFrame())
    read_csv(io.BytesIO(b""))
    assert asked == {"low_memory": False, "encoding_errors": "backslashreplace", **options}
