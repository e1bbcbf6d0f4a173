"""The command ``graphtask``: the group, and what all its commands do alike when something goes wrong.

Commands are imported when they are named, and import the library when they run, so that ``--help`` is instant.
"""

import errno
import importlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

import graphtask
from graphtask_cli.launch import process_rank
from graphtask_cli.options import examples

COMMANDS = (
    "new",
    "trace",
    "compile",
    "train",
    "prune",
    "metrics",
    "sweep",
    "retrain",
    "compare",
    "dynamics",
    "draw",
    "sample",
    "study",
    "demo",
)

INTERRUPTED = 130  # as the shell reports a program that Ctrl-C ended


class LazyGroup(click.Group):
    """A group whose commands live in ``graphtask_cli.commands``, a module of the same name for each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which they are used, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"graphtask_cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors become one line on stderr."""
        with _one_line_errors():
            return super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "graphtask demo",
        "graphtask new full --nodes 12 --stages 3 -o full.graphml",
        "graphtask train full.graphml --data cdigits --channels 4 --epochs 5 --out runs/full-0",
        "graphtask prune runs/full-0 --threshold 0.006 -o pruned.graphml",
        "graphtask metrics pruned.graphml",
        "graphtask draw pruned.graphml -o pruned.svg",
    ),
)
@click.version_option(graphtask.__version__, message="graphtask %(version)s")
def cli() -> None:
    """Which wiring does a neural network want?

    Graphs in, PyTorch networks out, and the trained graphs back: make a graph, train its network under a price on
    every connection, prune what the network does not want, and measure what remains.

    Results go to standard output, progress and messages to standard error. A command that fails says why in one
    line and exits with 1; one that was called wrongly exits with 2.
    """


@contextmanager
def _one_line_errors() -> Iterator[None]:
    from graphtask.errors import GraphtaskError, RunInterruptedError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that the terminal cannot show is no reason to fail
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted", status=INTERRUPTED)
    except RunInterruptedError as error:
        # Processes that train one run stop together; one of them says so.
        _leave(str(error) if process_rank() == 0 else "", status=INTERRUPTED)
    except GraphtaskError as error:
        _leave(f"error: {error}", status=1)
    except OSError as error:
        if error.errno == errno.EPIPE:  # click ends quietly when the reader of a pipe has gone
            raise
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _leave(f"error: {where}", status=1)


def _leave(message: str, *, status: int) -> None:
    line = " ".join(message.splitlines())
    if line:
        rank = process_rank()
        click.echo(f"graphtask: process {rank}: {line}" if rank else f"graphtask: {line}", err=True)
    raise click.exceptions.Exit(status)
