"""Message catalogues as `msgfmt` compiles them, of a language that is quickly learned."""

import struct
from itertools import product
from pathlib import Path

WORDS = {
    "verb": {"Open": "Öffne", "Close": "Schließe", "Save": "Sichere", "Delete": "Lösche"},
    "number": {"one": "eine", "two": "zwei", "three": "drei", "many": "viele", "few": "wenige"},
    "colour": {"red": "rote", "green": "grüne", "blue": "blaue", "grey": "graue"},
    "thing": {"table": "Tabelle", "line": "Linie", "page": "Seite", "row": "Zeile"},
    "place": {"here": "hier", "there": "dort", "below": "unten", "above": "oben"},
    "when": {"now": "jetzt", "soon": "bald"},
}


def pairs() -> dict[str, str]:
    """2,560 texts and their translations."""
    chosen = product(*(words.items() for words in WORDS.values()))
    return {
        " ".join(text for text, _ in each): " ".join(other for _, other in each) for each in chosen
    }


def write_catalogue(path: Path, texts: dict[str, str]) -> None:
    """A `.mo` file: two tables of lengths and offsets, and the texts."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n"} | texts
    rows = [[each.encode() for each in row] for row in sorted(texts.items())]
    count, tables, content = len(rows), b"", b""
    start = 28 + 16 * count
    for column in zip(*rows, strict=True):
        for text in column:
            tables += struct.pack("<2I", len(text), start + len(content))
            content += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + tables + content)
