"""`harness spaces from MODEL`: the space around a network of somebody's, as a Python file."""

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

from harness import files
from harness.errors import UsageError
from harness.graphs.blocks_of_onnx import NetworkOfBlocks, read_blocks
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.spaces.arch import Arch
from harness.spaces.around import space_around
from harness.spaces.mobile import MobileSpace
from harness.spaces.resnet import ResNetSpace


@dataclass(frozen=True)
class SpaceOfModel:
    """A space, the arch in it that is the network, and the network as the file has it."""

    space: MobileSpace | ResNetSpace
    arch: Arch
    network: NetworkOfBlocks

    @property
    def macs(self) -> int:
        """Of the arch."""
        return sum(block.macs for block in self.space.blocks(self.arch))

    @property
    def params(self) -> int:
        """Of the arch, with batch norms folded into biases."""
        return sum(block.params - block.normalised for block in self.space.blocks(self.arch))


def space_of_model(model: Path, output: Path, asked: Asked = NOTHING_ASKED) -> SpaceOfModel:
    """Read an .onnx file, and write a module with its space and arch.

    Raises:
        UsageError: it fits no space, with the first part that does not; or there is a file already.
        FileFormatError, MissingExtra: as `graphs.blocks_of_onnx.read_blocks`.
        WorkspaceError: the module cannot be written.
    """
    if not (output.stem.isidentifier() and output.suffix == ".py"):
        raise UsageError(f"--output {output} is no Python module: name it as in my_space.py")
    if output.exists():
        raise UsageError(f"{output} is there, and may have been edited: name another --output")
    if model.suffix.lower() != ".onnx":
        raise UsageError(f"{model} is no .onnx file: export the network to one")
    if not model.is_file():
        raise UsageError(f"there is no file {model}")
    files.check_regular(model)
    network = read_blocks(model, asked)
    # The prefix keeps it apart from the names of our own.
    name = re.sub(r"[^a-z0-9.]+", "-", f"like-{model.stem.lower()}").strip("-.")
    try:
        space, arch = space_around(network.blocks, name, f"Around {model.name}")
    except UsageError as error:
        raise UsageError(f"{model} fits no space: {error}") from error
    files.replace_atomically(output, _module(space, arch, model).encode(), "name another --output")
    return SpaceOfModel(space, arch, network)


def _module(space: MobileSpace | ResNetSpace, arch: Arch, model: Path) -> str:
    family, stage = ("resnet", "") if isinstance(space, ResNetSpace) else ("mobile", ", Stage")
    lines = [
        f"# Networks like {model.name!a}; edit the choices as you like.",
        "",
        "from harness.spaces.arch import Arch",
        f"from harness.spaces.{family} import {type(space).__name__}{stage}",
        "",
        f"SPACE = {type(space).__name__}(",
        *(_field(each.name, getattr(space, each.name)) for each in fields(space)),
        ")",
        "# The network itself.",
        f"ARCH = Arch.from_json({json.dumps(arch.to_json())})",
        "",
    ]
    return "\n".join(lines)


def _field(name: str, value: object) -> str:
    if name != "stages" or not isinstance(value, tuple):
        return f"    {name}={value!a},"
    return "\n".join([f"    {name}=(", *(f"        {each!a}," for each in value), "    ),"])
