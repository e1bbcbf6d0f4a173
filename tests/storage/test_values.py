import json
import math
import struct

import numpy as np
import pytest
from helpers import bits
from hypothesis import given
from hypothesis import strategies as st

from graphtask.storage.values import from_json, to_json


@given(st.floats())
def test_every_float_keeps_its_bits(value):
    assert bits(from_json(to_json(value))) == bits(value)


@pytest.mark.parametrize(
    "pattern", ["7ff8000000000000", "fff8000000000000", "7ff8000000000001", "fff8dead0000beef"]
)
def test_a_nan_keeps_its_sign_and_payload(pattern):
    value = struct.unpack(">d", bytes.fromhex(pattern))[0]

    assert struct.pack(">d", from_json(to_json([value]))[0]).hex() == pattern


def test_what_is_written_is_json_that_any_strict_parser_reads():
    text = to_json({"loss": math.nan, "sizes": (1, math.inf), 3: "\0\ufffe"})

    def refuse(name):
        raise AssertionError(name)

    json.loads(text, parse_constant=refuse)
    assert text.isascii()


def test_tuples_and_odd_keys_come_back_and_are_told_from_dicts_that_look_like_them():
    value = {(1, 2): [(), {}], True: None, "$tuple": [1], "plain": {"$dict": [[1, 2]]}}

    assert bits(from_json(to_json(value))) == bits(value)


def test_numpy_scalars_are_written_as_what_they_stand_for():
    assert bits(from_json(to_json([np.int64(3), np.float32(0.1), np.bool_(True)]))) == bits(
        [3, float(np.float32(0.1)), True]
    )


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", np.zeros(2), 1j, object(), [[{"deep": {3}}]]])
def test_a_value_that_json_cannot_hold_is_refused_by_type(value):
    with pytest.raises(ValueError, match=r"of type (set|bytes|ndarray|complex|object)"):
        to_json(value)


def test_a_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)

    with pytest.raises(ValueError, match="contains itself"):
        to_json(loop)


@pytest.mark.parametrize(
    "text",
    [
        '{"$tuple": 1}',
        '{"$float": 1}',
        '{"$float": "7f"}',
        '{"$float": "zz"}',
        '{"$dict": [1]}',
        '{"$dict": [[[1], 2]]}',
        '{"a": 1, "a": 2}',
        "[" * 100_000,
        "9" * 5_000,
        "",
        "{",
    ],
)
def test_damaged_text_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json and we word it in many ways
        from_json(text)
