"""Several files as one of the cache."""

import io
from collections.abc import Mapping
from zipfile import ZipFile, ZipInfo


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip file of them; equal files give equal ones."""
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, each in files.items():
            archive.writestr(ZipInfo(name), each)  # without a date
    return content.getvalue()
