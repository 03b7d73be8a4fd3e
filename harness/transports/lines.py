"""What a program says, taken line by line."""

from harness.errors import TargetFailed

LONGEST_LINE = 1 << 27  # bytes: the times of some million runs


class Lines:
    """Bytes as they arrive."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._arrived = bytearray()
        self._searched = 0

    def add(self, chunk: bytes) -> None:
        self._arrived += chunk

    def take(self) -> str | None:
        """The next whole line, without its end; None where it has not arrived yet.

        Raises:
            TargetFailed: it does not end.
        """
        end = self._arrived.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._arrived)
            if self._searched > LONGEST_LINE:
                raise TargetFailed(
                    f"{self._who} says a line of more than {LONGEST_LINE >> 20} MB: it is no "
                    "program of ours"
                )
            return None
        line = self._arrived[:end].decode(errors="replace")
        del self._arrived[: end + 1]
        self._searched = 0
        return line
