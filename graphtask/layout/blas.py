"""One thread for linear algebra on small matrices: more of them mostly wait for each other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_inside = 0
_limit: Any = None
_lock = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the BLAS libraries of this process use one thread inside, and what they used before outside.

    The number belongs to the process: who comes in first sets it, and who goes out last sets it back.

    Example:
        >>> with one_thread():
        ...     pass
    """
    global _inside, _limit  # noqa: PLW0603 - the number of threads is global, too
    with _lock:
        if _inside == 0:
            _limit = _controller().limit(limits=1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _limit.restore_original_limits()


@cache
def _controller() -> Any:
    """What sets the number of threads of the libraries that are loaded; looking for them takes milliseconds."""
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
