"""Attribute values as JSON text and back, without loss.

Plain JSON would turn tuples into lists, keys into strings, and non-finite floats into invalid JSON. Each of these
becomes an object with one reserved key:

    {"$tuple": [1, 2]}          the tuple (1, 2)
    {"$float": "NaN"}           NaN, INF, -INF; a NaN with other bits as 16 hexadecimal digits
    {"$dict": [[1, "one"]]}     a dict whose keys are not strings, or start with "$"
"""

import json
import math
import re
import reprlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from graphtask.errors import GraphError

MAX_DEPTH = 64
"""Deepest nesting of a value; copying deeper ones overflows the stack of Python."""

_MAX_INT_BITS = 4_000 * 10 // 3  # Python reads no decimal number of more than 4,300 digits by default
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
_SURROGATE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.",
    re.DOTALL,
)
_NAMED_FLOATS = {"NaN": math.nan, "INF": math.inf, "-INF": -math.inf}


def plain(value: Any) -> Any:
    """Return a numpy scalar as a Python number, string or boolean, and any other value unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def to_json(value: Any) -> str:
    """Return the value as ASCII JSON text; `from_json` returns an equal value of the same type.

    Args:
        value: None, a boolean, int, float or string (also numpy's), or lists, tuples and dicts of them.

    Raises:
        ValueError: The value holds another type, is nested more than 64 deep, or contains itself.

    Example:
        >>> to_json({"sizes": (20, 20), "loss": float("inf")})
        '{"sizes": {"$tuple": [20, 20]}, "loss": {"$float": "INF"}}'
        >>> from_json(to_json({"sizes": (20, 20), "loss": float("inf")}))
        {'sizes': (20, 20), 'loss': inf}
    """
    try:
        return json.dumps(_tagged(value), allow_nan=False)
    except RecursionError:
        raise ValueError("a value that is nested too deeply or contains itself") from None


def provenance_text(value: Any) -> str:
    """Return provenance as JSON text, for formats and libraries without nested values.

    Raises:
        GraphError: It holds values that JSON cannot.
    """
    try:
        return to_json(value)
    except ValueError as error:
        raise GraphError(
            f"the graph attribute 'provenance' cannot be converted: it holds {error}; use numbers, strings, booleans, "
            f"None, and lists, tuples and dicts of them"
        ) from None


def from_json(text: str) -> Any:
    r"""Return the value that `to_json` wrote; ordinary JSON is read as usual.

    Lone surrogates (as in ``"\ud800"``), which no file or terminal can take, become U+FFFD.

    Raises:
        ValueError: The text is not JSON, is nested more than 64 deep, an object has a key twice, or a reserved key
            holds an invalid value.
    """
    if _SURROGATE.search(text):
        text = _without_lone_surrogates(text)
    try:
        value = json.loads(text, object_pairs_hook=_untagged)
    except (TypeError, AttributeError, struct.error):
        raise ValueError("a reserved key ($tuple, $float, $dict) holds an invalid value") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return value


def is_usual_float(value: float) -> bool:
    """Return True if ``repr`` keeps every bit of the value: for all but a NaN with a sign or a payload."""
    return value == value or _bits(value) == _bits(math.nan)  # noqa: PLR0124 - NaN differs from itself


def _without_lone_surrogates(text: str) -> str:
    text = _LONE.sub("\ufffd", text)
    return _ESCAPED.sub(
        lambda match: "\\ufffd" if len(match[0]) == len("\\ud800") and match[0][1] == "u" else match[0], text
    )


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [
            item
            for holder in level
            if isinstance(holder, list | tuple | dict)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return False
    return True


def _tagged(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("a value that is nested too deeply or contains itself")
    value = plain(value)
    kind = type(value)
    if kind is int and value.bit_length() > _MAX_INT_BITS:
        raise ValueError("an int of more than 4,000 digits")
    if kind is str and not value.isascii() and _LONE.search(value):
        raise ValueError("a text with a lone surrogate")
    if value is None or kind in {bool, int, str}:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": _float_name(value)}
    if kind is list:
        return [_tagged(item, depth + 1) for item in value]
    if kind is tuple:
        return {"$tuple": [_tagged(item, depth + 1) for item in value]}
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: _tagged(item, depth + 1) for key, item in value.items()}
        return {"$dict": [[_tagged(key, depth + 1), _tagged(item, depth + 1)] for key, item in value.items()]}
    raise ValueError(f"{one_line(value)} of type {kind.__name__}")


def one_line(value: Any) -> str:
    """Return the value as a message shows it: in one line, and short."""
    return reprlib.repr(value).replace("\n", " ")


def _float_name(value: float) -> str:
    if math.isnan(value):
        return "NaN" if is_usual_float(value) else _bits(value).hex()
    return "INF" if value > 0 else "-INF"


def _bits(value: float) -> bytes:
    return struct.pack(">d", value)


def _read_float(name: str) -> float:
    named = _NAMED_FLOATS.get(name)
    return float(struct.unpack(">d", bytes.fromhex(name))[0]) if named is None else named


def _read_tuple(items: list[Any]) -> tuple[Any, ...]:
    if not isinstance(items, list):
        raise TypeError("a tuple is written as a list")
    return tuple(items)


_TAGS: dict[str, Callable[[Any], Any]] = {"$float": _read_float, "$tuple": _read_tuple, "$dict": dict}


def _untagged(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0] in _TAGS:
        tag, content = pairs[0]
        return _TAGS[tag](content)
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has the same key twice")
    return values
