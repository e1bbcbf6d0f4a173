"""Tables of a comparison with a null model: one row for each metric of each graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphtask.validation import counted
from graphtask_cli.messages import note, say, warn
from graphtask_cli.render import show
from graphtask_cli.sources import labels
from graphtask_cli.spool import Spool
from graphtask_cli.tables import write_table

_MIXED = "mixed"
_EXCLUDED = "excluded"
_HIDDEN = {_MIXED, _EXCLUDED, "reading", "error", "file", "sha256"}  # from people


def publish_tests(spool: Spool, files: Sequence[str], *, out: Path | None, form: str) -> None:
    """Write or print the tests of all graphs.

    Args:
        spool: Rows of `graphtask.corpus.measure.measure_entries`.
        files: Names of the graphs.
        out: File of the table; None for standard output.
        form: ``table``, ``csv`` or ``json``.
    """
    records = [
        record
        for label, row in zip(labels(files), spool.rows(), strict=True)
        for record in _records(label, row)
    ]
    for label in dict.fromkeys(record["graph"] for record in records if record.get(_MIXED) is False):
        warn(f"{label}: the random graphs depend on each other, because their Markov chain has not mixed")
    if out is not None:
        write_table(records, out)
        say(f"{out}: {counted(len(files), 'graph')}")
    elif form == "table":
        _show_to_people(records, n_graphs=len(files))
    else:
        show(records, form=form)


def _records(label: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    from graphtask.corpus.rows import ERROR, FILE, ORIGINS, READING, SHA256, TESTS

    origins = {name: row.get(name) for name in ORIGINS}
    ends = {READING: row.get(READING), ERROR: row[ERROR], FILE: row[FILE], SHA256: row[SHA256]}
    return [{"graph": label, **origins, **test, **ends} for test in row.get(TESTS, [{}])]


def _show_to_people(records: list[dict[str, Any]], *, n_graphs: int) -> None:
    tested = [record for record in records if "metric" in record and not record[_EXCLUDED]]
    used = {name for record in tested for name, value in record.items() if value is not None} - _HIDDEN
    if n_graphs == 1:
        used -= {"graph"}
    show([{name: value for name, value in record.items() if name in used} for record in tested], form="table")
    excluded = [record for record in records if record.get(_EXCLUDED)]
    if excluded:
        metrics = list(dict.fromkeys(record["metric"] for record in excluded))
        where = "" if n_graphs == 1 else " for some graphs"
        note(f"{counted(len(metrics), 'metric')} not tested{where}; see the column excluded of --format csv")
