"""The unit of a latency table: one block of a network, as an immutable value that answers."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from harness.errors import FileFormatError

NUMBER_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}  # of a map, by precision
_FAMILIES: dict[str, type["Block"]] = {}  # by kind
_EXAMPLE = "mbconv-56x56x32-m192-o32-k5-s1-h_swish-se24-res1"


class Block(ABC):
    """One block with everything that its cost depends on.

    A family of kinds is a frozen dataclass with slots that lists the kinds it is of: convolutions
    (`spaces.convolution`), layers of transformers (`spaces.transformer`).
    """

    __slots__ = ()
    kinds: ClassVar[tuple[str, ...]] = ()
    derived: ClassVar[tuple[str, ...]] = ()  # properties that `spec` tells besides fields

    def __init_subclass__(cls) -> None:
        _FAMILIES.update(dict.fromkeys(cls.kinds, cls))

    @classmethod
    def parse(cls, key: str) -> Self:
        """The block named by `key`, of this family.

        Raises:
            FileFormatError: `key` is not a block's name.
        """
        family = _FAMILIES.get(key.partition("-")[0])
        block = None if family is None else family.of_key(key)
        if not isinstance(block, cls):
            raise FileFormatError(f"not a block: {key[:80]!r} (expected one like {_EXAMPLE})")
        return block

    @classmethod
    @abstractmethod
    def of_key(cls, key: str) -> Self | None:
        """The block of this family that `key` names; None where it names none."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """One of `kinds`: how its key begins."""

    @property
    @abstractmethod
    def key(self) -> str:
        """The block's name in tables and journals; `parse` reads it back."""

    @property
    def spec(self) -> dict[str, Any]:
        """Its kind and numbers by name: what `networks.layers` makes a layer of."""
        names = (*self._fields(), *self.derived)
        return {"kind": self.kind} | {name: getattr(self, name) for name in names}

    @property
    def order(self) -> tuple[Any, ...]:
        """What blocks are sorted by."""
        return self.kind, *(getattr(self, name) for name in self._fields())

    def __lt__(self, other: "Block") -> bool:
        return self.order < other.order

    def _fields(self) -> tuple[str, ...]:
        return tuple(type(self).__slots__)

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Of one input: channels, height, width; or tokens, numbers of each."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates for one input, convolutions and matrix products only."""

    @property
    @abstractmethod
    def params(self) -> int:
        """Learned parameters."""

    @property
    def in_turn(self) -> int:
        """How many of it take turns where it is timed alone."""
        return 1

    @property
    @abstractmethod
    def peak_activations(self) -> int:
        """Numbers that are alive at once, at most, running layer by layer, one input."""

    @property
    @abstractmethod
    def stage(self) -> str | None:
        """Of elastic blocks: those of one stage share a scale in calibrations."""
