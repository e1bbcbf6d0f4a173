"""What a process that only measures does before it loads anything large, so that it starts and runs fast."""

import os
import sys

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What tells the libraries of linear algebra how many threads to use."""


def prepare() -> None:
    """Make this process one that measures; without effect on what is loaded already.

    Linear algebra gets one thread, unless the environment says otherwise: the matrices are small, and threads wait
    for each other most of the time. And igraph is loaded without matplotlib, which it loads wherever it finds it, in
    more time than everything else takes.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")
    if sys.modules.keys().isdisjoint({"igraph", "matplotlib"}):
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # an import of it fails
        try:
            import igraph  # noqa: F401
        finally:
            del sys.modules["matplotlib"]
