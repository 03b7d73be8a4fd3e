import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import TableError
from harness.tables.package import MANIFEST, TABLE, pack, unpack
from harness.tables.table import Table
from tests.tables.test_compare import campaign


@pytest.fixture
def table(tmp_path: Path) -> Table:
    made = campaign(0)
    made.save(tmp_path / TABLE)
    return made


@pytest.fixture
def packed(table: Table, tmp_path: Path) -> Path:
    parts = {TABLE: (tmp_path / TABLE).read_bytes(), "journals/c.jsonl": b"{}\n"}
    pack(tmp_path / "x.zip", "1.0", table, parts)
    return tmp_path / "x.zip"


def changed(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The same archive with other parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    path.write_bytes(content.getvalue())
    return path


def test_what_was_packed_comes_out_and_twice_packed_is_the_same_file(
    packed: Path, table: Table, tmp_path: Path
) -> None:
    found = unpack(packed)
    assert found.table.records == Table.load(tmp_path / TABLE).records
    assert found.parts["journals/c.jsonl"] == b"{}\n"
    again = pack(tmp_path / "y.zip", "1.0", table, found.parts)
    assert (tmp_path / "y.zip").read_bytes() == packed.read_bytes()
    assert again.sha256 == found.sha256


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda parts: parts.update({TABLE: parts[TABLE] + b" "}), "not what was packed"),
        (lambda parts: parts.pop("journals/c.jsonl"), "is missing"),
        (lambda parts: parts.pop(TABLE), "is missing"),
        (lambda parts: parts.pop(MANIFEST), "no manifest.json"),
        (lambda parts: parts.update({"../evil": b""}), "'../evil' is no part"),
        (lambda parts: parts.update({"/etc/x": b""}), "is no part"),
        (lambda parts: parts.update({"journals/../../x": b""}), "is no part"),
        (lambda parts: parts.update({"journals/more": b""}), "not what was packed"),
        (lambda parts: parts.update({MANIFEST: b"[]"}), "manifest.json"),
        (lambda parts: parts.update({MANIFEST: b"\xff"}), "manifest.json"),
        (
            lambda parts: parts.update(
                {MANIFEST: json.dumps(json.loads(parts[MANIFEST]) | {"schema": 2}).encode()}
            ),
            "schema 2",
        ),
        (
            lambda parts: parts.update(
                {MANIFEST: json.dumps(json.loads(parts[MANIFEST]) | {"device": "tpu"}).encode()}
            ),
            "its table is of cpu",
        ),
    ],
)
def test_what_was_changed_on_the_way_is_one_line(
    packed: Path, change: Callable[[dict[str, bytes]], None], why: str
) -> None:
    with pytest.raises(TableError, match=why):
        unpack(changed(packed, change))


def test_truncated_and_foreign_files_are_one_line(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    for end in range(0, len(whole), max(1, len(whole) // 40)):
        packed.write_bytes(whole[:end])
        with pytest.raises(TableError):
            unpack(packed)
    for path in (tmp_path, tmp_path / "missing.zip"):
        with pytest.raises(TableError):
            unpack(path)


def test_an_archive_that_inflates_to_much_is_refused(packed: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TABLE, b"0" * 101_000_000)
    packed.write_bytes(content.getvalue())
    with pytest.raises(TableError, match=r"inflate to|unpack to"):
        unpack(packed)


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_sizes_that_an_archive_states_wrongly_are_one_line(packed: Path, how: int) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as archive:
        archive.writestr(TABLE, b"0" * 5_000_000)
    lying = bytearray(content.getvalue())
    for header, size_at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = lying.index(header) + size_at
        lying[place : place + 4] = (10).to_bytes(4, "little")
    packed.write_bytes(lying)
    with pytest.raises(TableError, match="no package of a table"):
        unpack(packed)
