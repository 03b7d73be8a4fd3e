"""What the user says about the inputs of a model file."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from harness.errors import UsageError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Asked:
    """Sizes, values and the graph, as far as the user chose them."""

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # by input
    dims: Mapping[str, int] = field(default_factory=dict)  # by the name of an open size
    values: Mapping[str, str] = field(default_factory=dict)  # by input: a number, or a .npy file
    signature: str | None = None  # of a file with several graphs


NOTHING_ASKED = Asked()


def parse_asked(
    shapes: Sequence[str], dims: Sequence[str], inputs: Sequence[str], signature: str | None
) -> Asked:
    """`--shape NAME=1,3,320,320`, `--dim height=320`, `--input NAME=file.npy` and `--signature`.

    Raises:
        UsageError: one of them is written differently, or says something twice.
    """
    return Asked(
        _pairs("--shape", shapes, _sizes, "NAME=1,3,320,320"),
        _pairs("--dim", dims, _size, "height=320"),
        _pairs("--input", inputs, str, "NAME=ids.npy or NAME=16000"),
        signature,
    )


def _pairs(
    option: str, texts: Sequence[str], read: Callable[[str], Value], example: str
) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            if not name or not value:
                raise ValueError
            parsed = read(value)
        except ValueError as error:
            raise UsageError(f"{option} {text!r} is not understood; write {example}") from error
        if name in found:
            raise UsageError(f"{option} names {name!r} twice")
        found[name] = parsed
    return found


def _size(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(text)
    return int(text)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_size(part) for part in text.split(","))
