"""Everything that is printed apart from results: messages, progress bars, proposed commands.

Standard error gets messages, standard output results. Every text passes through `shown`, because names of files,
archive members and provenance may hold escape sequences.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graphtask.terminal import shown
from graphtask_cli.launch import process_rank

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET = "graphtask.quiet"  # keys of click's context, which all commands of a call share
VERBOSE = "graphtask.verbose"

_PYTHON_AND_OPTION = re.compile(r"(?:[\w.]+=\S+ )+\(on the command line: (--[^)]+)\)")

_ARGUMENT = re.compile(r"\b([a-z]+)= \(")

SHOWN_MESSAGES = 10  # of one kind; a count stands for the rest


def note(message: object) -> None:
    """Print a message about the work; -q hides it."""
    if not is_quiet():
        _print(str(message))


def warn(message: object) -> None:
    """Print a message that changes how the result is read; -q does not hide it."""
    _print(str(message))


def problem(message: object) -> None:
    """Print an error, of the whole command or of one of its items."""
    _print(f"error: {message}")


def warn_of_each(messages: Iterable[object], *, prefix: str = "", rest: str = "") -> None:
    """Print the first messages, and the number of the others.

    Args:
        messages: Any number of them.
        prefix: Put in front of each.
        rest: Names the place that has all messages.
    """
    every = list(messages)
    for message in every[:SHOWN_MESSAGES]:
        warn(f"{prefix}{message}")
    if len(every) > SHOWN_MESSAGES:
        warn(f"{prefix}… and {len(every) - SHOWN_MESSAGES:,} more{rest}")


def say(line: object) -> None:
    """Print one line of the result on standard output."""
    click.echo(shown(line))


def is_quiet() -> bool:
    """Return True if -q was passed to the running command or to the group."""
    return _is_set(QUIET)


def is_verbose() -> bool:
    """Return True if -v was passed to the running command or to the group."""
    return _is_set(VERBOSE)


def proposal(*words: object) -> str:
    """Return a call of this program that can be pasted into a shell.

    The program is ``graphtask`` if the shell finds this installation by that name, else its path.
    """
    return shlex.join([*_program(), *map(str, words)])


def progress(*, visible: bool = True) -> "Progress":
    """Return a progress bar on standard error; without a terminal, and with -q, it displays nothing."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    shows = visible and console.is_terminal and not is_quiet()
    return Progress(console=console, transient=True, disable=not shows)


def _print(message: str) -> None:
    rank = process_rank()
    place = f"graphtask: process {rank}: " if rank else "graphtask: "
    message = _PYTHON_AND_OPTION.sub(r"\1", " ".join(message.splitlines()))
    message = _ARGUMENT.sub(r"--\1 (", message)
    click.echo(place + shown(message), err=True)


def _is_set(key: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(key))


def _program() -> list[str]:
    found, called = shutil.which("graphtask"), Path(sys.argv[0])
    if called.name == "graphtask":
        is_other = found is not None and called.exists() and not called.samefile(found)
        return [str(called)] if is_other or (found is None and called.exists()) else ["graphtask"]
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return ["graphtask"]
    return [sys.executable, "-m", "graphtask"]
