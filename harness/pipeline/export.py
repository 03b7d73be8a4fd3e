"""`harness export`: a network as a bundle of files with a card that says what they are worth."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import __version__, files
from harness.deploy.front import Front, Point
from harness.errors import InfeasibleConstraint, MissingExtra, UsageError
from harness.hints import nearest
from harness.pipeline.evaluate import images_for
from harness.pipeline.extract import ExtractRequest, extract_network
from harness.pipeline.file_accuracy import JUDGES
from harness.pipeline.front import range_images
from harness.pipeline.job import Run
from harness.reports.card import card
from harness.reports.pareto import shown_accuracy
from harness.spaces.block import NUMBER_BYTES
from harness.tables.statements import WORDS

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.deploy.bundle import Written
    from harness.deploy.formats import Format
    from harness.networks.file import NetworkFile

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,99}")


@dataclass(frozen=True)
class Bundle:
    """What is asked for."""

    folder: Path
    network: Path | None = None
    device: str | None = None  # whose front, where no network is given
    max_latency_ms: float | None = None
    at: str | None = None  # which time of it: "full", "p50", ...; None: the one that ships
    supernet: Path | None = None  # that holds the weights, where the front's own does not
    data: Path | None = None  # a folder of images
    formats: str | None = None  # as `onnx,pt2`; None: the usual ones that can be made here
    license: str | None = None  # under which it is published: model hubs' metadata in its README


def export(job: Run, asked: Bundle) -> dict[str, Any]:
    """Write the bundle; what is in it, as its bundle.json has it.

    Raises:
        UsageError: neither a network nor a device is named, or there is no such format, or no
            license has such a name.
        MissingExtra: a format that was asked for needs what is not installed.
        InfeasibleConstraint: no verified network of the front is fast enough by its upper end.
        ConversionFailed: a file does not compute what the network does.
    """
    if asked.license is not None and not _LICENSE.fullmatch(asked.license):
        raise UsageError(f"--readme {asked.license!r}: a license by its name, such as apache-2.0")
    with files.changing(asked.folder.absolute()):
        return _export(job, asked)


def _formats(text: str | None) -> "list[Format]":
    """Raises UsageError where a word is no format."""
    from harness.deploy.formats import FORMATS

    known = {each.name: each for each in FORMATS}
    if text is None:
        return [each for each in FORMATS if each.unasked]
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise UsageError(f"--formats: no format {word!r}; {nearest(word, known)}")
    return [known[word] for word in dict.fromkeys(words)]


def _export(job: Run, asked: Bundle) -> dict[str, Any]:
    if asked.device is not None and asked.data is None:  # of its own images, where it had any
        asked = replace(asked, data=job.training.data)
    from harness.networks.file import NetworkFile

    formats = _formats(asked.formats)
    path = asked.folder / "network.pt"
    front: Front | None = None
    if asked.network is not None:
        network = NetworkFile.load(asked.network)
        asked.folder.mkdir(parents=True, exist_ok=True)
    else:
        front, number = _chosen(job, asked)
        asked.folder.mkdir(parents=True, exist_ok=True)
        wanted = ExtractRequest(f"front:{number}", str(asked.device), asked.supernet, None, None)
        extract_network(job, wanted, path)
        network = NetworkFile.load(path)
    judges, ranges = None, None
    if asked.data is not None:
        network, judges, ranges = _on_images(
            network, asked.network or path, asked.data, asked.folder
        )
    network.save(path)
    written, left_out = _written(job, asked, formats, network, path, ranges, judges)
    facts = _facts(asked, network, written, 0 if judges is None else len(judges[1]))
    facts["left_out"] = left_out
    facts["latency"] = None if front is None else _promised(front, number)
    files.write_json(asked.folder / "bundle.json", facts)
    files.write_text(asked.folder / "README.md", card(facts, asked.license))
    if ranges is not None:
        ranges.unlink()
    return facts


def _written(
    job: Run,
    asked: Bundle,
    formats: "Sequence[Format]",
    network: "NetworkFile",
    source: Path,
    ranges: Path | None,
    judges: tuple[Any, Any] | None,
) -> "tuple[list[Written], dict[str, str]]":
    """The files, and by their names why others are not there: those of an earlier bundle go.

    Raises:
        MissingExtra: a format that was asked for needs what is not installed.
    """
    from harness.deploy.bundle import write
    from harness.deploy.formats import FORMATS

    if (asked.folder / "bundle.json").exists():
        for each in FORMATS:
            _remove(each, asked.folder)
    written, left_out = [], {}
    with job.listener.step("export") as progress:
        for done, each in enumerate(formats, start=1):
            if network.decodes and not each.loops and asked.formats is None:
                left_out[each.file] = "decoders go on step by step, which .pt2 and .onnx files hold"
                continue
            try:
                written.append(write(each, network, source, asked.folder, ranges, judges))
            except MissingExtra as error:
                _remove(each, asked.folder)  # nobody could load it again
                if asked.formats is not None:
                    raise
                left_out[each.file] = str(error)
            progress(done, len(formats))
    return written, left_out


def _remove(format_: "Format", folder: Path) -> None:
    for name in format_.files:
        (folder / name).unlink(missing_ok=True)


def _chosen(job: Run, asked: Bundle) -> tuple[Front, int]:
    """The device's front, and which of its networks was asked for."""
    if asked.device is None:
        raise UsageError("export takes a network file, or --device and --max-latency-ms")
    front = Front.load(job.workspace.front(asked.device, job.space.name), job.space)
    number, _ = best_within(front, asked.max_latency_ms, asked.at)
    return front, number


def best_within(front: Front, limit: float | None, at: str | None = None) -> tuple[int, Point]:
    """The most accurate verified network whose time has its upper end at `limit` ms or below.

    Pages pick by the same rule. `at`: which time.

    Raises:
        InfeasibleConstraint: there is none.
        UsageError: the front does not tell that time.
    """
    time = front.time(at)
    within = [
        (number, point)
        for number, point in enumerate(front.points)
        if point.latency_ms_measured is not None
        and (upper_ms := point.upper_ms(time)) is not None
        and (limit is None or upper_ms <= limit)
    ]
    if not within:
        verified = [p for p in front.points if p.latency_ms_measured is not None]
        upper = [p.upper_ms(time) for p in verified]
        fastest = min((each for each in upper if each is not None), default=None)
        why = (
            "none is verified: `harness verify`"
            if fastest is None
            else f"the fastest: {fastest:.4g}"
        )
        raise InfeasibleConstraint(
            f"no verified network of {front.device} takes {limit:g} ms or less {WORDS[time]}, by "
            f"the upper end of its 95 % interval ({why})"
            if limit is not None
            else f"no network of {front.device} is verified: `harness verify`"
        )
    return max(within, key=lambda each: shown_accuracy(each[1]))


def _on_images(
    network: "NetworkFile", source: Path, data: Path, folder: Path
) -> "tuple[NetworkFile, tuple[Any, Any], Path]":
    """The network with statistics of these images; images to judge by, and to collect ranges on."""
    from harness.networks.build import fold_eps
    from harness.networks.file import Preprocessing
    from harness.training import bn

    images = images_for(network, source, data)
    resolution = network.preprocessing.resolution
    if network.origin.get("data") != images.facts:  # else they are of these already
        module = network.module()
        bn.recompute(module, images.calibration(resolution))
        fold_eps(module)
        network = replace(
            network,
            weights=dict(module.state_dict()),
            preprocessing=Preprocessing(resolution, images.mean, images.std),
            classes=images.classes,
        )
    tests = images.tests(resolution)
    every = np.linspace(0, len(tests.labels) - 1, min(JUDGES, len(tests.labels))).astype(int)
    judges = np.ascontiguousarray(tests.images.numpy()[every]), tests.labels[every]
    ranges = folder / "ranges.npy"
    np.save(ranges, range_images(images, resolution))
    return network, judges, ranges


def _promised(front: Front, number: int) -> dict[str, Any]:
    """What verifying said of the network; these very files were not timed."""
    point = front.point(number)
    return {
        "device": front.device,
        "network": f"front:{number}",
        "images_per_run": front.images_per_run,
        "predicted_ms": point.latency_ms,
        "told": "simulated whole" if front.simulated else "measured",
        "measured_ms": point.latency_ms_measured,
        "measured_ms_interval": point.latency_ms_measured_interval,
        "seen_ms": dict(point.seen_ms_measured),
        "older": front.older,
        "accuracy": point.accuracy_measured,
        "accuracy_interval": point.accuracy_measured_interval,
        "evaluated_on": (front.verification or {}).get("evaluated_on"),
    }


def _facts(
    asked: Bundle,
    network: "NetworkFile",
    written: "list[Written]",
    judged: int,
) -> dict[str, Any]:
    from harness.runtimes.tflite_micro import MICRO, has_micro

    names = ["torch", "onnx", "onnxruntime", "ai-edge-litert", "litert-torch", "ai-edge-quantizer"]
    names += ["openvino", "executorch", "ncnn", "pnnx", "MNN"]
    names += [MICRO] if has_micro() else []
    return {
        "kind": "bundle",
        "schema": 1,
        "harness": __version__,
        "versions": dict(_installed(names)),
        "space": network.space,
        "arch": network.arch.to_json() if network.arch else None,
        "macs": sum(block.macs for block in network.blocks),
        "params": sum(block.params for block in network.blocks),
        "peak_activations_bytes": {
            precision: size * max(block.peak_activations for block in network.blocks)
            for precision, size in NUMBER_BYTES.items()
        },
        "preprocessing": vars(network.preprocessing),
        "classes": list(network.classes),
        "unit": "tokens" if network.decodes else "pixels",
        "data": None if asked.data is None else str(asked.data),
        "judged_on": judged,
        "files": [asdict(each) for each in written],
    }


def _installed(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The packages of these that are there, with their versions."""
    for name in names:
        with suppress(PackageNotFoundError):
            yield name, version(name)
