"""Watching the processes that a test has started."""

import time

import psutil

PATIENCE = 300
"""Seconds; on a machine that is busy a process takes many of them to begin."""


PLANTED = (
    "json",
    "torch",
    "igraph",
    "numpy",
    "scipy",
    "pandas",
    "sitecustomize",
    "usercustomize",
    "graphtask",
)


def plant(folder, *, mark):
    """Write modules with the names of others that leave a file when they are imported; returns that file."""
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r} + '\\n')")
    return mark


def wait_until(condition):
    """Wait until a function gives something true, and give that back."""
    end = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < end, "nothing has happened for too long"
        time.sleep(0.05)
    return result


def children(pid):
    """The processes that a process has started and that are still there; none if it is gone itself."""
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


def are_gone(processes):
    """Whether none of them is there any more, as a zombie neither."""
    return not any(process.is_running() for process in processes)
