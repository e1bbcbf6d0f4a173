"""``graphtask metrics``: one row of numbers for each graph."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphtask_cli.options import (
    examples,
    format_option,
    join_option,
    out_option,
    stages_option,
    threshold_option,
)
from graphtask_cli.output import check_table_path, note, progress, show, write_table
from graphtask_cli.sources import Source, expand, named

if TYPE_CHECKING:
    import igraph

_ORIGINS = ("data", "seed", "threshold")  # of the provenance
_SHOWN_REASONS = 10


@click.command(
    epilog=examples(
        "graphtask metrics fixtures/graphs/*.graphml --channels 11",
        "graphtask metrics runs --threshold 0.006 -o features.csv",
        "graphtask metrics --list",
    )
)
@click.argument("paths", type=click.Path(path_type=Path), metavar="GRAPH|RUN|FOLDER...", nargs=-1)
@click.option(
    "--list", "list_metrics", is_flag=True, help="Print what can be measured, and its formulas, and stop."
)
@click.option(
    "--metrics",
    "names",
    default="paper",
    show_default=True,
    metavar="SET|NAMES",
    help="What is measured: a set, or names with commas between them; see --list.",
)
@click.option(
    "--channels",
    type=int,
    help="Channels of stage 0, for the parameters.  [default: those it was trained with]",
)
@click.option(
    "--layout-starts",
    type=int,
    default=1,
    show_default=True,
    help="Starts of the layout behind pca_elongation.",
)
@threshold_option(default=None, text="Prune the graphs with this threshold first.")
@stages_option(foreign=True)
@join_option
@click.option(
    "--strict", is_flag=True, help="Exit with 1 if any graph cannot be measured, not only if all cannot."
)
@out_option(text="Write the table to a .csv, .json or .parquet file instead of printing it.")
@format_option
def metrics(
    paths: tuple[Path, ...],
    *,
    list_metrics: bool,
    names: str,
    channels: int | None,
    layout_starts: int,
    threshold: float | None,
    stages: int | Sequence[int] | None,
    join: bool,
    strict: bool,
    out: Path | None,
    form: str,
) -> None:
    """Measure graphs: one row for each, in the order given.

    A folder stands for the graph files and the runs in it, a run for its trained graph. A file that cannot be read
    gets a row that says why. Tables are rounded for people; --format csv and json, and files, have every digit.
    """
    import graphtask as gt

    if list_metrics:
        show(_known_metrics(), form=form)
        return
    if not paths:
        raise click.UsageError("name at least one graph file, run or folder; or ask for --list")
    if out is not None:
        check_table_path(out)
    batch = _Batch(expand(paths), threshold=threshold, stages=stages, join=join)
    selection = [name.strip() for name in names.split(",")] if "," in names else names
    table = gt.measure_all(batch.graphs(), metrics=selection, channels=channels, layout_starts=layout_starts)
    records = batch.records(
        [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    )
    if out is not None:
        write_table(records, out)
        click.echo(f"{out}: {len(table)} graphs")
    elif form == "table":
        show(_for_people(records), form=form)
    else:
        show(records, form=form)
    if batch.errors and (strict or len(table) == 0):
        raise click.exceptions.Exit(1)


class _Batch:
    """Graphs read one after the other; the ones that cannot be read are put aside with the reason."""

    def __init__(self, sources: list[Source], *, threshold: float | None, **reading: Any) -> None:
        self.errors: dict[int, str] = {}
        self._origins: dict[int, dict[str, Any]] = {}
        self._sources = sources
        self._threshold = threshold
        self._reading = reading

    def graphs(self) -> Iterator["igraph.Graph"]:
        """The graphs that can be read."""
        import graphtask as gt

        with progress(visible=len(self._sources) > 1) as bar:
            for index, source in enumerate(bar.track(self._sources, description="measuring")):
                try:
                    graph = self._graph(source)
                except (gt.GraphtaskError, OSError) as error:
                    self.errors[index] = " ".join(str(error).splitlines())
                    note(f"error: {self.errors[index]}")
                    continue
                known = gt.provenance(graph)
                self._origins[index] = {name: known[name] for name in _ORIGINS if name in known}
                yield graph

    def records(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One record for each source, in its place: the measured row, or the error."""
        origins = [name for name in _ORIGINS if any(name in origin for origin in self._origins.values())]
        measured = iter(rows)
        records = []
        for index, source in enumerate(self._sources):
            record: dict[str, Any] = {"graph": source.label}
            if index not in self.errors:
                record |= {name: self._origins[index].get(name) for name in origins}
                record |= next(measured)
            if self.errors:
                record["error"] = self.errors.get(index, "")
            records.append(record)
        return records

    def _graph(self, source: Source) -> "igraph.Graph":
        import graphtask as gt

        graph = gt.read(source.path, **self._reading)
        if self._threshold is None:
            return graph
        with named(source.path):
            return gt.prune(graph, threshold=self._threshold)


def _for_people(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without their sentences; why values are undefined is said beside the table."""
    graphs: dict[str, list[str]] = {}
    for record in records:
        for reason in filter(None, str(record.get("undefined") or "").split("; ")):
            graphs.setdefault(reason, []).append(record["graph"])
    for reason, labels in list(graphs.items())[:_SHOWN_REASONS]:
        note(f"{reason} ({labels[0] if len(labels) == 1 else f'{len(labels)} graphs'})")
    if len(graphs) > _SHOWN_REASONS:
        note(f"… and {len(graphs) - _SHOWN_REASONS} more; --format csv lists them in the column undefined")
    return [
        {name: value for name, value in record.items() if name not in {"undefined", "error"}}
        for record in records
    ]


def _known_metrics() -> list[dict[str, Any]]:
    from graphtask.metrics.registry import all_metrics

    return [
        {
            "name": metric.name,
            "formula": metric.formula,
            "range": f"{metric.low:g} … {metric.high:g}",
            "sets": ", ".join(metric.sets),
        }
        for metric in all_metrics()
    ]
