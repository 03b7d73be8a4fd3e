"""Texts of a program and their translations, as its compiled message catalogues (`*.mo`) have them.

LibreOffice's for German are trained on: 18,000 pairs of labels, tips and messages.
"""

import gettext
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.errors import FileFormatError, UsageError

INSTALLED = Path("/usr/lib/libreoffice/program/resource/de/LC_MESSAGES")
UNPACKED = "libreoffice-l10n-de"
"""A Debian package, and the folder that it is unpacked into."""
_CONTEXT = "\x04"  # stands between where a text is used and the text
_MNEMONIC = re.compile(r"[_~](?=\w)")  # before the letter of a label that is a key
_WORD = re.compile(r"[^\W\d_]{2}")

Pair = tuple[str, str]


def find_catalogues(root: Path) -> list[Path]:
    """The catalogues of the package unpacked below the root, else those that are installed.

    Raises:
        UsageError: there are none; the message says how to get them.
    """
    unpacked = root / UNPACKED
    for folder in (unpacked / INSTALLED.relative_to("/"), INSTALLED):
        if found := sorted(folder.glob("*.mo")):
            return found
    raise UsageError(
        f"hat-small is trained on the German texts of LibreOffice, which are not here: `apt-get "
        f"download {UNPACKED} && dpkg -x {UNPACKED}_*.deb {unpacked}` gets them"
    )


def read_pairs(paths: list[Path]) -> list[Pair]:
    """Each text once, with its first translation, in the order of the texts; without mnemonics.

    Texts that stay as they are, or have no words, are left out.

    Raises:
        FileFormatError: a catalogue is broken.
    """
    found: dict[str, str] = {}
    for path in paths:
        for text, translation in _read(path):
            found.setdefault(_plain(text), _plain(translation))
    return sorted(
        pair for pair in found.items() if pair[0] != pair[1] and all(map(_WORD.search, pair))
    )


def _read(path: Path) -> Iterator[Pair]:
    try:
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    except (OSError, ValueError, LookupError, struct.error) as error:
        raise FileFormatError(f"{path} is no message catalogue: {error}") from error
    for text, translation in catalogue.items():
        if isinstance(text, str):  # others have plurals
            yield text.rpartition(_CONTEXT)[2], translation


def _plain(text: str) -> str:
    return " ".join(_MNEMONIC.sub("", text).split())
