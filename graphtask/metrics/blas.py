"""One thread for linear algebra on small matrices: more of them mostly wait for each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the BLAS libraries of this process use one thread inside, and what they used before outside.

    The number belongs to the process; while one thread of Python is inside, others that come in change nothing.

    Example:
        >>> with one_thread():
        ...     pass
    """
    with _controller().limit(limits=1):
        yield


@cache
def _controller() -> Any:
    """What sets the number of threads of the libraries that are loaded; looking for them takes milliseconds."""
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
