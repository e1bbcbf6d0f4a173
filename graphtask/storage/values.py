"""Attribute values as JSON text and back, without loss.

JSON alone would turn tuples into lists, keys into strings, and non-finite floats into something that is not JSON.
Each of these becomes an object with one reserved key:

    {"$tuple": [1, 2]}          the tuple (1, 2)
    {"$float": "NaN"}           NaN, INF, -INF; a NaN with other bits as 16 hexadecimal digits
    {"$dict": [[1, "one"]]}     a dict whose keys are not strings, or start with "$"
"""

import json
import math
import reprlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from graphtask.errors import GraphError

_MAX_INT_BITS = 4_000 * 10 // 3  # Python by itself reads no decimal number of more than 4,300 digits
_NAMED_FLOATS = {"NaN": math.nan, "INF": math.inf, "-INF": -math.inf}


def plain(value: Any) -> Any:
    """The Python number, string or boolean that a numpy scalar stands for; any other value as it is."""
    return value.item() if isinstance(value, np.generic) else value


def to_json(value: Any) -> str:
    """The value as ASCII JSON text, from which `from_json` gives back an equal value of the same type.

    Args:
        value: None, a boolean, int, float or string (also numpy's), or lists, tuples and dicts of them.

    Raises:
        ValueError: The value holds something else, is nested too deeply, or contains itself.

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
    """The value that `to_json` wrote; ordinary JSON is read as usual.

    Raises:
        ValueError: The text is not JSON, an object has a key twice, or a reserved key holds what it cannot mean.
    """
    try:
        return json.loads(text, object_pairs_hook=_untagged)
    except (TypeError, AttributeError, struct.error):
        raise ValueError("a reserved key ($tuple, $float, $dict) holds what it cannot mean") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_usual_float(value: float) -> bool:
    """Whether ``repr`` keeps every bit of the value: true except for a NaN with a sign or a payload."""
    return value == value or _bits(value) == _bits(math.nan)  # noqa: PLR0124 - NaN differs from itself


def _tagged(value: Any) -> Any:
    value = plain(value)
    kind = type(value)
    if kind is int and value.bit_length() > _MAX_INT_BITS:
        raise ValueError("an int of more than 4,000 digits")
    if value is None or kind in {bool, int, str}:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": _float_name(value)}
    if kind is list:
        return [_tagged(item) for item in value]
    if kind is tuple:
        return {"$tuple": [_tagged(item) for item in value]}
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: _tagged(item) for key, item in value.items()}
        return {"$dict": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    raise ValueError(f"{one_line(value)} of type {kind.__name__}")


def one_line(value: Any) -> str:
    """The value as a message shows it: in one line, and short."""
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
