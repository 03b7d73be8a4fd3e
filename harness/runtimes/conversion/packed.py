"""Several files as one of the cache."""

import io
from collections.abc import Mapping
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo


def packed(files: Mapping[str, bytes], *, smaller: bool = False) -> bytes:
    """A zip file of them; equal files give equal ones. `smaller` where much in them is repeated."""
    how = ZIP_DEFLATED if smaller else ZIP_STORED
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, each in files.items():
            archive.writestr(ZipInfo(name), each, how)  # without a date
    return content.getvalue()
