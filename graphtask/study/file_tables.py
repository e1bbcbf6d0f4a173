"""Tables of a study file, checked strictly: an unknown key or an invalid value is an error that names its table."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphtask.errors import ArgumentError
from graphtask.validation import abbreviated, suggestion


class Kind(NamedTuple):
    """Requirement of a value: a test, and its description."""

    holds: Callable[[Any], bool]
    words: str


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of(test: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(test, value))


def _are_seeds(value: Any) -> bool:
    seeds = list(value) if isinstance(value, list | tuple) else []
    return COUNT.holds(value) or (
        0 < len(set(seeds)) == len(seeds) and _is_list_of(_is_whole, seeds) and min(seeds) >= 0
    )


TEXT = Kind(lambda value: isinstance(value, str) and value != "", 'a string, such as "cmnist"')
FLAG = Kind(lambda value: isinstance(value, bool), "true or false")
WHOLE = Kind(_is_whole, "an integer")
COUNT = Kind(lambda value: _is_whole(value) and value >= 1, "an integer >= 1")
NUMBER = Kind(_is_number, "a number")
LEAST_0 = Kind(lambda value: _is_number(value) and 0 <= value < float("inf"), "a number >= 0")
TABLE = Kind(lambda value: isinstance(value, Mapping), "a table")
TEXTS = Kind(lambda value: _is_list_of(TEXT.holds, value), 'a list of strings, such as ["pad:2", "color"]')
SEEDS = Kind(_are_seeds, "the number of seeds (3 for 0, 1 and 2), or a list of different integers >= 0")
STAGES = Kind(
    lambda value: COUNT.holds(value) or (value and _is_list_of(COUNT.holds, value)),
    "the number of stages, or a list of their sizes",
)
DEVICE = Kind(
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value)),
    "auto, cpu, cuda, cuda:1 or mps",
)


def choice(*words: str) -> Kind:
    """Return the requirement to be one of a few strings."""
    return Kind(lambda value: value in words, f"one of {', '.join(words)}")


@dataclass(frozen=True)
class Table:
    """One table of a study file.

    Args:
        values: Its keys and values.
        file: The file, for messages.
        path: Where the table stands, such as ``("data", "cifar10")``; empty for the top of the file.

    Example:
        >>> table = Table({"chanels": 3}, file="study.toml", path=("data", "digits"))
        >>> table.check({"channels": WHOLE, "seed": WHOLE})
        Traceback (most recent call last):
        graphtask.errors.ArgumentError: study.toml: [data.digits] unknown key 'chanels'; did you mean 'channels'?
    """

    values: Mapping[str, Any]
    file: str
    path: tuple[str, ...] = ()

    def check(self, known: Mapping[str, Kind]) -> None:
        """Check that all keys are known, with valid values.

        Raises:
            ArgumentError: One is not.
        """
        for key, value in self.values.items():
            if key not in known:
                raise self.error(f"unknown key {key!r}; {suggestion(key, known)}")
            if not known[key].holds(value):
                raise self.error(f"{key} must be {known[key].words}, got {abbreviated(value)}")

    def table(self, key: str) -> "Table":
        """Return the table of that name inside this one; empty if there is none.

        Raises:
            ArgumentError: It is not a table.
        """
        values = self.values.get(key, {})
        if not TABLE.holds(values):
            raise self.error(f"{key} must be {TABLE.words}, got {abbreviated(values)}")
        return Table(values, file=self.file, path=(*self.path, key))

    def error(self, message: str) -> ArgumentError:
        """Return an error that names the file and the table."""
        place = f"[{'.'.join(self.path)}] " if self.path else ""
        return ArgumentError(f"{self.file}: {place}{message}")
