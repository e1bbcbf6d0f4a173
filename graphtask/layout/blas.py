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
    """Limit the BLAS libraries of this process to one thread inside the context.

    The limit is global to the process: the first context sets it, and the last one restores it.

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
    """Return the controller of the BLAS threads; finding the libraries takes milliseconds."""
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
