"""What `stat` and `df` on a device say of files and room."""

from collections.abc import Iterable

from harness.transports.plausible import FILE_BYTES, whole


def sizes_of(rows: Iterable[str]) -> dict[str, int]:
    """Bytes by name, of rows of `stat -c "%s %n"`; others are left out."""
    pairs = [row.split(maxsplit=1) for row in rows]
    sizes = {pair[1]: whole(pair[0], FILE_BYTES) for pair in pairs if len(pair) == 2}
    return {name: size for name, size in sizes.items() if size is not None}


def free_mb_of(answer: str) -> float | None:
    """What `df -k` says is available: the third of the numbers in a row; None where it does not."""
    row: list[int] = []
    for word in answer.split():
        kilobytes = whole(word, FILE_BYTES)
        row = [] if kilobytes is None else [*row, kilobytes]
        if len(row) == 3:
            return row[2] / 1024
    return None
