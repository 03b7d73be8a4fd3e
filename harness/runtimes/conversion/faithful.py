"""Whether the files that we write are those that the installed litert-torch makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from harness.runtimes.conversion.cache import content_path, convert_all, converted
from harness.runtimes.session import Workload
from harness.spaces.block import Block
from harness.transports.content import digest

# With these they are, as the tests make sure; with others it is found out once.
KNOWN = {"litert-torch": "0.10.0", "litert-converter": "0.5.0", "torch": "2.13.0"}
# Two networks for which every rule of `lowering.py` is needed.
CHAINS = (
    (
        "conv-30x32x3-m0-o8-k3-s2-h_swish-se0-res0",
        "mbconv-15x16x8-m8-o8-k3-s1-relu-se8-res1",
        "bottleneck-15x16x8-m8-o16-k3-s2-relu-se0-res0",
        "maxpool-8x8x16-m0-o16-k3-s2-none-se0-res0",
        "conv-4x4x16-m0-o16-k3-s1-relu-se0-res1",
        "bottleneck-4x4x16-m8-o16-k3-s1-h_swish-se0-res1",
        "mbconv-4x4x16-m24-o16-k7-s1-swish-se8-res0",
        "mbconv-4x4x16-m24-o16-k5-s2-relu6-se0-res0",
        "pool-2x2x16-m0-o16-k1-s1-none-se0-res0",
        "mix-1x1x16-m0-o16-k1-s1-h_swish-se0-res0",
        "linear-1x1x16-m0-o10-k1-s1-none-se0-res0",
    ),
    (
        "conv-5x5x1-m0-o8-k3-s2-none-se0-res0",
        "pool-3x3x8-m0-o8-k1-s1-none-se0-res0",
        "linear-1x1x8-m0-o10-k1-s1-none-se0-res0",
    ),
)
SAMPLE = tuple(tuple(Block.parse(key) for key in chain) for chain in CHAINS)


@dataclass(frozen=True)
class Comparison:
    """As a file of the cache: what our file has other than litert-torch's, or nothing."""

    suffix: ClassVar[str] = ".difference"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (8.0, 30.0)

    def path(self, workload: Workload) -> Path:
        rules = digest(Path(__file__).with_name("lowering.py"))
        return content_path(self.suffix, versions() | {"rules": rules}, workload)

    def make(self, workload: Workload) -> bytes:
        from harness.runtimes.conversion.by_litert_torch import by_litert_torch
        from harness.runtimes.conversion.graph import difference
        from harness.runtimes.conversion.lowering import lowered
        from harness.runtimes.conversion.source import source_of

        source = source_of(workload)
        return difference(lowered(source, 1), by_litert_torch(source, 1)).encode()


@cache
def apart() -> str:
    """What our files have other than those of the installed litert-torch, which then has to make
    them; nothing where they are the same."""
    return "" if versions() == KNOWN else _compared()


def versions() -> dict[str, str]:
    """Of what decides the files of litert-torch, builds of torch aside."""
    return {name: version(name).partition("+")[0] for name in KNOWN}


def check() -> Iterator[tuple[str, str]]:
    """A step of `harness devices check`: compared, whatever is known of the versions."""
    convert_all(Comparison(), SAMPLE)  # where nobody hears it
    found, theirs = _compared(), f"those of litert-torch {version('litert-torch')}"
    yield ".tflite files", f"{theirs}, which makes them: {found}" if found else theirs


def _compared() -> str:
    found = [converted(Comparison(), network).read_text() for network in SAMPLE]
    return next((f"ours have {each}" for each in found if each), "")
