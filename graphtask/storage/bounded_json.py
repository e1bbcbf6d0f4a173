"""JSON of files that anybody may have written: bounded in depth, valid Unicode, errors of one kind."""

import json
from typing import Any

_DEEPEST = 32


def parse_json(content: bytes) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: The document is not valid, is nested deeper than 32 levels, or has text that is not Unicode.

    Example:
        >>> parse_json(b'{"seed": 0}')
        {'seed': 0}
        >>> parse_json(b"[" * 100_000)
        Traceback (most recent call last):
        ValueError: nested too deeply
    """
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check(value, depth=0)
    return value


def _check(value: Any, *, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode()  # raises on lone surrogates
    elif isinstance(value, list):
        for item in value:
            _check(item, depth=depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            key.encode()
            _check(item, depth=depth + 1)
