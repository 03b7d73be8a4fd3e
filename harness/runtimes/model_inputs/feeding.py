"""What a user's model file is fed with: as asked, as the file says, or as can be chosen safely.

What is chosen is shown. What would decide how much runs is asked for instead: the time of a loop
without steps is the time of nothing.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UsageError
from harness.runtimes.model_inputs import onnx_file, tflite_file
from harness.runtimes.model_inputs.asked import Asked
from harness.runtimes.model_inputs.model_input import ModelInput
from harness.runtimes.model_inputs.sizes import Sizes, examples, resolve
from harness.runtimes.model_inputs.values import (
    RANDOM,
    Array,
    chosen,
    digest,
    example,
    fitted,
    is_file,
    read,
    why_asked,
)

Said = TypeVar("Said")
OF_THE_FILE = "of the file"


@dataclass(frozen=True)
class Feed:
    """One input as it is fed."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    values: Array | None  # None: random ones, made where the model runs
    told: str  # what the values are
    sizes: str  # what was chosen of the shape
    fixed: bool  # whether the file itself has this shape

    def __str__(self) -> str:
        taken = f" ({self.sizes})" if self.sizes else ""
        return f"input {self.name}: {self.dtype} {list(self.shape)}{taken}, {self.told}"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "sizes": self.sizes or (OF_THE_FILE if self.fixed else "as asked"),
            "values": self.told,
        }


@dataclass(frozen=True)
class Feeding:
    """All that a model file is fed with, in the order of its inputs."""

    feeds: tuple[Feed, ...]
    signature: str | None  # of the graph that runs, where it is not simply the file's first

    def describe(self) -> str:
        graph = [f"signature {self.signature}"] if self.signature else []
        return "; ".join([*graph, *map(str, self.feeds)]) or "no inputs"

    def to_json(self) -> dict[str, Any]:
        graph = {"signature": self.signature} if self.signature else {}
        return graph | {"inputs": [feed.to_json() for feed in self.feeds]}


READ_HERE = (".onnx", ".tflite")  # what other files take is known by their runtimes
NOTHING_SAID = Feeding((), None)  # of files of ours: the runtime finds what to feed


def feeding(
    model: Path, asked: Asked, batch: int, inputs: Sequence[ModelInput] | None = None
) -> Feeding:
    """What the file is fed with, where the profile's batch is `batch`.

    `inputs`: what it takes, of files that are not read here.

    Raises:
        UsageError: sizes or values have to be given first, or do not fit the file.
        FileFormatError: it is no such file.
        TargetFailed: it takes what is not fed here.
        FileFormatError: a file with values cannot be read.
        MissingExtra: what reads such files is not installed.
    """
    inputs, signature = _read(model, asked.signature, inputs)
    texts = _by_name(model, inputs, asked.values)
    arrays = {name: read(name, text) for name, text in texts.items()}
    shapes = _by_name(model, inputs, asked.shapes)
    for name in filter(lambda name: is_file(texts[name]), texts):
        if shapes.setdefault(name, arrays[name].shape) != arrays[name].shape:
            raise UsageError(f"--shape and the file of --input {name} differ in its sizes")
    sizes = resolve(model, inputs, shapes, asked.dims, batch)
    _check_said(model, [(each, sizes[each.name], each.name in texts) for each in inputs], batch)
    return Feeding(
        tuple(
            _feed(model, each, sizes[each.name], arrays.get(each.name), texts.get(each.name, ""))
            for each in inputs
        ),
        signature,
    )


def _read(
    model: Path, signature: str | None, inputs: Sequence[ModelInput] | None
) -> tuple[Sequence[ModelInput], str | None]:
    if model.suffix.lower() == ".tflite":
        return tflite_file.read_inputs(model, signature)
    if signature is not None:
        raise UsageError(f"--signature is for .tflite files; {model.name} is none")
    return onnx_file.read_inputs(model) if inputs is None else inputs, None


def _by_name(
    model: Path, inputs: Sequence[ModelInput], given: Mapping[str, Said]
) -> dict[str, Said]:
    """What was given, by the names that the runtime knows."""
    names = {each.alias or each.name: each.name for each in inputs}
    names |= {each.name: each.name for each in inputs}
    for name in given:
        if name not in names:
            theirs = ", ".join(map(str, inputs)) or "none"
            raise UsageError(f"{model} has no input {name!r}; its inputs: {theirs}")
    return {names[name]: value for name, value in given.items()}


def _check_said(model: Path, inputs: Sequence[tuple[ModelInput, Sizes, bool]], batch: int) -> None:
    """Raises UsageError, naming all that is missing and how to say it, where anything is."""
    missing: list[str] = []
    options: dict[str, None] = {}  # those of all inputs, each once
    for given, sizes, valued in inputs:
        reason = "" if valued else why_asked(given, sizes.shape)
        if not (sizes.open or reason):
            continue
        missing.append(f"{given} ({reason})" if reason else str(given))
        if sizes.open:
            options |= dict.fromkeys(examples(sizes.shape, given.name, batch))
        if reason:
            value = f"{given.name}={example(given, sizes.shape)}"
            options[f"--input {shlex.quote(value)}"] = None
    if missing:
        raise UsageError(
            f"{model}: say first what is timed; sizes or values are missing of its input(s) "
            f"{'; '.join(missing)}; for example: harness benchmark {model.name} --device NAME "
            f"{' '.join(options)}"
        )


def _feed(model: Path, given: ModelInput, sizes: Sizes, array: Array | None, text: str) -> Feed:
    if array is None:
        values, told = chosen(given, sizes.known)
    else:
        values = fitted(model, given, sizes.known, array)
        told = f"sha256 {digest(values)[:16]}" if is_file(text) else f"value {array.item()}"
    fixed = sizes.shape == given.shape
    return Feed(given.name, given.dtype, sizes.known, values, told, sizes.chosen, fixed)


def is_free(described: Mapping[str, Any]) -> bool:
    """Whether an input that `to_json` described was fed as any version of ours would."""
    return (described["sizes"], described["values"]) == (OF_THE_FILE, RANDOM)
