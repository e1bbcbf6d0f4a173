"""Watch whether the head of a cluster replies, in a thread, because Ray itself waits for it forever."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_KNOCK = 10.0  # seconds for a server to accept a connection
_PAUSE = 2.0  # seconds between two looks


class ClusterWatch:
    """Thread that checks every two seconds whether the head of a cluster accepts connections, and lists its nodes.

    Args:
        address: Address of the head, ``host:port`` or ``ray://host:port``.
        look: Returns the nodes; may wait for the head.

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
        threading.Thread(target=self._watch, name="graphtask-cluster", daemon=True).start()

    def seconds_since_seen(self) -> float:
        """Return the seconds since the head last replied."""
        return time.monotonic() - self._seen

    def stop(self) -> None:
        """End the thread."""
        self._is_over.set()

    def _watch(self) -> None:
        while not self._is_over.wait(_PAUSE):
            with contextlib.suppress(Exception):  # Ray raises errors of many types for a lost head
                knock(self.address)
                self.nodes = self._look()
                self._seen = time.monotonic()


def knock(address: str) -> None:
    """Check that a server accepts connections at an address.

    Args:
        address: ``host:port`` or ``ray://host:port``; other texts are not checked.

    Raises:
        OSError: There is none.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK).close()
