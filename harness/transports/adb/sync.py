"""Files to a phone and back, by adbd's sync service (AOSP, packages/modules/adb/SYNC.TXT)."""

import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from harness.errors import DeviceFull, TargetFailed, TargetLost
from harness.transports.adb.link import Link, Stream
from harness.transports.transport import Patience

HEADER = struct.Struct("<4sI")
LONGEST_DATA = 64 << 10  # of one DATA, by the protocol
DATA_AT_ONCE = 15  # so that they fill a packet of the link, 1 MiB
MODE = 0o100755
NO_ROOM = ("no space left", "quota exceeded")


def push(link: Link, local: Path, remote: str, patience: Patience) -> None:
    """Copy a file to the phone.

    Raises:
        DeviceFull: there is no room for it.
        TargetFailed: the phone cannot write it.
        TargetStalled, TargetLost
    """
    with closing(_open(link, patience)) as stream, local.open("rb") as file:
        _write(stream, _request(b"SEND", f"{remote},{MODE}"), patience)
        for chunk in _chunks(file):
            _write(stream, chunk, patience)
        _write(stream, HEADER.pack(b"DONE", 0), patience)
        reader = _Reader(stream, patience)
        kind, length = HEADER.unpack(reader.exactly(HEADER.size))
        if kind == b"FAIL":
            raise _refused(f"cannot write {remote}", reader, length)
        if kind != b"OKAY":
            raise TargetFailed("the phone's file service answers in no known form")


def pull(link: Link, remote: str, local: Path, patience: Patience) -> None:
    """Copy a file of the phone.

    Raises:
        TargetFailed: it cannot be read there.
        TargetStalled, TargetLost
    """
    with closing(_open(link, patience)) as stream, local.open("wb") as file:
        _write(stream, _request(b"RECV", remote), patience)
        reader = _Reader(stream, patience)
        while True:
            kind, length = HEADER.unpack(reader.exactly(HEADER.size))
            if kind == b"FAIL":
                raise _refused(f"cannot read {remote}", reader, length)
            if kind == b"DONE":
                return
            if kind != b"DATA" or length > LONGEST_DATA:
                raise TargetFailed("the phone's file service answers in no known form")
            file.write(reader.exactly(length))


def _open(link: Link, patience: Patience) -> Stream:
    with patience.waiting() as timeout_s:
        return link.open("sync:", timeout_s)


def _request(kind: bytes, text: str) -> bytes:
    return HEADER.pack(kind, len(text.encode())) + text.encode()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """The file as DATA messages, several at once."""
    while content := file.read(DATA_AT_ONCE * LONGEST_DATA):
        parts = [
            content[start : start + LONGEST_DATA] for start in range(0, len(content), LONGEST_DATA)
        ]
        yield b"".join(HEADER.pack(b"DATA", len(part)) + part for part in parts)


def _write(stream: Stream, data: bytes, patience: Patience) -> None:
    with patience.waiting() as timeout_s:
        stream.write(data, timeout_s)


class _Reader:
    """A stream read in known amounts."""

    def __init__(self, stream: Stream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience
        self._buffer = bytearray()

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            with self._patience.waiting() as timeout_s:
                chunk = self._stream.read(timeout_s)
            if not chunk:
                raise TargetLost("the phone ended a file transfer in the middle")
            self._buffer += chunk
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def _refused(what: str, reader: _Reader, length: int) -> Exception:
    """The error that a FAIL stands for."""
    reason = reader.exactly(min(length, LONGEST_DATA)).decode(errors="replace")
    if any(words in reason.lower() for words in NO_ROOM):
        return DeviceFull(f"the phone is full: {what}: {reason}; free some space on it")
    return TargetFailed(f"{what} on the phone: {reason}")
