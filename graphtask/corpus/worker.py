"""Measurement of one graph, and the loop of a process that measures graphs for another one.

The first request is ``{"settings": …, "modules": […]}``, its reply ``{}`` or ``{"failure": …}``. Each further request
is ``{"file": …, "path": …}``, or ``{"file": …, "size": n}`` with the n bytes of a file; its reply is a row.
"""

from collections.abc import Iterable
from typing import Any

from graphtask.corpus.rows import ERROR, SHA256, Row, Settings, row_of, sha256
from graphtask.errors import GraphtaskError
from graphtask.named import import_named
from graphtask.storage.content import about, load
from graphtask.workers import Parent, reserve_blas


def answer(file: str, *, path: str | None, content: bytes | None, settings: Settings) -> Row:
    """Return the row of one graph; if it cannot be measured, a row with the error.

    Args:
        file: Name of the graph in messages; its suffix selects the format.
        path: Location of the file, unless ``content`` is given.
        content: Bytes of the file.
        settings: What is done with the graph.
    """
    digest = ""
    try:
        found = load(path or file) if content is None else content
        digest = sha256(found)
        row = row_of(found, name=file, settings=settings)
    except GraphtaskError as error:
        return {ERROR: about(file, error), SHA256: digest}
    except Exception as error:  # noqa: BLE001 - one graph never ends the measurement of others
        return {ERROR: about(file, RuntimeError(f"{type(error).__name__}: {error}")), SHA256: digest}
    return row | {ERROR: "", SHA256: digest}


def serve() -> None:
    """Reply to requests until the parent process ends."""
    parent = Parent("exit")
    settings: Settings | None = None
    for values, content in parent.requests():
        if settings is None:
            settings = Settings.from_json(values["settings"])
            parent.reply({"failure": _failure(values["modules"], settings)})
        else:
            parent.reply(answer(values["file"], path=values.get("path"), content=content, settings=settings))


def _failure(modules: Iterable[str], settings: Settings) -> str:
    """Return why this process cannot measure; empty if it can."""
    try:
        reserve_blas()
        for module in modules:
            import_named(module)
        _: Any = settings.selection
    except GraphtaskError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a user's module may raise anything
        return f"{type(error).__name__}: {error}"
    return ""
