"""The sizes of a model's inputs: the file's, the user's, and the profile's batch."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.runtimes.model_inputs.model_input import ModelInput

BATCH = re.compile(r".*batch.*", re.IGNORECASE)
SHORT_BATCH = re.compile(r"n|b|bs|bsz", re.IGNORECASE)  # where it stands first
# What exporters call sizes that nobody named.
NAMELESS = re.compile(r"|\?|-1|None|unk.*\d+|s\d+|dim_?\d+|.*dynamic_axes_\d+")
IMAGES = 4  # sizes that an input of images has at least; the first one counts them
EXAMPLES = {"height": 224, "width": 224, "h": 224, "w": 224}
EXAMPLE = 128  # of a length, say


@dataclass(frozen=True)
class Sizes:
    """An input's; a size that nobody gave is still a text."""

    shape: tuple[int | str, ...]
    chosen: str = ""  # and why

    @property
    def known(self) -> tuple[int, ...]:
        """The shape as far as it is known."""
        return tuple(size for size in self.shape if isinstance(size, int))

    @property
    def open(self) -> bool:
        return len(self.known) < len(self.shape)


def resolve(
    model: Path,
    inputs: Sequence[ModelInput],
    shapes: Mapping[str, tuple[int, ...]],
    dims: Mapping[str, int],
    batch: int,
) -> dict[str, Sizes]:
    """The sizes of each input. A size is the batch of the profile only where it is called so, or
    where it is the first of images and has no name: another first size may be a length.

    Raises:
        UsageError: what is given does not fit the file.
    """
    given = _given(model, inputs, shapes, dims)
    batches = {size for each in inputs for size in each.shape if _is_batch(size)}
    batches |= {each.shape[0] for each in inputs if each.shape and _is_batch(each.shape[0], True)}
    found = {}
    for each in inputs:
        shape, chosen = list(shapes.get(each.name, each.shape)), set()
        for position, size in enumerate(shape):
            if isinstance(size, int):
                continue
            first = position == 0 and len(shape) >= IMAGES and NAMELESS.fullmatch(size)
            shape[position] = given.get(size, size)
            if size not in given and (size in batches or first):
                shape[position] = batch
                name = size if size in batches else "the first size"
                chosen.add(f"{name} = {batch}, the batch of the profile")
        found[each.name] = Sizes(tuple(shape), ", ".join(sorted(chosen)))
    return found


def _is_batch(size: int | str, first: bool = False) -> bool:
    return isinstance(size, str) and bool(
        BATCH.fullmatch(size) or (first and SHORT_BATCH.fullmatch(size))
    )


def _given(
    model: Path,
    inputs: Sequence[ModelInput],
    shapes: Mapping[str, tuple[int, ...]],
    dims: Mapping[str, int],
) -> dict[str, int]:
    """What `--dim` and whole shapes say of sizes that have names."""
    names = dict.fromkeys(size for each in inputs for size in each.shape if isinstance(size, str))
    for name in dims:
        if name not in names:
            others = ", ".join(filter(None, names)) or "none"
            raise UsageError(f"{model} has no open size called {name!r}; with names: {others}")
    given = dict(dims)
    for each in inputs:
        shape = shapes.get(each.name, each.shape)
        fits = len(shape) == len(each.shape)
        for ours, theirs in zip(shape, each.shape, strict=False):
            if isinstance(ours, int) and theirs != "":  # sizes without names need not be equal
                known = theirs if isinstance(theirs, int) else given.setdefault(theirs, ours)
                fits &= ours == known
        if not fits:
            raise UsageError(
                f"{model}: {list(shape)} is not a shape of input {each}, with what else was said"
            )
    return given


def examples(shape: Sequence[int | str], name: str, batch: int) -> Iterable[str]:
    """Options that would say the open sizes of an input."""
    opened = [size for size in shape if isinstance(size, str)]
    if not any(NAMELESS.fullmatch(size) for size in opened):
        yield from (f"--dim {shlex.quote(f'{size}={_example(size)}')}" for size in opened)
        return
    sizes = [
        size if isinstance(size, int) else batch if not position else _example(size)
        for position, size in enumerate(shape)
    ]
    yield f"--shape {shlex.quote(name + '=' + ','.join(map(str, sizes)))}"


def _example(size: str) -> int:
    return EXAMPLES.get(size.lower(), EXAMPLE)
