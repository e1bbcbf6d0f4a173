"""``python -m graphtask_cli`` and ``python -m graphtask`` are ``graphtask``; torchrun starts modules this way."""

from graphtask_cli.main import cli

cli(prog_name="graphtask")
