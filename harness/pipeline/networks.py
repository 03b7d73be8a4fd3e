"""Networks by what users write: `front:7`, a file with an arch, a network file."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from harness import files
from harness.deploy.front import Front
from harness.errors import FileFormatError, UsageError
from harness.hints import command
from harness.pipeline.job import Run
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.spaces.space import Space


@dataclass(frozen=True)
class NamedNetwork:
    """A network that somebody named."""

    name: str
    blocks: tuple[Block, ...]
    arch: Arch | None  # None: it is no sub-network of the space, though it may have its blocks
    space: Space  # at the arch's resolution, too


def network_named(job: Run, device: str, name: str) -> NamedNetwork:
    """The network; `device`: whose front a point is of.

    Raises:
        UsageError: it is neither a point nor a file with blocks.
        FileFormatError: the file is broken, or there is no such front or point.
    """
    if match := re.fullmatch(r"front:(\d+)", name):
        front = Front.load(job.workspace.front(device, job.space.name), job.space)
        return of_arch(job, name, front.point(int(match[1])).arch)
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{name!r} is neither a point (front:7) nor a file with a network")
    if path.suffix.lower() in (".onnx", ".tflite"):
        raise UsageError(
            f"{name} is a model file, whose blocks no table knows; give a point (front:7), an arch "
            f"or a network file. {command('benchmark', name, '--ops', '--device', 'NAME')} times "
            "such a file, and tells where its time goes"
        )
    if path.suffix.lower() == ".pt":
        return _in_network_file(job, path)
    content = files.read_json(path)
    try:
        return of_arch(job, name, Arch.from_json(content))
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error


def of_arch(job: Run, name: str, arch: Arch) -> NamedNetwork:
    """Of the job's space, at whatever resolution that runs at.

    Raises:
        FileFormatError: the arch is none of the space.
    """
    whole = find_space(job.space_text or job.space.name)
    try:
        space = whole.including(arch.resolution)
    except UsageError:  # the error about the arch says it
        space = whole
    return NamedNetwork(name, space.blocks(arch), arch, space)


def _in_network_file(job: Run, path: Path) -> NamedNetwork:
    """Its arch counts where its blocks are those of the space: it may have another head."""
    from harness.networks.file import NetworkFile

    file = NetworkFile.load(path)
    if file.arch is None or file.space != job.space.name:
        return NamedNetwork(str(path), file.blocks, None, job.space)
    own = of_arch(job, str(path), file.arch)
    return own if own.blocks == file.blocks else replace(own, blocks=file.blocks, arch=None)
