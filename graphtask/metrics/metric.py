"""What is known about a metric besides how it is computed."""

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
LARGE = (
    2_000  # nodes beyond which a metric whose cost grows faster than the edges has to be asked for by name
)
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
    """What it is selected by; of a metric per stage it ends in ``_stage_k``, per pair of stages in ``_stage_a_b``."""
    compute: Callable[..., Value]
    """Its value for a `GraphView`; of a metric per stage, for a view and a stage (or two: a ≤ b).

    Raises `UndefinedMetricError`.
    """
    formula: str
    """Its definition in one line."""
    low: float = -math.inf
    """Smallest possible value."""
    high: float = math.inf
    """Largest possible value."""
    meaning: str = ""
    """What a larger value says."""
    reads_weights: bool = False
    """Whether it depends on the weights of the edges."""
    defined_when: str = "always"
    """The graphs that have it."""
    cost: str = ""
    """Time, in nodes n and edges m."""
    source: str = ""
    """Where the definition comes from."""
    sets: tuple[str, ...] = ()
    """Named selections that it belongs to."""
    kind: Literal["number", "count", "flag", "text"] = "number"
    """What its values are."""
    error: float = 0.0
    """Absolute numerical error of a value, a power of ten; 0 for values that are exact up to the nearest float.

    Values are rounded to it, so that floating-point noise is not reported as a difference. A feature whose values
    differ by no more than this is constant.
    """
    max_nodes: int | None = None
    """Beyond this many nodes it is computed only if asked for by name."""
    order_dependent: bool = False
    """Whether it may change when the vertices are numbered in another topological order."""
    prepare: Callable[[Sequence[Any]], None] | None = None
    """Works something out for many views (`GraphView`) at once, in less time than ``compute`` would one by one."""

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
        """Whether it has one column for every stage, or for every pair of stages."""
        return self.name.endswith((STAGE_SUFFIX, PAIR_SUFFIX))

    @cached_property
    def column(self) -> str:
        """Its column, or what its columns start with."""
        return self.name.removesuffix("k").removesuffix("a_b") if self.per_stage else self.name

    def columns(self, stages: Iterable[int]) -> dict[str, tuple[int, ...]]:
        """Its columns in a table of graphs with these stages, and the stage or stages of each (none: all)."""
        if not self.per_stage:
            return {self.column: ()}
        if self.name.endswith(PAIR_SUFFIX):
            known = sorted(stages)
            pairs = combinations_with_replacement(known if len(known) <= _MOST_PAIRED else (), 2)
            return {f"{self.column}{first}_{second}": (first, second) for first, second in pairs}
        return {f"{self.column}{stage}": (stage,) for stage in stages}
