"""TFLite Micro, the interpreter of microcontrollers, on this computer.

What int8 files answer in it, and the memory that they take.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import ConversionFailed, MissingExtra
from harness.hints import install

Floats = npt.NDArray[np.float32]
MICRO = "tflite-micro"
MICRO_HINT = f"{MICRO} is not installed: {install('micro')}"
ARENA_BYTES = 2**30  # all maps of a network; what is not touched takes no memory
ALLOCATE = """
import sys
from tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2])).print_allocations()
"""


@dataclass(frozen=True)
class Arena:
    """Bytes that the interpreter took for a file; pointers of a chip are half as long as here."""

    head: int  # shared by the maps
    tail: int  # kept as long as the interpreter lives

    @property
    def total(self) -> int:
        return self.head + self.tail


def has_micro() -> bool:
    return find_spec("tflite_micro") is not None


def arena_of_file(path: Path) -> Arena:
    """What the interpreter itself takes for a .tflite file.

    Raises:
        ConversionFailed: it cannot run the file.
        MissingExtra: it is not installed.
    """
    if not has_micro():
        raise MissingExtra(MICRO_HINT)
    # In a process of its own: what it says goes to the standard error of C.
    ended = subprocess.run(
        [sys.executable, "-P", "-c", ALLOCATE, str(path.absolute()), str(ARENA_BYTES)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    found = dict(re.findall(r"Arena allocation (head|tail) (\d+) bytes", ended.stderr))
    if ended.returncode or len(found) != 2:
        lines = ended.stderr.strip().splitlines()
        raise ConversionFailed(f"{MICRO} cannot run {path}: {' '.join(lines[-1:])}")
    return Arena(int(found["head"]), int(found["tail"]))


def in_tflite_micro(path: Path, images: Floats) -> Floats:
    """Logits of a .tflite file on TFLite Micro, the interpreter of microcontrollers.

    Raises:
        ConversionFailed: it cannot run the file.
    """
    from tflite_micro import runtime

    try:
        model = runtime.Interpreter.from_file(str(path), arena_size=ARENA_BYTES)
        given, wanted = model.get_input_details(0), model.get_output_details(0)
        found = []
        for image in images.transpose(0, 2, 3, 1)[:, None]:
            model.set_input(_as_given(image, given), 0)
            model.invoke()
            found.append(_as_floats(model.get_output(0), wanted))
    except RuntimeError as error:
        raise ConversionFailed(f"{MICRO} cannot run {path}: {error}") from error
    return np.concatenate(found)


def _as_given(image: Floats, details: dict[str, Any]) -> npt.NDArray[Any]:
    if details["dtype"] == np.float32:
        return np.ascontiguousarray(image)
    levels = np.round(image / _scale(details)) + _zero(details)
    limits = np.iinfo(details["dtype"])
    return np.ascontiguousarray(np.clip(levels, limits.min, limits.max).astype(details["dtype"]))


def _as_floats(logits: npt.NDArray[Any], details: dict[str, Any]) -> Floats:
    if details["dtype"] == np.float32:
        return np.asarray(logits)
    return ((logits.astype(np.float32) - _zero(details)) * _scale(details)).astype(np.float32)


def _scale(details: dict[str, Any]) -> float:
    return float(details["quantization_parameters"]["scales"][0])


def _zero(details: dict[str, Any]) -> int:
    return int(details["quantization_parameters"]["zero_points"][0])
