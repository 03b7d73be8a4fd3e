"""A table with all that stands behind it, as one file to give away: profile, raw journals, hashes.

A zip archive with `manifest.json`, which has the SHA-256 of each part. Whoever unpacks it knows
that it is whole, not who made it.
"""

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from harness import files
from harness.errors import FileFormatError, TableError
from harness.schema import FileName, checked
from harness.tables.table import Table

SCHEMA = 1
TABLE, MANIFEST, PROFILE, JOURNALS = "table.jsonl", "manifest.json", "profile.toml", "journals/"
_PART = re.compile(
    rf"{re.escape(TABLE)}|{re.escape(PROFILE)}|{JOURNALS}[A-Za-z0-9][\w.+-]{{0,200}}", re.ASCII
)
_MOST = 1000  # parts
_LARGEST = 200_000_000  # bytes of all
_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


class _Manifest(TypedDict):
    kind: Literal["table-package"]
    schema: int
    version: str  # of harness
    device: FileName
    space: FileName
    parts: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]


@dataclass(frozen=True)
class Package:
    """What is in the file."""

    version: str
    table: Table
    parts: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """Of all parts: what two who have the same package can read out to each other."""
        return hashlib.sha256(json.dumps(_hashes(self.parts)).encode()).hexdigest()


def pack(path: Path, version: str, table: Table, parts: Mapping[str, bytes]) -> Package:
    """Write the package; `parts` by their names in it, of which `TABLE` is one."""
    manifest: _Manifest = {
        "kind": "table-package",
        "schema": SCHEMA,
        "version": version,
        "device": table.device,
        "space": table.space,
        "parts": _hashes(parts),
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        first = {MANIFEST: json.dumps(manifest, indent=1).encode()}
        for name, part in (first | dict(sorted(parts.items()))).items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), part, zipfile.ZIP_DEFLATED)
    files.replace_atomically(path, content.getvalue())
    return Package(version, table, parts)


def unpack(path: Path) -> Package:
    """Read a package; nothing is written.

    Raises:
        TableError: it is none, not whole, or would unpack to too much.
    """
    try:
        files.check_regular(path)
        files.check_inflates(path)
        with zipfile.ZipFile(path) as archive:
            parts = _parts(archive, path)
    except FileFormatError as error:
        raise TableError(str(error)) from error
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # RuntimeError: it asks for a password, or was packed in a way that Python cannot read.
        raise TableError(f"{path} is no package of a table: {error}") from error
    manifest = _manifest(parts.pop(MANIFEST, None), path)
    if apart := _apart(manifest["parts"], parts):
        raise TableError(f"{path}: {apart}; ask for the file again")
    table = Table.parse(parts[TABLE], f"{path}:{TABLE}")
    if (table.device, table.space) != (manifest["device"], manifest["space"]):
        raise TableError(f"{path}: its table is of {table.device} and {table.space}")
    return Package(manifest["version"], table, parts)


def _parts(archive: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    """What the archive has, where all of it belongs into a package."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(infos) > _MOST or len(set(names)) < len(names):
        raise TableError(f"{path}: {len(infos)} parts, or one of them twice")
    if sum(info.file_size for info in infos) > _LARGEST:
        raise TableError(f"{path} would unpack to more than {_LARGEST / 1e6:.0f} MB")
    for name in names:
        if name != MANIFEST and not _PART.fullmatch(name):
            raise TableError(f"{path}: {name[:60]!r} is no part of a package")
    return {info.filename: _content(archive, info) for info in infos}


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Of a part, and no more than the archive says that it has: that is a stranger's word."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{info.filename} is packed in another way than ours")
    with archive.open(info) as part:
        content = part.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise zipfile.BadZipFile(f"{info.filename} is not as large as the archive says")
    return content


def _manifest(content: bytes | None, path: Path) -> _Manifest:
    if content is None:
        raise TableError(f"{path} is no package of a table: it has no {MANIFEST}")
    try:
        value: Any = files.parsed_json(content.decode())
        found = checked(_Manifest, value)
    except ValueError as error:
        raise TableError(f"{path}: {MANIFEST}: {error}") from error
    if found["schema"] != SCHEMA:
        raise TableError(f"{path}: schema {found['schema']}, this version reads {SCHEMA}")
    return found


def _apart(wanted: Mapping[str, str], parts: Mapping[str, bytes]) -> str:
    """What is not as the manifest says; "" where all is."""
    hashes = _hashes(parts)
    for name in sorted({*wanted, *hashes, TABLE}):
        if name not in hashes:
            return f"{name[:60]} is missing"
        if wanted.get(name) != hashes[name]:
            return f"{name[:60]} is not what was packed (its SHA-256 differs)"
    return ""


def _hashes(parts: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(part).hexdigest() for name, part in sorted(parts.items())}
