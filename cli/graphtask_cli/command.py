"""Classes of all commands: options in sections, -q and -v, suggestions, and one style of error."""

import difflib
import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from graphtask.errors import ArgumentError
from graphtask_cli.failures import in_one_line, renamed
from graphtask_cli.messages import QUIET, VERBOSE

SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "show_default": True}

OPTIONS = "Options"
"""Section of the options that belong to one command only."""

SECTIONS = (
    OPTIONS,
    "Data",
    "Model",
    "Optimization",
    "Pruning",
    "Null model",
    "Reading graphs",
    "Runtime",
    "Output",
)
"""Sections in the order of the help text."""


class Option(click.Option):
    """An option in a section of the help text.

    Args:
        section: One of `SECTIONS`.
    """

    def __init__(self, *args: Any, section: str = OPTIONS, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


def verbosity_options() -> list[click.Parameter]:
    """Return -q and -v, which every command and every group has."""

    def set_key(key: str) -> Callable[[click.Context, click.Parameter, bool], None]:
        def callback(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
            if value:
                ctx.meta[key] = True

        return callback

    shared: dict[str, Any] = {"is_flag": True, "expose_value": False, "section": "Output"}
    return [
        Option(
            ["-q", "--quiet"],
            callback=set_key(QUIET),
            help="Print results, warnings and errors only.",
            **shared,
        ),
        Option(
            ["-v", "--verbose"],
            callback=set_key(VERBOSE),
            help="Print the traceback of an error and every Python warning.",
            **shared,
        ),
    ]


def _completed(
    *,
    params: Sequence[click.Parameter] | None = None,
    context_settings: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> dict[str, Any]:
    """Return the attributes of a command, with the options and settings that all commands share."""
    return {
        "params": [*(params or ()), *verbosity_options()],
        "context_settings": {**SETTINGS, **(context_settings or {})},
        **attributes,
    }


class Command(click.Command):
    """A command whose help has sections and whose errors name its options."""

    def __init__(self, name: str | None, **attributes: Any) -> None:
        super().__init__(name, **_completed(**attributes))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Raises:
            UsageError: The library refused an argument that an option of this command sets.
        """
        try:
            return super().invoke(ctx)
        except ArgumentError as error:
            message = renamed(str(error), self.params, error.argument)
            if any(param.name == error.argument for param in self.params):
                raise click.UsageError(message, ctx) from error
            raise ArgumentError(message) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their sections."""
        write_sections(self, ctx, formatter)


class Group(click.Group):
    """A group of `Command` objects; mistyped names get a suggestion."""

    command_class = Command
    group_class = type

    def __init__(self, name: str | None, **attributes: Any) -> None:
        super().__init__(name, **_completed(**attributes))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of their definition."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name.

        Raises:
            UsageError: It is unknown; the message has the nearest name.
        """
        name = args[0]
        command = self.get_command(ctx, name)
        if command is not None:
            return name, command, args[1:]
        if name.startswith("-") and not ctx.resilient_parsing:
            raise click.NoSuchOption(name, ctx=ctx)
        if ctx.resilient_parsing:
            return None, None, args[1:]
        near = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"unknown command {name!r}{meant}", ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        write_sections(self, ctx, formatter)


class LazyGroup(Group):
    """A group whose commands live in ``graphtask_cli.commands``, a module of the same name for each.

    Args:
        names: The commands in the order of use.
    """

    def __init__(self, name: str | None, *, names: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.names = tuple(names)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of use."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command."""
        if cmd_name not in self.names:
            return None
        command = getattr(importlib.import_module(f"graphtask_cli.commands.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program; every error becomes one line on standard error, and an exit status."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            with in_one_line():
                status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.Exit as end:
            status = end.exit_code
        return sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command while its context is at hand for messages."""
        with in_one_line():
            return super().invoke(ctx)


def write_sections(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options of a command in the order of `SECTIONS`."""
    records: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None and isinstance(param, click.Option):
            records[getattr(param, "section", "Output")].append(record)
    if set(records) == {"Output"}:
        records = defaultdict(list, {OPTIONS: records["Output"]})
    for section in dict.fromkeys((*SECTIONS, *records)):
        if records[section]:
            with formatter.section(section):
                formatter.write_dl(records[section])
