"""A roofline in lines."""

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import assert_never

from harness.hints import command
from harness.predictors.roofline import (
    FOUND,
    MNASNET,
    V2,
    FarSmaller,
    LeftOut,
    NoBaselines,
    NoFront,
    Note,
    OfFront,
    OtherModel,
    Roofline,
    RooflinePoint,
)
from harness.tables.batch import an_image, of_batch


def roofline_lines(shown: Roofline) -> Iterator[str]:
    """What stands behind it, each network, and how the found ones compare."""
    yield f"{shown.device}: {shown.evidence}"
    yield f"traffic: {shown.traffic}"
    for roof in shown.roofs:
        yield f"roof: {roof.peak_gops:.4g} GOPS, {roof.gb_s:.3g} GB/s {roof.what}"
    if not shown.roofs:
        yield "no roof: nobody measured how much the machine computes and moves at most"
    for note in shown.notes:
        yield describe_note(note, shown.device, shown.space)
    least, most = (">=", "<=") if shown.least else ("", "")
    images = shown.images_per_run
    if images > 1:
        yield f"MACs, ms and MB are of a run{of_batch(images)}"
    yield (
        f"{'network':<20} {'MACs, M':>9} {'ms':>9} {'GOPS':>9} {least + 'MB':>9} "
        f"{most + 'OPs/byte':>11}"
    )
    for work in shown.networks:
        yield (
            f"{work.name:<20} {work.macs / 1e6:9.2f} {work.latency_ms:9.4g} {work.gops:9.4g} "
            f"{work.traffic_bytes / 1e6:9.4g} {work.ops_per_byte:11.4g}"
            f"{an_image(work.latency_ms, images)}"
        )
    found = shown.group(FOUND)
    for baseline in shown.networks:
        if found and baseline.name in (MNASNET, V2):
            yield from _compared(found, baseline)


def describe_note(note: Note, device: str, space: str) -> str:
    """What is left out, how to get it, and what the others are."""
    again = command("measure", "--baselines", "--device", device)
    match note:
        case FarSmaller():
            return (
                "the baselines are networks for ImageNet at 224 pixels, far larger than those of "
                "here"
            )
        case NoFront(path):
            todo = command("search", "--front", "--device", device, "--space", space)
            return f"baselines alone: there is no {path}; {todo} makes it"
        case OtherModel(model):
            return f"the front was found with another model ({model}); simulated anew"
        case OfFront(measured, predicted):
            return f"found networks: {measured} measured, {predicted} predicted"
        case NoBaselines(imported=True):
            return f"no baselines: nobody timed them on {device}, whose table is imported"
        case NoBaselines(apart=(setting, theirs, ours)):
            return (
                f"no baselines: they were timed with {setting} = {theirs!r}, {space} with "
                f"{ours!r}; {again} times them anew"
            )
        case NoBaselines():
            return f"no baselines: {again} times them"
        case LeftOut(names, why):
            others = f" and {len(names) - 1} others" if len(names) > 1 else ""
            return f"left out: {names[0]}{others}: {why}"
        case _:
            assert_never(note)


def _compared(found: Sequence[RooflinePoint], baseline: RooflinePoint) -> Iterator[str]:
    intensity = [work.ops_per_byte / baseline.ops_per_byte for work in found]
    speed = [work.gops / baseline.gops for work in found]
    near = min(
        range(len(found)), key=lambda n: abs(math.log(found[n].latency_ms / baseline.latency_ms))
    )
    yield (
        f"found / {baseline.name}, median of {len(found)} (least to most): "
        f"{_spread(intensity)} in OPs/byte, {_spread(speed)} in GOPS; nearest in time, "
        f"{found[near].name}: {intensity[near]:.2f}x and {speed[near]:.2f}x"
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
