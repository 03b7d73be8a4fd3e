"""The values that a model's inputs are fed with."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import FileFormatError, UsageError
from harness.files import check_regular
from harness.runtimes.conversion.cache import cache_folder, is_whole, keep
from harness.runtimes.model_inputs.model_input import ModelInput

Array = npt.NDArray[Any]
RANDOM = "random numbers"
# Inputs that say how much there is, as people call them.
AMOUNT = re.compile(
    r"(.*_)?(sr|\w*lens?|\w*lengths?|\w*steps?|counts?|\w*sizes?|nums?|\w*rate)(_.*)?",
    re.IGNORECASE,
)
EXAMPLES = {"sr": 16000, "rate": 16000}


def is_file(text: str) -> bool:
    """Whether `--input` names a file rather than a number."""
    return text.lower().endswith(".npy")


def read(name: str, text: str) -> Array:
    """What `--input` says: an array of a file, or one number for all of the input.

    Raises:
        UsageError: it is neither.
        FileFormatError: the file cannot be read.
    """
    if is_file(text):
        check_regular(Path(text))
        try:
            array: Array = np.load(text, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise FileFormatError(f"cannot read {text}: {error}") from error
        return array
    if text.lower() in ("true", "false"):
        return np.array(text.lower() == "true")
    try:
        return np.array(int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text))
    except ValueError as error:
        raise UsageError(
            f"--input {name}={text} is neither a number nor a .npy file (numpy.save makes them)"
        ) from error


def fitted(model: Path, given: ModelInput, shape: tuple[int, ...], array: Array) -> Array:
    """The array as the input takes it.

    Raises:
        UsageError: numbers would become others.
    """
    wanted = np.dtype(given.dtype)
    whole = np.broadcast_to(array, shape)
    kept = array.dtype.kind in "biuf"
    if kept:
        with np.errstate(all="ignore"):
            values: Array = whole.astype(wanted)
        kept = wanted.kind == "f" or bool((values == whole).all())
    if not kept:
        raise UsageError(
            f"{model}: input {given} cannot hold the {array.dtype} numbers that it was given"
        )
    return values


def why_asked(given: ModelInput, shape: Sequence[int | str]) -> str:
    """Why the values cannot be chosen for the user; empty where they can.

    Whole numbers may be steps, branches or lengths; so may few fractions, but for the operators of
    others, which take fractions of all kinds.
    """
    steers, fractions = given.use.steers, np.dtype(given.dtype).kind == "f"
    if fractions and (len(shape) > 1 or "." in steers):
        return ""
    if steers:
        return f"its values go into {steers}"
    if fractions or (given.use.below is not None and not AMOUNT.fullmatch(given.name)):
        return ""
    if all(size == 1 for size in shape):
        return "it is one number"
    return "its name is that of an amount" if AMOUNT.fullmatch(given.name) else ""


def chosen(given: ModelInput, shape: tuple[int, ...]) -> tuple[Array | None, str]:
    """Values that do not change how much is computed, and what they are.

    None: random ones, which are made where the model runs.
    """
    dtype, below = np.dtype(given.dtype), given.use.below
    if dtype.kind == "f" or (below is None and dtype in (np.int8, np.uint8)):
        return None, RANDOM
    if below is not None and dtype.kind in "iu":
        below = min(below, int(np.iinfo(dtype).max))
    told = "values 0 and 1" if below is None else f"values in 0..{below - 1}"
    return np.random.default_rng(0).integers(0, below or 2, shape).astype(dtype), told


def example(given: ModelInput, shape: Sequence[int | str]) -> str:
    if all(size == 1 for size in shape):
        return str(next((n for word, n in EXAMPLES.items() if given.name.endswith(word)), 20))
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', given.name)}.npy"


def digest(values: Array) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()


def values_file(values: Array) -> Path:
    """The bare numbers in a file, as runtimes on devices read them."""
    path = cache_folder() / "inputs" / f"{digest(values)}.bin"
    if not is_whole(path):
        keep(path, values.tobytes())
    return path
