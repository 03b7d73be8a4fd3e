"""One input of a model file, as the file describes it."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import TargetFailed
from harness.runtimes.model_inputs.uses import Use

NUMBERS = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"
DTYPES = frozenset(NUMBERS.split())


@dataclass(frozen=True)
class ModelInput:
    """Open sizes are texts: their names, "" where they have none."""

    name: str
    dtype: str  # as numpy calls it
    shape: tuple[int | str, ...]
    use: Use
    alias: str = ""  # another name that people know it by

    def __str__(self) -> str:
        sizes = ", ".join(str(size) or "?" for size in self.shape)
        return f"{self.name} {self.dtype} [{sizes}]"


def not_fed(model: Path, name: str, kind: str) -> TargetFailed:
    return TargetFailed(
        f"{model}: its input {name!r} is of type {kind}, which is not fed here; what is: "
        f"{', '.join(NUMBERS.split())}"
    )
