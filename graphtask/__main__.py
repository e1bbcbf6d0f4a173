"""``python -m graphtask`` runs the command line, which is a package of its own above the library."""

import runpy

runpy.run_module("graphtask_cli", run_name="__main__", alter_sys=True)
