"""Programs run through adbd's shell service, version 2: exit status, and stderr apart.

Frames are `<BI` (id, length) and that many bytes (AOSP, packages/modules/adb/shell_protocol.h).
The libraries at hand either lack this or have no time-outs of their own.
"""

import shlex
import struct
from collections.abc import Sequence
from contextlib import closing, suppress

from harness.errors import TargetFailed, TargetLost
from harness.transports.adb.link import Link, Stream
from harness.transports.transport import Finished, Patience, check_output

HEADER = struct.Struct("<BI")
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
LONGEST_FRAME = 1 << 20


def run_shell(link: Link, argv: Sequence[str], stdin: bytes, patience: Patience) -> Finished:
    """Run a program on the phone to its end.

    If it takes too long adbd hangs up on it with the stream: `exec` makes sure that this reaches
    the program, not only a shell in front of it.

    Raises:
        TargetStalled, TargetLost, TargetFailed
    """
    with patience.waiting() as timeout_s:
        stream = link.open(f"shell,v2,raw:exec {shlex.join(argv)}", timeout_s)
    with closing(stream):
        with suppress(TargetLost):  # it has ended without reading all; what it said is still there
            for start in range(0, len(stdin), LONGEST_FRAME):
                _send(stream, STDIN, stdin[start : start + LONGEST_FRAME], patience)
            _send(stream, CLOSE_STDIN, b"", patience)
        return _finish(stream, patience)


def start_shell(link: Link, argv: Sequence[str], patience: Patience) -> tuple[Stream, str]:
    """A program that runs until the stream is closed, and the first line it says.

    Raises:
        TargetStalled, TargetLost, TargetFailed
    """
    with patience.waiting() as timeout_s:
        stream = link.open(f"shell,v2,raw:exec {shlex.join(argv)}", timeout_s)
    output, buffer = b"", b""
    while b"\n" not in output:
        with patience.waiting() as timeout_s:
            chunk = stream.read(timeout_s)
        if not chunk:
            break
        buffer += chunk
        while len(buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer)
            if length > LONGEST_FRAME:
                raise TargetFailed("the phone's shell answers in no known form")
            if len(buffer) < HEADER.size + length:
                break
            output += buffer[HEADER.size : HEADER.size + length] if kind == STDOUT else b""
            if len(output) > LONGEST_FRAME:
                raise TargetFailed("the phone's shell does not end its first line")
            buffer = buffer[HEADER.size + length :]
            if kind == EXIT:
                return stream, output.decode(errors="replace").partition("\n")[0]
    return stream, output.decode(errors="replace").partition("\n")[0]


def _send(stream: Stream, kind: int, data: bytes, patience: Patience) -> None:
    with patience.waiting() as timeout_s:
        stream.write(HEADER.pack(kind, len(data)) + data, timeout_s)


def _finish(stream: Stream, patience: Patience) -> Finished:
    output = {STDOUT: bytearray(), STDERR: bytearray()}
    buffer = bytearray()
    while True:
        with patience.waiting() as timeout_s:
            chunk = stream.read(timeout_s)
        if not chunk:
            raise TargetLost("the phone ended the command without an exit status")
        buffer += chunk
        while len(buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer)
            if kind not in (STDOUT, STDERR, EXIT) or not 0 < length <= LONGEST_FRAME:
                raise TargetFailed("the phone's shell answers in no known form")
            end = HEADER.size + length
            if len(buffer) < end:
                break
            data = bytes(buffer[HEADER.size : end])
            del buffer[:end]
            if kind == EXIT:
                return Finished(data[0], bytes(output[STDOUT]), bytes(output[STDERR]))
            output[kind] += data
        check_output(output.values())
