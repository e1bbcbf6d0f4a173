"""``python -m graphtask_cli`` is ``graphtask``; for programs that start modules, such as torchrun."""

from graphtask_cli.main import cli

cli(prog_name="graphtask")
