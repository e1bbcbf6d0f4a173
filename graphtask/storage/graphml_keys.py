"""Declared attributes of a GraphML file: types, values and columns."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from graphtask.errors import FormatError
from graphtask.storage.values import from_json, one_line

GRAPHML = "http://graphml.graphdrawing.org/xmlns"
FORMAT_VERSION = "1"
GRAPHTASK = "urn:graphtask:graphml"

DRAWING = "drawing"

_ABSENT = object()


@dataclass(slots=True)
class Key:
    """Declared attribute with the values found so far.

    Attributes:
        name: Name of the attribute.
        kind: Its type in the file; `DRAWING` for drawings of yEd, of which only labels are read.
        convert: Converts a text to a value; raises ValueError.
        values: A list for each kind of element ("graph", "node", "edge") that may have the attribute; empty for
            an attribute of other elements.
        default: Value of elements without one.
    """

    name: str
    kind: str
    convert: Callable[[str], Any]
    values: dict[str, list[Any]]
    default: Any = _ABSENT

    @property
    def has_default(self) -> bool:
        """Whether elements without a value have a default."""
        return self.default is not _ABSENT

    def complaint(self, text: str, error: ValueError) -> str:
        """Return the message about a text that `convert` refused with ``error``."""
        reason = f" ({error})" if self.kind == "json" else ""
        return f"attribute {self.name!r} must be {self.kind}, got {one_line(text)}{reason}"


def declared_key(attributes: dict[str, str], *, is_ours: bool) -> Key:
    """Return the attribute that a ``key`` element with these XML attributes declares.

    Raises:
        FormatError: Something is missing in it, or is unknown.
    """
    scope = attributes.get("for", "all")
    if scope not in _SCOPES:
        raise FormatError(f"a key is for {scope!r}; use graph, node, edge or all")
    values: dict[str, list[Any]] = {part: [] for part in _SCOPES[scope]}
    if is_ours:
        return _own_key(attributes, values)
    if any(name.endswith(" type") for name in attributes):
        raise FormatError(
            "a key has a type in an unknown name space; files of graphtask declare their version"
        )
    name = attributes.get("attr.name", attributes["id"])
    if "yfiles.type" in attributes:
        has_labels = attributes["yfiles.type"] in {"nodegraphics", "edgegraphics"}
        return Key(name, DRAWING, str, values if has_labels else {})
    kind = attributes.get("attr.type", "string").lower()
    convert = str if kind.startswith("list") else _FOREIGN_KINDS.get(kind)  # Gephi's lists stay text
    if convert is None:
        raise FormatError(
            f"the type {attributes['attr.type']!r} of attribute {name!r} is unknown; use string"
        )
    return Key(name, kind, convert, values)


def columns(keys: Iterable[Key], scope: str, n_elements: int, *, keep_empty: bool) -> dict[str, list[Any]]:
    """Return the values of every attribute of one kind of element, None where an element has none.

    Two keys of one name are one attribute: networkx declares a key for each type that its values have.

    Raises:
        FormatError: An element has two values for one attribute.
    """
    result: dict[str, list[Any]] = {}
    for key in keys:
        if scope not in key.values or key.kind == DRAWING:
            continue
        column = _column(key, scope, n_elements)
        if keep_empty or any(value is not None for value in column):
            result[key.name] = _merged(key.name, result[key.name], column) if key.name in result else column
    return result


def _own_key(attributes: dict[str, str], values: dict[str, list[Any]]) -> Key:
    name, kind = attributes.get("attr.name"), attributes.get(f"{GRAPHTASK} type", "")
    if name is None or kind not in _OWN_KINDS:
        raise FormatError(f"the key {attributes['id']!r} has no attr.name, or an unknown type")
    if len(values) != 1:
        raise FormatError(f"the key {attributes['id']!r} is not for graph, node, or edge")
    return Key(name, kind, _OWN_KINDS[kind], values)


def _column(key: Key, scope: str, n_elements: int) -> list[Any]:
    values = key.values[scope]
    column = values + [None] * (n_elements - len(values))
    return [key.default if value is None else value for value in column] if key.has_default else column


def _merged(name: str, first: list[Any], second: list[Any]) -> list[Any]:
    if any(one is not None and other is not None for one, other in zip(first, second, strict=True)):
        raise FormatError(f"attribute {name!r} is declared twice, and an element has a value for both")
    return [other if one is None else one for one, other in zip(first, second, strict=True)]


# int and float of Python accept 1_000 and the digits of every script.


def _int(text: str) -> int:
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise ValueError(text)
    return value


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_OWN_KINDS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "int": _int,
    "float": _float,
    "string": str,
    "json": from_json,
}
_FOREIGN_KINDS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("boolean", "bool"), _boolean),
    **dict.fromkeys(("int", "integer", "long", "short", "byte", "biginteger"), _int),
    **dict.fromkeys(("double", "float", "bigdecimal"), _float),
    **dict.fromkeys(("string", "char", "character"), str),
}
_SCOPES: dict[str, tuple[str, ...]] = {
    "graph": ("graph",),
    "node": ("node",),
    "edge": ("edge",),
    "all": ("graph", "node", "edge"),
    **dict.fromkeys(("graphml", "port", "endpoint", "hyperedge"), ()),
}
