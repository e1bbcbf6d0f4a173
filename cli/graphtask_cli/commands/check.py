"""``graphtask check``: verify the files of stored runs."""

from pathlib import Path

import click

from graphtask.validation import counted
from graphtask_cli.messages import problem, warn
from graphtask_cli.options import command, examples, format_option, option, runs_argument
from graphtask_cli.render import show
from graphtask_cli.tables import records_of


@command(
    epilog=examples(
        "graphtask check runs",
        "graphtask check runs --format json",
        "graphtask check old-runs --write",
    )
)
@runs_argument
@option(
    "--write",
    is_flag=True,
    help="Write the manifest of finished runs that have none (of earlier versions), after reading all of their files.",
)
@format_option
def check(paths: tuple[Path, ...], *, write: bool, form: str) -> None:
    """Verify every file of stored runs against their manifests.

    A folder stands for the runs in it. A finished run has a manifest with the SHA-256 sum of each of its files; the
    checkpoints of an unfinished run have sums of their own. Prints one row per run: intact, damaged, unfinished,
    unverified (no manifest) or unreadable.

    The exit status is 1 if a run is damaged, unverified or unreadable.
    """
    import graphtask as gt

    table = gt.check_runs(paths, write=write)
    for message in table["message"]:
        if message:
            warn(message)
    show(records_of(table.drop(columns="message") if form == "table" else table), form=form)
    n_bad = int(table["status"].isin(["damaged", "unverified", "unreadable"]).sum())
    if n_bad:
        problem(f"{counted(n_bad, 'run')} of {len(table)} not intact")
        raise click.exceptions.Exit(1)
