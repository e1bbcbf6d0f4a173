"""The edge history of a run; see `graphtask.history`."""

from graphtask.history import EdgeHistory, load_history

__all__ = ["EdgeHistory", "load_history"]
