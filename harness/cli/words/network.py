"""Networks in words: what was made, what it is worth, what it takes elsewhere."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.pipeline.elsewhere import Elsewhere
from harness.pipeline.evaluate import Accuracy
from harness.pipeline.extract import Extracted
from harness.pipeline.finetune import FineTuned
from harness.pipeline.space_of_model import SpaceOfModel

NOT_COMPARED = (
    "not judged: rounding to 8 bits changes what it answers as much as another image does"
)


def describe_extracted(made: Extracted) -> str:
    """The network file, and what is to be known of its weights."""
    line = f"network file: {made.path}"
    if (own := made.published) is not None:
        stated = ", which the file states" if own.stated else ""
        random = "; weights are random (--weights): good for timing only" if made.random else ""
        return (
            f"{line}, {own.resolution} pixels{stated}, {own.macs / 1e6:.4g}M MACs, "
            f"{own.params / 1e6:.3g}M parameters{random}"
        )
    if made.random:
        return f"{line}; weights are random: good for timing only"
    if made.bn_images is None:
        return line
    if not made.bn_images:
        return (
            f"{line}; its batch-norm statistics are the supernet's, not recomputed for this "
            "network: good for timing, and for accuracy only with --data to recompute them on"
        )
    others = "; these are other images than the supernet was trained on"
    return (
        f"{line}; batch-norm statistics from {made.bn_images} images of {made.data}"
        f"{others if made.other_images else ''}"
    )


def describe_finetuned(made: FineTuned) -> str:
    left = "" if made.weights is None else "; {} of {} weights left".format(*made.weights)
    return (
        f"network file: {made.path}; accuracy on {made.images} held-out images "
        f"{made.after:.1f} %, before {made.before:.1f} %{left}"
    )


def describe_accuracy(found: Accuracy) -> str:
    low, high = found.interval
    damage = f"; {found.damage}" if found.damage else ""
    return (
        f"{found.network}: top-1 {100 * found.right / found.total:.2f} % on {found.total} "
        f"{found.images} images of {found.data} "
        f"(95 %: {100 * low:.2f} to {100 * high:.2f}){damage}"
    )


def bundle_lines(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """The files of a bundle, and which are not there and why."""
    yield f"bundle: {folder}"
    for each in facts["files"]:
        right = (
            f"{each['accuracy']:.1f} %" if each["accuracy"] is not None else "accuracy not known"
        )
        yield (
            f"  {each['file']:<22} {each['size_bytes'] / 1e6:7.2f} MB  {right}, logits within "
            f"{each['largest_difference']:.1e} of torch's, same class on {each['same_answers']:.0%}"
        )
        if not each["compared"]:
            yield f"  {'':<22} {NOT_COMPARED}"
        if each["second_reader"]:
            yield f"  {'':<22} {each['second_reader']}"
    for file, why in facts["left_out"].items():
        yield f"  left out: {file}: {why}"


def describe_elsewhere(found: Elsewhere) -> str:
    ends = found.latency_ms_interval
    interval = "" if ends is None else f" ({ends[0]:.4g} to {ends[1]:.4g}, 95 %)"
    return (
        f"{found.network} on {found.device}: {found.latency_ms:.4g} ms{interval}; {found.rests_on}"
    )


def describe_space_of_model(made: SpaceOfModel, path: Path) -> Iterator[str]:
    """What was written, the network in it, and what to do next."""
    space, network = made.space, made.network
    blocks = len(space.distinct_blocks())
    yield f"{path}: {space.name}, {blocks} blocks at {space.resolutions} pixels"
    yield f"the network itself: {json.dumps(made.arch.to_json())}"
    for what, of_file, of_arch in (
        ("MACs", network.macs, made.macs),
        ("parameters, batch norms folded", network.params, made.params),
    ):
        yield f"{what}: {of_file} in the file, {of_arch} in the space"
    for apart in network.apart:
        yield f"unlike the space: {apart}"
    there = "" if path.parent == Path() else f"in {path.parent}: "
    yield (
        f"next, {there}harness measure --space {path.stem}:SPACE --device cpu; "
        f"harness train --space {path.stem}:SPACE --data FOLDER --recipe images"
    )
