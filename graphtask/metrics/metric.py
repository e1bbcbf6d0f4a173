"""Metrics as data: name, definition, range, error, cost and source."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any, Literal

from graphtask.validation import invalid, number

Value = float | int | bool | str

STAGE_SUFFIX = "_stage_k"
PAIR_SUFFIX = "_stage_a_b"
LARGE = 2_000  # nodes beyond which a metric with superlinear cost is computed only if selected by name
_MOST_PAIRED = 64  # stages whose pairs get columns; a file may claim any number of stages
ROUNDING = (
    1e-12  # floating-point error of sums, logarithms and roots; measured: at most 4e-15 under renumbering
)
LAYOUT_ERROR = 1e-6  # of layouts: one unit in the last place of the start moves 51 of 56 graphs by less
AUTHORS = "Nowak & Janik, arXiv:2002.08104"


def _exponent(error: float) -> int:
    return round(math.log10(error))


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Example:
        >>> density = Metric(
        ...     name="density", compute=lambda view: view.graph.density(), formula="m/(n(n − 1))"
        ... )
        >>> density.column
        'density'
    """

    name: str
    """Name for selection; for a metric per stage it ends in ``_stage_k``, per pair of stages in ``_stage_a_b``."""
    compute: Callable[..., Value]
    """Function of a `GraphView`; for a metric per stage, of a view and a stage (or two: a ≤ b).

    Raises `UndefinedMetricError`.
    """
    formula: str
    """Definition in one line."""
    low: float = -math.inf
    """Smallest possible value."""
    high: float = math.inf
    """Largest possible value."""
    meaning: str = ""
    """Meaning of a larger value."""
    reads_weights: bool = False
    """True if it depends on the weights of the edges."""
    defined_when: str = "always"
    """Graphs for which it is defined."""
    cost: str = ""
    """Time, in nodes n and edges m."""
    source: str = ""
    """Source of the definition."""
    sets: tuple[str, ...] = ()
    """Named selections that it belongs to."""
    kind: Literal["number", "count", "flag", "text"] = "number"
    """Type of its values."""
    error: float = 0.0
    """Absolute numerical error of a value, a power of ten; 0 for values that are exact up to the nearest float.

    Values are rounded to it, so that floating-point noise is not reported as a difference. A feature whose values
    differ by no more than this is constant.
    """
    max_nodes: int | None = None
    """Node count beyond which it is computed only if selected by name."""
    order_dependent: bool = False
    """True if it may change with the topological order of the vertices."""
    prepare: Callable[[Sequence[Any]], None] | None = None
    """Function that fills the caches of several views in one batch, faster than ``compute`` for each."""

    def __post_init__(self) -> None:
        if (
            number(self.error, name="error", least=0) > 0
            and float(f"1e{_exponent(self.error)}") != self.error
        ):
            raise invalid("error", "0 or a power of ten", self.error)

    def rounded(self, value: Value) -> Value:
        """Return ``value`` rounded to the numerical error; integers, flags, text, NaN and infinities are unchanged.

        Example:
            >>> Metric(name="gap", compute=lambda view: 0.0, formula="0", error=1e-6).rounded(2.4e-9)
            0.0
        """
        if self.error == 0 or not isinstance(value, float) or not math.isfinite(value):
            return value
        return round(value, -_exponent(self.error)) + 0.0  # turns -0.0 into 0.0

    @cached_property
    def per_stage(self) -> bool:
        """True if it has one column for every stage, or for every pair of stages."""
        return self.name.endswith((STAGE_SUFFIX, PAIR_SUFFIX))

    @cached_property
    def column(self) -> str:
        """Name of its column, or prefix of its columns."""
        return self.name.removesuffix("k").removesuffix("a_b") if self.per_stage else self.name

    def columns(self, stages: Iterable[int]) -> dict[str, tuple[int, ...]]:
        """Return its columns for graphs with these stages, each with its stage or stages (none: all)."""
        if not self.per_stage:
            return {self.column: ()}
        if self.name.endswith(PAIR_SUFFIX):
            known = sorted(stages)
            pairs = combinations_with_replacement(known if len(known) <= _MOST_PAIRED else (), 2)
            return {f"{self.column}{first}_{second}": (first, second) for first, second in pairs}
        return {f"{self.column}{stage}": (stage,) for stage in stages}
