"""Write docs/commands.md, the reference of the command line, from what ``--help`` says.

Run it after changing a command: ``.venv/bin/python docs/make_commands.py``. A test holds the page to the commands.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from graphtask_cli.command import SETTINGS
from graphtask_cli.main import cli

PAGE = Path(__file__).with_name("commands.md")
WIDTH = 90

_HEADER = """\
# Commands

Everything that `graphtask` does on the command line, as its `--help` tells it.
This page is made by `docs/make_commands.py`.
"""


def walk(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    """The command and all commands below it, each with the words that call it."""
    yield " ".join(names), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, *names, name)


def page() -> str:
    """The whole page."""
    return "\n".join([_HEADER, *(_section(name, command) for name, command in walk(cli, "graphtask"))])


def _section(name: str, command: click.Command) -> str:
    context = click.Context(
        command,
        info_name=name,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **SETTINGS,
    )
    return f"{'#' * (1 + min(2, len(name.split())))} {name}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
