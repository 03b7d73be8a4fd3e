"""Sockets whose time-outs count from the last byte that moved."""

import socket

from harness.errors import TargetLost


def send_all(connection: socket.socket, data: bytes, timeout_s: float, peer: str) -> None:
    """Send all of it.

    Raises:
        TimeoutError: nothing moved for `timeout_s`.
        TargetLost: the connection broke.
    """
    left = memoryview(data)
    try:
        connection.settimeout(timeout_s)
        while left:
            left = left[connection.send(left) :]
    except TimeoutError:
        raise
    except OSError as error:
        raise TargetLost(f"the link to {peer} broke: {error}") from error


def receive_some(connection: socket.socket, count: int, timeout_s: float, peer: str) -> bytes:
    """What has arrived, at most `count` bytes; nothing at the end. Raises as `send_all`."""
    try:
        connection.settimeout(timeout_s)
        return connection.recv(count)
    except TimeoutError:
        raise
    except OSError as error:
        raise TargetLost(f"the link to {peer} broke: {error}") from error
