"""Types of options: ranges, lists and names, with one wording for invalid values and completion in the shell."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from graphtask.validation import abbreviated

DATA_SETS = ("cdigits", "cdigits_t8", "cmnist", "ckmnist", "cfashionmnist", "cifar10", "cifar10_t8")
"""Names of `graphtask.data.catalog.CATALOG`, which imports PyTorch; a test compares the two."""

TRANSFORMS = ("color", "pad:", "tiles:", "scale:", "resize:", "subset:")


class InvalidValueError(click.BadParameter):
    """The value of an option is invalid; the message is complete."""

    def __init__(
        self, requirement: str, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> None:
        super().__init__(f"must be {requirement}, got {abbreviated(value)}", ctx, param)

    def format_message(self) -> str:
        """Return the message, which opens with the name of the option."""
        if self.param is None:
            return self.message
        is_argument = isinstance(self.param, click.Argument)
        name = (
            self.param.make_metavar(self.ctx) if is_argument and self.ctx else max(self.param.opts, key=len)
        )
        return f"{name} {self.message}"


class Integer(click.IntRange):
    """An integer in [least, most]."""

    name = "integer"

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        super().__init__(min=least, max=most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the integer.

        Raises:
            InvalidValueError: It is not one, or out of range.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            requirement = f"an integer {_bounds(self.min, self.max)}".rstrip()
            raise InvalidValueError(requirement, _plain(value), param, ctx) from None


class Number(click.FloatRange):
    """A finite number in [least, most], or in (least, most] if ``least_open``."""

    name = "number"

    def __init__(
        self, least: float | None = None, most: float | None = None, *, least_open: bool = False
    ) -> None:
        super().__init__(min=least, max=most, min_open=least_open)

    def _describe_range(self) -> str:
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        Raises:
            InvalidValueError: It is not a number, not finite, or out of range.
        """
        try:
            found = super().convert(value, param, ctx)
        except click.BadParameter:
            found = math.nan
        if not math.isfinite(found):
            sign = ">" if self.min_open else ">="
            requirement = f"a number {_bounds(self.min, self.max, sign=sign)}".rstrip()
            raise InvalidValueError(requirement, _plain(value), param, ctx)
        return found


class Choice(click.Choice[str]):
    """One of several words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word.

        Raises:
            InvalidValueError: It is another one.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            raise InvalidValueError(f"one of {', '.join(self.choices)}", value, param, ctx) from None


class Parsed(click.ParamType[Any]):
    """A text that a function parses.

    Args:
        name: Placeholder in the help text.
        parse: Returns the value; raises ValueError for an invalid text.
        requirement: Completes "must be …".
        complete: Returns the words that may stand at the end, for completion in the shell.
    """

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        requirement: str,
        complete: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.name = name
        self._parse = parse
        self._requirement = requirement
        self._complete = complete

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value.

        Raises:
            InvalidValueError: The text is invalid.
        """
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except (ValueError, ArithmeticError):
            raise InvalidValueError(self._requirement, value, param, ctx) from None

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the words that complete the last part of a list with commas."""
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + word) for word in self._complete() if word.startswith(last)]


class Folder(click.Path):
    """A path whose completions are folders; the library checks it, with a better message."""

    name = "folder"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the request for folders."""
        return [CompletionItem(incomplete, type="dir")]


class DataSource(click.ParamType[str]):
    """A named data set, a file or a folder; names and paths are completed."""

    name = "data"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the names that match; the shell adds paths if none does."""
        found = [CompletionItem(name) for name in DATA_SETS if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


def names(text: str) -> list[str]:
    """Return the names between commas.

    >>> names("nodes, edges,")
    ['nodes', 'edges']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers(text: str) -> tuple[float, ...]:
    """Return the finite numbers between commas.

    >>> numbers("0.8,0.9")
    (0.8, 0.9)
    """
    return tuple(_finite(part) for part in names(text))


def stages(text: str) -> int | list[int]:
    """Return a number of stages, or their sizes.

    >>> stages("3"), stages("30,20,10")
    (3, [30, 20, 10])
    """
    sizes = [int(part) for part in text.split(",")]
    if min(sizes) < 1:
        raise ValueError
    return sizes if "," in text else sizes[0]


def gpus(text: str) -> list[int]:
    """Return the indices of GPUs.

    >>> gpus("0,1")
    [0, 1]
    """
    indices = [int(part) for part in text.split(",")]
    if min(indices) < 0:
        raise ValueError
    return indices


def shape(text: str) -> tuple[list[int], bool]:
    """Return the sizes of a tensor, and True if its values are integers.

    >>> shape("1,3,224,224"), shape("1,128:int")
    (([1, 3, 224, 224], False), ([1, 128], True))
    """
    sizes_text, colon, kind = text.partition(":")
    sizes = [int(part) for part in sizes_text.split(",")]
    if min(sizes) < 1 or (colon and kind != "int"):
        raise ValueError
    return sizes, bool(colon)


def thresholds(text: str) -> list[float]:
    """Return thresholds from a list, a range START:STOP:COUNT, or log:START:STOP:COUNT.

    >>> thresholds("0,0.006"), thresholds("0:0.4:3"), thresholds("log:0.01:1:3")
    ([0.0, 0.006], [0.0, 0.2, 0.4], [0.01, 0.1, 1.0])
    """
    by_factor = text.startswith("log:")
    words = text.removeprefix("log:").split(":")
    if len(words) == 1 and not by_factor:
        return list(numbers(text))
    if len(words) != 3:
        raise ValueError
    start, stop, count = _finite(words[0]), _finite(words[1]), int(words[2])
    return _spaced(start, stop, count, by_factor=by_factor)


def metric_set(text: str) -> str | list[str]:
    """Return the name of a set of metrics, or the names between commas.

    >>> metric_set("paper"), metric_set("nodes,edges")
    ('paper', ['nodes', 'edges'])
    """
    return names(text) if "," in text else text


def _metric_names() -> Sequence[str]:
    from graphtask.metrics.registry import all_metrics

    metrics = all_metrics()
    return [*dict.fromkeys(name for metric in metrics for name in metric.sets), *(m.name for m in metrics)]


STAGES = Parsed("K|SIZES", stages, "a number of stages (3) or their sizes (30,20,10)")
NUMBERS = Parsed("NUMBERS", numbers, "a list of numbers such as 0.8,0.9")
GPUS = Parsed("0,1…", gpus, "a list of indices such as 0,1")
SHAPE = Parsed("SHAPE", shape, "a shape such as 1,3,224,224 or 1,128:int")
THRESHOLDS = Parsed(
    "LIST|RANGE",
    thresholds,
    "a list such as 0,0.006,0.1, START:STOP:COUNT such as 0:0.5:51, or log:START:STOP:COUNT such as log:0.001:1:31",
)
NAMES = Parsed("NAMES", names, "a list of names")
METRICS = Parsed("SET|NAMES", metric_set, "a set or a list of metrics", complete=_metric_names)
METRIC_NAMES = Parsed("NAMES", names, "a list of metrics", complete=_metric_names)
TRANSFORM = Parsed("NAME[:K]", str, "a transform", complete=lambda: TRANSFORMS)

PATH = click.Path(path_type=Path)
FOLDER = Folder(path_type=Path)
GRAPHS = click.Path()
"""Paths of graphs as text: also patterns, archive members and ``-``; completed as files."""


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _spaced(start: float, stop: float, count: int, *, by_factor: bool) -> list[float]:
    if count < 2 or (by_factor and start <= 0):
        raise ValueError
    shares = [index / (count - 1) for index in range(count)]
    values = [
        start * (stop / start) ** share if by_factor else start + (stop - start) * share for share in shares
    ]
    return [float(f"{value:.12g}") for value in values]  # 0.3, not 0.30000000000000004


def _bounds(least: float | None, most: float | None, *, sign: str = ">=") -> str:
    if least is not None and most is not None:
        return f"in [{least:g}, {most:g}]" if sign == ">=" else f"in ({least:g}, {most:g}]"
    return "" if least is None else f"{sign} {least:g}"


def _plain(value: Any) -> Any:
    """Return the number that a text spells, so that messages show it without quotation marks."""
    try:
        return int(value)
    except (TypeError, ValueError):
        pass
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
