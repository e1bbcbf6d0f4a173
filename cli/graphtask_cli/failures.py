"""Errors on the command line: one line each, in the words of the caller, and an exit status."""

import errno
import io
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from graphtask.errors import GraphtaskError, RunInterruptedError
from graphtask.terminal import shown_lines
from graphtask_cli.launch import process_rank
from graphtask_cli.messages import is_verbose, problem, warn

FAILED = 1
MISUSED = 2
INTERRUPTED = 130  # as the shell reports a program that Ctrl-C ended


@contextmanager
def in_one_line() -> Iterator[None]:
    """Turn errors of the block into one line on standard error.

    Raises:
        Exit: An error was printed; its status is 1, 2 for wrong usage, or 130 for an interruption.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot display must not fail
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    except click.exceptions.Exit:
        raise
    except KeyboardInterrupt:
        warn("interrupted")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except RunInterruptedError as error:
        if process_rank() == 0:  # processes that train one run stop together
            warn(error)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        raise click.exceptions.Exit(MISUSED) from None
    except click.ClickException as error:
        _end(error, usage_message(error), status=error.exit_code)
    except GraphtaskError as error:
        _end(error, str(error), status=FAILED)
    except MemoryError as error:
        _end(error, f"memory ran out{f' ({error})' if str(error) else ''}; use smaller inputs", status=FAILED)
    except OSError as error:
        if error.errno == errno.EPIPE:  # click ends quietly when the reader of a pipe has gone
            raise
        _end(error, f"{error.filename}: {error.strerror}" if error.filename else str(error), status=FAILED)


def usage_message(error: click.ClickException) -> str:
    """Return click's error in the style of all messages, with the command whose help to read."""
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        message = f"unknown option {error.option_name}{near}"
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        kind = "argument" if isinstance(error.param, click.Argument) else "option"
        message = f"missing {kind} {_called(error.param)}"
    context = getattr(error, "ctx", None)
    return f"{message} (see {context.command_path} --help)" if context else message


def renamed(message: str, params: Iterable[click.Parameter], argument: str = "") -> str:
    """Return a message of the library with the options of the command in place of Python's names.

    Args:
        message: The text of the error.
        params: Parameters of the command.
        argument: The invalid argument; a name that is an English word too is replaced only if it is this one.

    Example:
        >>> nodes = click.Option(["--nodes", "n_nodes"])
        >>> renamed("n_nodes must be an integer >= 2, got 1", [nodes], "n_nodes")
        '--nodes must be an integer >= 2, got 1'
    """
    for param in params:
        if param.name and (param.name == argument or "_" in param.name):
            name = re.compile(rf"(?<![\w./'-]){re.escape(param.name)}(?![\w/'-]|\.\w)")
            called = _called(param).replace("\\", r"\\")
            message = name.sub(called, message, count=int("_" not in param.name))
    return message


def _called(param: click.Parameter) -> str:
    """Return the long name of an option, or the metavar of an argument."""
    if isinstance(param, click.Argument):
        return (param.metavar or str(param.name).upper()).removesuffix("...")
    return max(param.opts, key=len)


def _end(error: Exception, message: str, *, status: int) -> None:
    if is_verbose():
        click.echo(shown_lines("".join(traceback.format_exception(error)).rstrip()), err=True)
    problem(message)
    raise click.exceptions.Exit(status) from None


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if is_verbose() or issubclass(category, UserWarning):
        warn(f"warning: {message}")
