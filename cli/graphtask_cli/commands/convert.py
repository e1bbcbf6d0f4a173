"""``graphtask convert``: a graph from one file format to another."""

from pathlib import Path
from typing import Any

import click

from graphtask_cli.messages import note
from graphtask_cli.options import command, examples, option, reading_options
from graphtask_cli.streams import is_stream, stream_content, write_stream


@command(
    epilog=examples(
        "cat cell.json | graphtask convert - cell.dot --from json --reading auto",
        "graphtask convert karate.gml karate.graphml --order ids --stages 3",
        "graphtask convert runs/full-0/trained.graphml trained.gexf",
    )
)
@click.argument("source", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-")
@click.argument("target", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-")
@option(
    "--from",
    "source_format",
    metavar="SUFFIX",
    help="Format of the input, if its name has none, such as json.",
)
@option(
    "--to", "target_format", metavar="SUFFIX", help="Format of the output, if its name has none, such as dot."
)
@reading_options
def convert(
    source: Path, target: Path, *, source_format: str | None, target_format: str | None, **reading: Any
) -> None:
    """Convert a graph file to another format.

    The suffixes of the names select the formats; - stands for standard input or output. Everything that the output
    format can carry is written; docs/formats.md lists what each format loses.
    """
    from graphtask.errors import GraphtaskError
    from graphtask.graph import provenance
    from graphtask.storage.content import about
    from graphtask.storage.formats import suffix
    from graphtask.storage.writers import to_bytes, write_bytes

    ending = _dotted(target_format) or suffix(target.name)
    try:
        graph = _graph(source, _dotted(source_format), reading)
        content = to_bytes(graph, suffix=ending)
    except GraphtaskError as error:
        message = str(error)
        raise type(error)(message if str(source) in message else about(source, error)) from None
    for line in provenance(graph).get("reading", []):
        note(f"{source}: {line}")
    if is_stream(target):
        write_stream(content)
    else:
        write_bytes(content, target)


def _dotted(form: str | None) -> str:
    return f".{form.lstrip('.').lower()}" if form else ""


def _graph(source: Path, form: str, reading: dict[str, Any]) -> Any:
    from graphtask.reading import ReadOptions, from_bytes
    from graphtask.storage.content import load

    if is_stream(source):
        if not form:
            raise click.UsageError("--from must name the format of standard input, such as --from json")
        content = stream_content()
    else:
        content = load(source)
    return from_bytes(content, name=f"graph{form}" if form else source.name, options=ReadOptions(**reading))
