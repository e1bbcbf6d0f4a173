"""The program ``graphtask``: the group of all commands.

Commands are imported when they are named, and import the library when they run, so that ``--help`` is instant.
"""

import click

try:
    from graphtask import __version__
    from graphtask.named import ignore_local_settings
    from graphtask_cli.command import LazyGroup
    from graphtask_cli.options import examples
except ImportError as error:
    if not (error.name or "").startswith("graphtask"):
        raise
    import graphtask  # the project called `graphtask` on PyPI has the same import name

    raise SystemExit(
        f"graphtask: the package imported from {graphtask.__path__[0]} is another one of the same name; "
        "remove both, and install this one: pip uninstall graphtask graphtask-nn; pip install graphtask-nn"
    ) from None

COMMANDS = (
    "new",
    "convert",
    "trace",
    "compile",
    "train",
    "path",
    "prune",
    "metrics",
    "sweep",
    "retrain",
    "compare",
    "dynamics",
    "check",
    "draw",
    "diff",
    "view",
    "report",
    "sample",
    "study",
    "demo",
)

_HELP = """Learn the wiring of neural networks as graphs.

Make a graph, train its network with an L1 penalty on the edges, prune the edges that the network does not use,
and measure the graph that remains.

Results go to standard output, messages to standard error. The exit status is 1 after an error, 2 after wrong
usage, and 130 after Ctrl-C.

\b
Completion of commands, options, files, data sets and metrics with the Tab
key: add this line to ~/.bashrc (for zsh, zsh_source and ~/.zshrc):
  eval "$(_GRAPHTASK_COMPLETE=bash_source graphtask)"
For fish, write the same into ~/.config/fish/completions/graphtask.fish:
  _GRAPHTASK_COMPLETE=fish_source graphtask | source
"""  # not a docstring: in a raw one, click does not recognize the mark that keeps lines as they are


@click.group(
    "graphtask",
    cls=LazyGroup,
    help=_HELP,
    names=COMMANDS,
    epilog=examples(
        "graphtask demo",
        "graphtask new full --nodes 12 --stages 3 -o full.graphml",
        "graphtask train full.graphml --data cdigits --channels 5 --epochs 16 --batch-size 32 --edge-l1 0.02 -o runs/full-0",
        "graphtask prune runs/full-0 -o pruned.graphml",
        "graphtask metrics pruned.graphml",
        "graphtask draw pruned.graphml -o pruned.svg",
    ),
)
@click.version_option(
    __version__, "-V", "--version", message="graphtask %(version)s", help="Print the version, and exit."
)
def cli() -> None:
    """Learn the wiring of neural networks as graphs."""
    ignore_local_settings()
