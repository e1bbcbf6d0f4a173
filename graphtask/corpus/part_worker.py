"""Measurement of a part of a corpus, and the loop of a process that does so for another one.

A request is a part (`Part.to_dict`), its reply an `Ending`.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from graphtask.corpus.measure import rows_of
from graphtask.corpus.parts import Part, write_part
from graphtask.engines.protocol import Ending
from graphtask.errors import GraphtaskError
from graphtask.named import import_named
from graphtask.workers import Parent


def perform_values(values: Mapping[str, Any]) -> Ending:
    """Measure the graphs of a part, and write its file; every error becomes an `Ending`."""
    part = Part.from_dict(values)
    try:
        for module in part.modules:
            import_named(module)
        write_part(part, rows_of(part.entries, part.settings, is_isolated=part.is_isolated))
    except GraphtaskError as error:
        return Ending("failed", str(error))
    except Exception as error:  # noqa: BLE001 - one part never ends the others
        return Ending("failed", f"{part.path}: {type(error).__name__}: {' '.join(str(error).split())}")
    return Ending("finished")


def serve() -> None:
    """Measure the parts that the parent process sends until it ends."""
    parent = Parent("save")
    with contextlib.suppress(KeyboardInterrupt):
        for values, _ in parent.requests():
            parent.reply(perform_values(values)._asdict())
