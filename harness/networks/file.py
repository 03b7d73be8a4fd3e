"""Network files: a sub-network that can leave the supernet, in one safe file."""

import io
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

import torch
from pydantic import Field
from torch import nn
from typing_extensions import TypedDict

from harness import files
from harness.errors import CheckpointError, FileFormatError
from harness.networks.build import build
from harness.schema import FileName, Number, checked
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.transformer import DECODING, Vocabulary

SCHEMA = 1
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of its channels, as everybody uses them."""
NO_NETWORK = "; models of other tools are timed as .onnx or .tflite files: export it to one"
_UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)  # what torch raises for foreign files


_Spread = Annotated[float, Field(gt=0, le=1e6)]


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the network's input: resized bilinearly, then (x - mean) / std."""

    resolution: Annotated[int, Field(strict=True, gt=0, le=10_000)]  # height and width, pixels
    mean: Number | tuple[Number, ...]  # of pixel values in [0, 1], of all or of each channel
    std: _Spread | tuple[_Spread, ...]


class _Content(TypedDict):
    """Of a network file."""

    space: FileName
    arch: dict[str, Any] | None
    blocks: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    weights: dict[str, Any]
    preprocessing: Preprocessing
    classes: list[str]
    origin: dict[str, Any]
    source: NotRequired[Any]


@dataclass(frozen=True)
class NetworkFile:
    """A static network with weights and BN statistics, and all that is needed to use it."""

    space: str
    arch: Arch | None  # None for networks that are of no space
    blocks: tuple[Block, ...]
    weights: dict[str, torch.Tensor]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    origin: dict[str, Any]  # where it came from: supernet, seed, images the BN statistics saw
    # Of a trained translator: what its input is made of, for each word of the vocabulary and then
    # for each position [words + tokens, embed]. A token is the sum of two.
    source: torch.Tensor | None = None

    def module(self) -> nn.Sequential:
        """The network, ready for evaluation."""
        network = build(self.blocks)
        network.load_state_dict(self.weights)
        return network

    @property
    def decodes(self) -> bool:
        """Whether it goes on step by step."""
        return any(block.kind in DECODING for block in self.blocks)

    def _check_weights(self) -> None:
        """Raises ValueError where they are not of the blocks; nothing of their size is made."""
        with torch.device("meta"):
            wanted = {name: each.shape for name, each in build(self.blocks).state_dict().items()}
        given = {name: each.shape for name, each in self.weights.items()}
        apart = [name for name in wanted | given if wanted.get(name) != given.get(name)]
        if apart:
            raise ValueError(
                f"{len(apart)} of its weights are not those of its blocks, such as {apart[0]:.80}"
            )
        if self.source is not None:
            words, (tokens, embed) = self.blocks[-1], self.blocks[0].input_shape
            if not isinstance(words, Vocabulary) or self.source.shape != (
                words.words + tokens,
                embed,
            ):
                raise ValueError("its source is not that of its words and tokens")

    def save(self, path: Path) -> None:
        content = {
            "schema": SCHEMA,
            "kind": "network",
            "space": self.space,
            "arch": self.arch.to_json() if self.arch else None,
            "blocks": [block.key for block in self.blocks],
            "weights": self.weights,
            "preprocessing": vars(self.preprocessing),
            "classes": list(self.classes),
            "origin": self.origin,
        }
        if self.source is not None:
            content["source"] = self.source
        save_tensors(content, path)

    @classmethod
    def load(cls, path: Path) -> "NetworkFile":
        """Read a network file; nothing in it is executed.

        Raises:
            CheckpointError: the file is missing, broken, or not a network file.
        """
        content = load_tensors(path, "network")
        try:
            fields = checked(_Content, content)
            files.within_bounds([fields["origin"], fields["arch"], fields["classes"]])
            loaded = cls(
                space=fields["space"],
                arch=Arch.from_json(fields["arch"]) if fields["arch"] else None,
                blocks=tuple(Block.parse(key) for key in fields["blocks"]),
                weights=fields["weights"],
                preprocessing=fields["preprocessing"],
                classes=tuple(fields["classes"]),
                origin=fields["origin"],
                source=fields.get("source"),
            )
            loaded._check_weights()
        except (
            *(ValueError, TypeError, AttributeError, RuntimeError, ArithmeticError),
            FileFormatError,
        ) as error:
            raise CheckpointError(f"{path} is not a network file: {error}") from error
        return loaded


def save_tensors(content: dict[str, Any], path: Path) -> None:
    """Save with torch, in one step.

    Through memory: on a full disk torch's own writer fails with an error that hides the reason.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    files.replace_atomically(path, buffer.getvalue())


def load_tensors(path: Path, kind: str) -> dict[str, Any]:
    """A dictionary that we saved with torch, checked for its kind and schema.

    Raises:
        CheckpointError: the file is missing, broken, of another kind, or of a newer schema.
    """
    # It may be anybody's, who would lose it by obeying what we say.
    what_to_do = NO_NETWORK if kind == "network" else "; restore it, or move it away"
    content = read_tensors(path, f", so that it is not a {kind} file of harness{what_to_do}")
    if not isinstance(content, dict) or content.get("kind") != kind:
        raise CheckpointError(f"{path} is not a {kind} file of harness{what_to_do}")
    if content.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path} has schema {content.get('schema')}, this version reads {SCHEMA}; "
            "make the file again or update harness"
        )
    return content


def read_tensors(path: Path, what_to_do: str = "") -> Any:
    """What anybody saved with torch; nothing in it is executed.

    Raises:
        CheckpointError: the file is missing, broken, or holds more than tensors and plain values.
    """
    files.check_regular(path)
    files.check_inflates(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about foreign pickles, which are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except _UNREADABLE as error:
        raise CheckpointError(
            f"cannot read {path}: it is broken, or holds more than tensors and plain values"
            f"{what_to_do}"
        ) from error
