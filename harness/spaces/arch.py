"""One sub-network of a space, as a value and in OFA's own notation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import FileFormatError

Number = int | float
_LARGEST = 100_000  # pixels; all else is less

PARTS = {"r": "resolution", "d": "depths", "ks": "kernels", "e": "expands", "w": "widths"}
"""OFA's names for the parts of an arch, and ours."""


@dataclass(frozen=True, slots=True)
class Arch:
    """One sub-network: what varies along the network, from image to logits.

    `kernels` and `expands` have one entry for each layer of the deepest network, stage after
    stage; layers that the depth leaves out hold 0. A space without a kind of choice has none.
    """

    resolution: int  # input height and width, pixels
    depths: tuple[int, ...]
    kernels: tuple[int, ...] = ()
    expands: tuple[Number, ...] = ()
    widths: tuple[int, ...] = ()  # as numbers of width multipliers, from 0

    @classmethod
    def of(cls, values: Mapping[tuple[str, int], Number]) -> "Arch":
        """The arch with these values, by part and index."""
        parts: dict[str, list[Number]] = {part: [] for part in PARTS}
        for (part, _), value in sorted(values.items()):
            parts[part].append(value)
        (resolution,) = parts.pop("r")
        return cls(resolution, *(tuple(part) for part in parts.values()))  # type: ignore[arg-type]

    def part(self, name: str) -> tuple[Number, ...]:
        """A part by OFA's name."""
        value = getattr(self, PARTS[name])
        return (value,) if name == "r" else value

    def to_json(self) -> dict[str, Any]:
        """OFA's `{ks, e, d, r}` and, for ResNets, `w`; left-out layers are 0."""
        value = {
            "r": self.resolution,
            "d": list(self.depths),
            "ks": list(self.kernels),
            "e": list(self.expands),
        }
        return value | ({"w": list(self.widths)} if self.widths else {})

    @classmethod
    def from_json(cls, value: Any) -> "Arch":
        """Read OFA's `{ks, e, d, r}`, without what the space does not have.

        `r` may be a list of one, as in its released files.

        Raises:
            FileFormatError: a part is missing or not made of sensible numbers.
        """
        try:
            resolution = value["r"][0] if isinstance(value["r"], list) else value["r"]
            depths, expands = tuple(value["d"]), tuple(value["e"])
            kernels, widths = (tuple(value.get(name, ())) for name in ("ks", "w"))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise FileFormatError(f"not an arch: {error!r}; expected {{r, d, ks, e}}") from error
        for numbers, kinds in (
            ((resolution, *depths, *kernels, *widths), {int}),
            (expands, {int, float}),
        ):
            for number in numbers:
                if type(number) not in kinds or not 0 <= number <= _LARGEST:
                    raise FileFormatError(f"not an arch: {number!r:.60} is no size of a network")
        return cls(resolution, depths, kernels, expands, widths)
