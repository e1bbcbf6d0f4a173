"""One row of the table of a corpus: origin of a graph, and its metrics."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import igraph
import numpy as np

from graphtask.graph import provenance
from graphtask.metrics.registry import Selection, select
from graphtask.metrics.table import UNDEFINED, measure
from graphtask.metrics.view import Options
from graphtask.priors.randomize import Preserve
from graphtask.pruning import prune
from graphtask.reading import ReadOptions, from_bytes, kept_its_stages
from graphtask.runs.labels import prior_label
from graphtask.terminal import valid_text

FILE = "file"
ERROR = "error"
SHA256 = "sha256"
READING = "reading"  # changes made while reading, from the provenance
TESTS = "tests"  # rows of a comparison with a null model
KEPT_STAGES = "kept_stages"  # between processes only: True if the graph has stages other than those requested
ORIGINS = ("dataset", "prior", "seed", "threshold")  # from the provenance

Row = dict[str, Any]

_STAGES = re.compile(r"_(\d+)(?=_|$)")


class NullModel(NamedTuple):
    """Random graphs to compare a graph with; arguments of `graphtask.inference.null_model_tests`."""

    n_nulls: int
    preserve: Preserve
    seed: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings for all graphs of a corpus; a row depends on them and on its file only."""

    metrics: str | Sequence[str] = "paper"
    """Name of a set of metrics, or names of metrics."""
    options: Options = field(default_factory=Options)
    """Arguments of metrics other than the graph."""
    reading: ReadOptions = field(default_factory=ReadOptions)
    """How to read graphs that lack stages, or have several inputs or outputs."""
    threshold: float | None = None
    """Threshold at which graphs are pruned first; None for no pruning."""
    relative: bool = False
    """True if the threshold is relative; see `graphtask.prune`."""
    null_model: "NullModel | None" = None
    """Random graphs to compare each graph with; None for none."""

    @property
    def selection(self) -> Selection:
        """Selected metrics.

        Raises:
            ArgumentError: A metric is unknown.
        """
        return select(self.metrics, options=self.options)

    def to_json(self) -> str:
        """Return the settings as text; equal settings give equal text."""
        values = asdict(self) | {"null_model": self.null_model and self.null_model._asdict()}
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Settings":
        """Return the settings from the text of `to_json`."""
        values = json.loads(text)
        return cls(
            metrics=values["metrics"],
            options=Options(**values["options"]),
            reading=ReadOptions(**values["reading"]),
            threshold=values["threshold"],
            relative=values["relative"],
            null_model=values["null_model"] and NullModel(**values["null_model"]),
        )


def row_of(content: bytes, *, name: str, settings: Settings) -> Row:
    r"""Return the row of a graph: its origin, its metrics, reasons for undefined ones, and changes while reading.

    Args:
        content: Bytes of the file.
        name: Name of the graph; its suffix selects the format.
        settings: What is done with the graph.

    Raises:
        GraphtaskError: The graph cannot be read or pruned.

    Example:
        >>> settings = Settings(metrics=["edges"], reading=ReadOptions(stages=1))
        >>> row_of(b"0 1\n1 2\n", name="a.edges", settings=settings)
        {'dataset': None, 'prior': None, 'seed': None, 'threshold': None, 'edges': 2, 'undefined': '', 'reading': ''}
    """
    graph = from_bytes(content, name=name, options=settings.reading)
    kept: Row = {KEPT_STAGES: True} if kept_its_stages(graph, settings.reading.stages) else {}
    if settings.threshold is not None:
        graph = prune(graph, threshold=settings.threshold, relative=settings.relative)
    known = provenance(graph)
    origins = {
        "dataset": _scalar(known.get("data")),
        "prior": valid_text(prior_label(known.get("prior"))) or None,
        "seed": _scalar(known.get("seed")),
        "threshold": _scalar(known.get("threshold")),
    }
    kept[READING] = valid_text("; ".join(known.get("reading", ())))
    if settings.null_model is not None:
        return origins | {TESTS: _tests(graph, settings, settings.null_model)} | kept
    values = measure(graph, metrics=settings.metrics, **asdict(settings.options))
    return origins | {column: _scalar(value) for column, value in values.items()} | kept


def sha256(content: bytes) -> str:
    """Return the SHA-256 of the bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def ordered_columns(seen: Iterable[str], settings: Settings) -> list[str]:
    """Return the columns of metrics, in the order of the table.

    Args:
        seen: Columns of its rows, in any order.
        settings: Settings of the measurement.

    Example:
        >>> ordered_columns(
        ...     ["nodes", "nodes_stage_1", "nodes_stage_0"], Settings(metrics=["nodes", "nodes_stage_k"])
        ... )
        ['nodes', 'nodes_stage_0', 'nodes_stage_1']
    """
    selection = settings.selection
    present = dict.fromkeys(
        column for column in seen if column not in {FILE, ERROR, SHA256, UNDEFINED, READING, *ORIGINS}
    )
    plain = {metric.name for metric in selection.metrics if not metric.per_stage}
    stages = {int(text) for column in present if column not in plain for text in _STAGES.findall(column)}
    ordered = selection.columns(stages) if present else []
    return [*ordered, *(column for column in present if column not in set(ordered))]


def completed(row: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """Return the row with a value for every column; NaN, with a reason, for stages that the graph lacks."""
    missing = [column for column in columns if column not in row]
    if not missing or row.get(ERROR):
        return dict(row)
    reasons = [str(row[UNDEFINED]), *(f"{column}: the graph has no such stage" for column in missing)]
    return {**row, **dict.fromkeys(missing, float("nan")), UNDEFINED: "; ".join(filter(None, reasons))}


def _tests(graph: igraph.Graph, settings: Settings, null_model: NullModel) -> list[Row]:
    """Return a row for each metric, tested against random graphs."""
    from graphtask.inference.null_model import null_model_tests  # a second for SciPy's statistics

    table = null_model_tests(
        graph, metrics=settings.metrics, **null_model._asdict(), **asdict(settings.options)
    )
    records = table.assign(mixed=table.attrs["mixing"]["is_mixed"]).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def _scalar(value: Any) -> Any:
    """Return the value as a cell of a table; anything but a number, text or bool as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return valid_text(value)
    if value is None or isinstance(value, int | float):
        return value
    return json.dumps(value, default=str)
