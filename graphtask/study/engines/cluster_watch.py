"""Is the head of a cluster still there? Found out beside the driver, because Ray itself waits for it without end."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_KNOCK = 10.0  # seconds for a server to take a connection
_PAUSE = 2.0  # seconds between two looks


class ClusterWatch:
    """Looks every two seconds whether the head of a cluster takes connections, and which nodes it has.

    Args:
        address: Of the head, ``host:port`` or ``ray://host:port``.
        look: Gives the nodes; may wait for the head.

    Example:
        >>> watch = ClusterWatch("127.0.0.1:1", list)
        >>> watch.nodes
        []
        >>> watch.stop()
    """

    def __init__(self, address: str, look: Callable[[], list[dict[str, Any]]]) -> None:
        self.address = address
        self.nodes = look()
        self._look = look
        self._seen = time.monotonic()
        self._is_over = threading.Event()
        threading.Thread(target=self._go_on, name="graphtask-cluster", daemon=True).start()

    def seconds_since_seen(self) -> float:
        """How long ago the head was there."""
        return time.monotonic() - self._seen

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()

    def _go_on(self) -> None:
        while not self._is_over.wait(_PAUSE):
            with contextlib.suppress(Exception):  # whatever Ray says of a head that is not there
                knock(self.address)
                self.nodes = self._look()
                self._seen = time.monotonic()


def knock(address: str) -> None:
    """See whether anybody takes connections at all.

    Args:
        address: ``host:port`` or ``ray://host:port``; of other words nothing is known.

    Raises:
        OSError: Nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK).close()
