"""One row of the table of a corpus: what a graph came from, and its metrics."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from graphtask.graph import provenance
from graphtask.metrics.registry import Selection, select
from graphtask.metrics.table import UNDEFINED, measure
from graphtask.metrics.view import Options
from graphtask.pruning import prune
from graphtask.reading import ReadOptions, from_bytes, kept_its_stages

FILE = "file"
ERROR = "error"
SHA256 = "sha256"
KEPT_STAGES = "kept_stages"  # between processes only: whether the graph has other stages than those asked for
ORIGINS = ("data", "seed", "threshold")  # of the provenance

Row = dict[str, Any]

_STAGES = re.compile(r"_(\d+)(?=_|$)")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is done with every graph of a corpus; all that a row depends on, besides the file."""

    metrics: str | Sequence[str] = "paper"
    """A set of metrics, or their names."""
    options: Options = field(default_factory=Options)
    """What metrics need to know besides the graph."""
    reading: ReadOptions = field(default_factory=ReadOptions)
    """How graphs are read that are not as ours are."""
    threshold: float | None = None
    """The threshold at which graphs are pruned before they are measured."""

    @property
    def selection(self) -> Selection:
        """The metrics.

        Raises:
            ArgumentError: A metric is unknown.
        """
        return select(self.metrics, options=self.options)

    def to_json(self) -> str:
        """The settings as text: equal for equal settings."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Settings":
        """The settings that `to_json` wrote."""
        values = json.loads(text)
        return cls(
            metrics=values["metrics"],
            options=Options(**values["options"]),
            reading=ReadOptions(**values["reading"]),
            threshold=values["threshold"],
        )


def row_of(content: bytes, *, name: str, settings: Settings) -> Row:
    r"""The row of the graph in the bytes of a file: where it came from, its metrics, and why some are undefined.

    Raises:
        GraphtaskError: The graph cannot be read, or not be pruned.

    Example:
        >>> settings = Settings(metrics=["edges"], reading=ReadOptions(stages=1))
        >>> row_of(b"0 1\n1 2\n", name="a.edges", settings=settings)
        {'data': None, 'seed': None, 'threshold': None, 'edges': 2, 'undefined': ''}
    """
    graph = from_bytes(content, name=name, options=settings.reading)
    kept = {KEPT_STAGES: True} if kept_its_stages(graph, settings.reading.stages) else {}
    if settings.threshold is not None:
        graph = prune(graph, threshold=settings.threshold)
    known = provenance(graph)
    origins = {origin: _scalar(known.get(origin)) for origin in ORIGINS}
    values = measure(graph, metrics=settings.metrics, **asdict(settings.options))
    return origins | {column: _scalar(value) for column, value in values.items()} | kept


def sha256(content: bytes) -> str:
    """The SHA-256 of the bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def ordered_columns(seen: Iterable[str], settings: Settings) -> list[str]:
    """The columns of metrics of a table, in its order.

    Args:
        seen: The columns that its rows have, in any order.
        settings: How they were measured.

    Example:
        >>> ordered_columns(
        ...     ["nodes", "nodes_stage_1", "nodes_stage_0"], Settings(metrics=["nodes", "nodes_stage_k"])
        ... )
        ['nodes', 'nodes_stage_0', 'nodes_stage_1']
    """
    selection = settings.selection
    present = dict.fromkeys(
        column for column in seen if column not in {FILE, ERROR, SHA256, UNDEFINED, *ORIGINS}
    )
    plain = {metric.name for metric in selection.metrics if not metric.per_stage}
    stages = {int(text) for column in present if column not in plain for text in _STAGES.findall(column)}
    ordered = selection.columns(stages) if present else []
    return [*ordered, *(column for column in present if column not in set(ordered))]


def completed(row: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """The row of a measured graph with a value for every column; it says which stages the graph does not have."""
    missing = [column for column in columns if column not in row]
    if not missing or row.get(ERROR):
        return dict(row)
    reasons = [str(row[UNDEFINED]), *(f"{column}: the graph has no such stage" for column in missing)]
    return {**row, **dict.fromkeys(missing, float("nan")), UNDEFINED: "; ".join(filter(None, reasons))}


def _scalar(value: Any) -> Any:
    """The value as a cell of a table; what is no number, text or flag is shown as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, default=str)
