"""A process that measures graphs for another one: requests come in on stdin, rows go out on stdout.

The first line is `Start` as JSON; the answer is ``{}`` or ``{"failure": …}``. Then every request is a line of JSON,
``{"path": …}``, or ``{"name": …, "size": n}`` followed by the n bytes of a file, and every answer is one, too.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterable
from typing import IO, Any

from graphtask.corpus.rows import ERROR, SHA256, Row, Settings, row_of, sha256
from graphtask.errors import GraphtaskError
from graphtask.storage.content import about, load


def answer(file: str, *, path: str | None, content: bytes | None, settings: Settings) -> Row:
    """The row of one graph; if it cannot be measured, a row with the error.

    Args:
        file: What the graph is called in messages; the suffix says how to read it.
        path: Where it is, unless its bytes are given.
        content: Its bytes.
        settings: What is done with it.
    """
    digest = ""
    try:
        found = load(path or file) if content is None else content
        digest = sha256(found)
        row = row_of(found, name=file, settings=settings)
    except GraphtaskError as error:
        return {ERROR: about(file, error), SHA256: digest}
    except Exception as error:  # noqa: BLE001 - one graph never takes the others down
        return {ERROR: about(file, RuntimeError(f"{type(error).__name__}: {error}")), SHA256: digest}
    return row | {ERROR: "", SHA256: digest}


def serve() -> None:
    """Answer requests until there are none."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints is not to be taken for an answer
    try:
        start = json.loads(requests.readline() or "null")
        if start is None:
            return
        settings = Settings.from_json(start["settings"])
        _reply(answers, {"failure": _failure(start["modules"], settings)})
        while line := requests.readline():
            request = json.loads(line)
            size = request.get("size")
            content = None if size is None else requests.read(size)
            row = answer(request["file"], path=request.get("path"), content=content, settings=settings)
            _reply(answers, row)
    except (BrokenPipeError, KeyboardInterrupt):
        return


def _failure(modules: Iterable[str], settings: Settings) -> str:
    """Why the metrics cannot be computed here, or nothing."""
    try:
        for module in modules:
            importlib.import_module(module)
        _ = settings.selection
    except Exception as error:  # noqa: BLE001 - a module of somebody else may raise anything
        return f"{type(error).__name__}: {error}"
    return ""


def _reply(answers: IO[bytes], value: dict[str, Any]) -> None:
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()
