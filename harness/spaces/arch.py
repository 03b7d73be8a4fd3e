"""One sub-network of a space, as a value and in OFA's own notation."""

from dataclasses import dataclass
from typing import Any

from harness.errors import FileFormatError


@dataclass(frozen=True, slots=True)
class Arch:
    """One sub-network: depth per stage, kernel and expand per layer.

    `kernels` and `expands` have one entry for each layer of the deepest network, stage after
    stage; layers that the depth leaves out hold 0.
    """

    resolution: int  # input height and width, pixels
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """OFA's `{ks, e, d, r}`; left-out layers are 0."""
        return {
            "r": self.resolution,
            "d": list(self.depths),
            "ks": list(self.kernels),
            "e": list(self.expands),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Arch":
        """Read OFA's `{ks, e, d, r}`; `r` may be a list of one, as in its released files.

        Raises:
            FileFormatError: a part is missing or not made of whole numbers.
        """
        try:
            resolution = value["r"][0] if isinstance(value["r"], list) else value["r"]
            parts = [tuple(value[name]) for name in ("d", "ks", "e")]
        except (KeyError, TypeError, IndexError) as error:
            raise FileFormatError(f"not an arch: {error!r}; expected {{r, d, ks, e}}") from error
        for number in (resolution, *parts[0], *parts[1], *parts[2]):
            if not isinstance(number, int) or isinstance(number, bool):
                raise FileFormatError(f"not an arch: {number!r} is not a whole number")
        return cls(resolution, *parts)
