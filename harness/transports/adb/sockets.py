"""Sockets whose time-outs count from the last byte that moved."""

import errno
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
    except OSError as error:
        raise _lost(error, peer) from error


def receive_some(connection: socket.socket, count: int, timeout_s: float, peer: str) -> bytes:
    """What has arrived, at most `count` bytes; nothing at the end. Raises as `send_all`."""
    try:
        connection.settimeout(timeout_s)
        return connection.recv(count)
    except OSError as error:
        raise _lost(error, peer) from error


def receive_exactly(connection: socket.socket, count: int, timeout_s: float, peer: str) -> bytes:
    """So many bytes. Raises as `send_all`, also at the end."""
    data = bytearray()
    while len(data) < count:
        chunk = receive_some(connection, count - len(data), timeout_s, peer)
        if not chunk:
            raise TargetLost(f"{peer} has closed the link")
        data += chunk
    return bytes(data)


def _lost(error: OSError, peer: str) -> Exception:
    """A time-out of ours stays one; the system's own is a broken link like any other."""
    if isinstance(error, TimeoutError) and error.errno != errno.ETIMEDOUT:
        return error
    return TargetLost(f"the link to {peer} broke: {error}")
