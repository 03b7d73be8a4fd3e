"""Files by their content: what is on a device already need not be sent again."""

import hashlib
import re
from functools import cache
from pathlib import Path


def digest(local: Path) -> str:
    """The file's SHA-256; read again only where the file has changed."""
    state = local.stat()
    return _digest(local, state.st_mtime_ns, state.st_size)


@cache
def _digest(local: Path, _mtime_ns: int, _size: int) -> str:
    with local.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_by_content(local: Path) -> str:
    """What the file is called on a device."""
    suffix = local.suffix.lower()
    suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
    return f"{digest(local)[:16]}{suffix.replace('.tmp', '')}"
