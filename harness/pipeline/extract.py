"""Taking one network out: of a front, of a released supernet, of what others published."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import files
from harness.deploy.front import Front
from harness.errors import FileFormatError, UsageError
from harness.pipeline.fetch import PUBLISHED
from harness.pipeline.front import found_front
from harness.pipeline.job import Run
from harness.pipeline.notices import Remark
from harness.pipeline.supernet import train
from harness.spaces.arch import Arch

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.supernet.supernet import Supernet


INIT = Path("init")
GREY = 0.5, 0.5  # mean and standard deviation where no images have said theirs


@dataclass(frozen=True)
class ExtractRequest:
    """Which network, and where its weights are."""

    network: str  # front:7, or a file with an arch or a net.config
    device: str  # whose front
    supernet: Path | None  # ours, or as the OFA authors release them
    weights: Path | None  # of a net.config; of an arch or point just `init`, untrained ones
    resolution: int | None  # of a net.config, pixels
    data: Path | None = None  # a folder of images, for batch-norm statistics


@dataclass(frozen=True)
class Published:
    """What a net.config of others says of its network."""

    resolution: int
    stated: bool  # by the file, where nobody asked for another
    macs: int
    params: int


@dataclass(frozen=True)
class Extracted:
    """A network file, and what its weights and batch-norm statistics are."""

    path: Path
    random: bool = False
    bn_images: int | None = None  # that statistics are from; 0: a supernet's own; None: as trained
    data: Path | None = None  # those images
    other_images: bool = False  # than the supernet was trained on
    published: Published | None = None


def extract_network(job: Run, asked: ExtractRequest, output: Path) -> Extracted:
    """Write a network file.

    Raises:
        UsageError: what was asked for does not say which network, or which weights.
        FileFormatError: a file is broken, or does not fit.
    """
    if asked.data is not None and asked.supernet is None:
        raise UsageError("--data is for networks of a --supernet: their statistics are recomputed")
    if asked.supernet is not None and asked.weights is not None:
        raise UsageError("--weights are of a net.config, --supernet of an arch or point: give one")
    word, _, number = asked.network.partition(":")
    if word == "front" and number.isdecimal():
        _only_of_a_config(asked)
        front = found_front(job, asked.device)
        arch = front.point(int(number)).arch
        if asked.weights is not None:
            return _untrained(job, arch, output)
        if asked.supernet is not None:
            return _from_supernet(job, arch, asked, output)
        return _from_front(job, front, arch, output)
    path = Path(asked.network)
    if not path.exists():
        raise UsageError(
            f"{asked.network!r} is neither a point (front:7 for the eighth) nor a file with an "
            "arch or a net.config"
        )
    content = files.read_json(path)
    if isinstance(content, dict) and "blocks" in content:
        return _published(asked, path, content.get("resolution"), output)
    _only_of_a_config(asked)
    try:
        arch = Arch.from_json(content)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    if asked.weights is not None:
        return _untrained(job, arch, output)
    if asked.supernet is None:
        raise UsageError(f"{path} is an arch: {_whose_weights(job)}")
    return _from_supernet(job, arch, asked, output)


def _only_of_a_config(asked: ExtractRequest) -> None:
    if asked.resolution is not None:
        raise UsageError("--resolution is of a net.config")
    if asked.weights not in (None, INIT):
        raise UsageError(
            f"--weights {asked.weights}: files of weights are of a net.config; an arch or point "
            "takes those of --supernet, or untrained ones by --weights init"
        )


def _whose_weights(job: Run) -> str:
    """What to do where nobody says which."""
    name = job.space.name
    brings = f" (`harness fetch {name}` brings the OFA authors')" if name in PUBLISHED else ""
    return f"--supernet FILE says where weights are{brings}; --weights init takes untrained ones"


def _untrained(job: Run, arch: Arch, output: Path) -> Extracted:
    """Of the arch with random weights, the same each time."""
    from harness.networks.build import build_lively

    space = job.space.including(arch.resolution)
    blocks = space.blocks(arch)
    weights = build_lively(blocks, seed=0).state_dict()
    _save(output, space.name, arch, blocks, weights, {"weights": "random"})
    return Extracted(output, random=True)


def _from_front(job: Run, front: Front, arch: Arch, output: Path) -> Extracted:
    from harness.deploy.extract import extract

    if job.accuracy:
        raise UsageError(
            f"the front of {front.device} was found with accuracies from {job.accuracy}: "
            f"{_whose_weights(job)}"
        )
    extract(train(job), arch, {"recipe": job.supernet.recipe.settings}).save(output)
    return Extracted(output)


def _from_supernet(job: Run, arch: Arch, asked: ExtractRequest, output: Path) -> Extracted:
    """From a supernet's file; without images its statistics are those of the largest network."""
    from harness.networks.build import fold_eps
    from harness.supernet.loading import load_supernet
    from harness.supernet.translating import TranslatingSupernet

    assert asked.supernet is not None
    space = job.space.including(arch.resolution)
    if remark := space.about_resolutions:
        job.listener.tell(Remark(remark))
    network = load_supernet(asked.supernet, space)
    source = None
    if isinstance(network, TranslatingSupernet):
        if asked.data is not None:
            raise UsageError(f"--data is of images, {space.name} is of sentences")
        source = network.source_of(arch)
    if asked.data is not None:
        return _on_images(network, arch, asked, output)
    static = network.extract(arch)
    fold_eps(static)
    origin = {"supernet": str(asked.supernet), "bn_images": 0}
    blocks, weights = network.space.blocks(arch), static.state_dict()
    _save(output, network.space.name, arch, blocks, weights, origin, source)
    return Extracted(output, bn_images=0)


def _on_images(network: "Supernet", arch: Arch, asked: ExtractRequest, output: Path) -> Extracted:
    from harness.deploy.extract import extract
    from harness.supernet.loading import data_facts
    from harness.training.evaluate import SubnetEvaluator
    from harness.training.folder import ImageFolder

    assert asked.data is not None
    assert asked.supernet is not None
    trained_on = data_facts(asked.supernet)
    channels = network.space.image_channels
    data = ImageFolder.open(asked.data, trained_on.get("seed", 0), channels=channels)
    if len(data.classes) != network.space.classes:
        raise UsageError(
            f"{asked.supernet} has {network.space.classes} classes, {asked.data} "
            f"{len(data.classes)}: statistics are of the images that it was trained on"
        )
    file = extract(SubnetEvaluator(network, data), arch, {"file": str(asked.supernet)})
    file.save(output)
    others = trained_on.get("digest", data.facts["digest"]) != data.facts["digest"]
    return Extracted(
        output, bn_images=file.origin["bn_images"], data=asked.data, other_images=others
    )


def _published(asked: ExtractRequest, path: Path, own: Any, output: Path) -> Extracted:
    """`own`: the resolution that the file states, if it does."""
    from harness.networks.published import PublishedNetwork

    resolution = asked.resolution or own
    if type(resolution) is not int or resolution < 1:
        raise UsageError(f"{path} does not say for which images: --resolution (see its run.config)")
    network = PublishedNetwork.load(path, resolution)
    weights = network.weights(asked.weights)
    origin = {"net.config": str(path), "weights": str(asked.weights or "random")}
    _save(output, "published", None, network.blocks, weights, origin)
    macs = sum(block.macs for block in network.blocks)
    params = sum(block.params for block in network.blocks)
    published = Published(resolution, not asked.resolution, macs, params)
    return Extracted(output, random=not asked.weights, published=published)


def _save(
    output: Path,
    space: str,
    arch: Arch | None,
    blocks: Any,
    weights: Any,
    origin: dict[str, Any],
    source: Any = None,
) -> None:
    from harness.networks.file import IMAGENET, NetworkFile, Preprocessing

    first, last = blocks[0].input_shape, blocks[-1].output_shape
    of_images = len(first) == 3
    resolution, classes = (first[-1], last[0]) if of_images else (first[0], last[-1])
    colours = of_images and first[0] == len(IMAGENET[0])
    NetworkFile(
        space=space,
        arch=arch,
        blocks=tuple(blocks),
        weights=dict(weights),
        preprocessing=Preprocessing(resolution, *(IMAGENET if colours else GREY)),
        classes=tuple(str(number) for number in range(classes)),
        origin=origin,
        source=source,
    ).save(output)
