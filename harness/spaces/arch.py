"""One sub-network of a space, as a value and in OFA's own notation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import FileFormatError

Number = int | float
_LARGEST = 100_000  # pixels; all else is less
_MOST = 40  # parts of an arch
_NAME = re.compile(r"[a-z][a-z_]{0,39}")

PARTS = {"r": "resolution", "d": "depths", "ks": "kernels", "e": "expands", "w": "widths"}
"""OFA's names for the parts of an arch, and ours."""


@dataclass(frozen=True, slots=True)
class Arch:
    """One sub-network: what varies along the network, by the names that its space declares.

    A part has one entry for each layer of the deepest network, stage after stage; layers that the
    depth leaves out hold 0. A space without a kind of choice has no such part.
    """

    resolution: int  # of the input: height and width, pixels; of a sentence: tokens
    depths: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    expands: tuple[Number, ...] = ()
    widths: tuple[int, ...] = ()  # as numbers of width multipliers, from 0
    # Parts that OFA's have not, by name.
    others: tuple[tuple[str, tuple[Number, ...]], ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, values: Mapping[tuple[str, int], Number]) -> "Arch":
        """The arch with these values, by part and index."""
        parts: dict[str, list[Number]] = {}
        for (part, _), value in sorted(values.items()):
            parts.setdefault(part, []).append(value)
        return cls.of_parts({part: tuple(values) for part, values in parts.items()})

    @classmethod
    def of_parts(cls, parts: Mapping[str, tuple[Any, ...]]) -> "Arch":
        """The same by part, each with its values in order."""
        (resolution,) = parts["r"]
        known = {ours: parts[name] for name, ours in PARTS.items() if name in parts and name != "r"}
        others = sorted((name, values) for name, values in parts.items() if name not in PARTS)
        return cls(resolution, **known, others=tuple(others))

    def part(self, name: str) -> tuple[Number, ...]:
        """A part by its name in files; empty where the arch has none."""
        if name in PARTS:
            value = getattr(self, PARTS[name])
            return (value,) if name == "r" else value
        return dict(self.others).get(name, ())

    def to_json(self) -> dict[str, Any]:
        """By names of parts; left-out layers are 0. Of convolutions: OFA's `{ks, e, d, r}` and, for
        ResNets, `w`."""
        value: dict[str, Any] = {"r": self.resolution, "d": list(self.depths)}
        if self.others:
            return value | {name: list(values) for name, values in self.others}
        value |= {"ks": list(self.kernels), "e": list(self.expands)}
        return value | ({"w": list(self.widths)} if self.widths else {})

    @classmethod
    def from_json(cls, value: Any) -> "Arch":
        """Read OFA's `{ks, e, d, r}`, without what the space does not have, or parts by name.

        `r` may be a list of one, as in its released files.

        Raises:
            FileFormatError: a part is missing or not made of sensible numbers.
        """
        try:
            resolution = value["r"][0] if isinstance(value["r"], list) else value["r"]
            names = ("d", "e") if "e" in value else _names(value)
            parts = {"r": (resolution,)} | {name: tuple(value[name]) for name in names}
            parts |= {name: tuple(value.get(name, ())) for name in ("ks", "w")}
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise FileFormatError(f"not an arch: {error!r}; expected {{r, d, ks, e}}") from error
        for name, numbers in parts.items():
            kinds = {int} if name in ("r", "d", "ks", "w") else {int, float}
            for number in numbers:
                if type(number) not in kinds or not 0 <= number <= _LARGEST:
                    raise FileFormatError(f"not an arch: {number!r:.60} is no size of a network")
        return cls.of_parts(parts)


def spoken(part: str) -> str:
    """A part's name in words."""
    return PARTS.get(part, part.replace("_", " "))


def _names(value: Any) -> list[str]:
    """Of the parts beside the resolution, in a space that is none of OFA's.

    Raises:
        KeyError, TypeError: they are none.
    """
    names = [name for name in value if name != "r"]
    if "d" not in names or len(names) == 1:
        raise KeyError("e")
    if len(names) > _MOST or not all(_NAME.fullmatch(name) for name in names):
        raise TypeError("names of parts are small letters and _")
    return names
