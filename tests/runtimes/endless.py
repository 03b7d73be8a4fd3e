"""A conversion that takes minutes; importing it takes no time."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.runtimes.session import Workload
from harness.spaces.digits import DIGITS

BLOCK = (DIGITS.distinct_blocks()[0],)


@dataclass(frozen=True)
class Endless:
    """It is begun once the file at its place is there."""

    place: Path
    suffix: ClassVar[str] = ".endless"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (1.0, 1.0)  # so that nobody is warned

    def path(self, workload: Workload) -> Path:
        assert not isinstance(workload, Path)
        return self.place.with_suffix(f".{len(workload)}")

    def make(self, _workload: Workload) -> bytes:
        self.place.touch()
        time.sleep(600)
        return b""
