"""What the interactive part of a page is given: fronts as JSON."""

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from harness.deploy.front import Front, Point, four_digits
from harness.reports.architectures import Layer, colour_of, kernels, layers
from harness.reports.beside import Beside
from harness.reports.pareto import origin
from harness.reports.references import Reference
from harness.reports.style import COLOURS, PAGE
from harness.reports.trust import Doubt
from harness.spaces.arch import Arch, spoken
from harness.spaces.space import Space
from harness.tables.record import SEEN
from harness.tables.repeat import Interval
from harness.tables.statements import WORDS

_DIGITS = 6  # that figures keep


@dataclass(frozen=True)
class Shown:
    """A front with all that a page says of it."""

    front: Front
    space: Space
    doubts: tuple[Doubt, ...]
    others: tuple[Reference, ...] = ()
    parts_ms: Mapping[int, Sequence[float]] | None = None  # by point: its blocks, where known
    beside: Beside | None = None  # devices of others
    space_text: str | None = None  # how the space is asked for, where that is not its name

    @property
    def where(self) -> str:
        """Which front, as options of a command."""
        words = f"--device {shlex.quote(self.front.device)}"
        named = self.space_text or self.front.space
        return words if named == "digits" else f"{words} --space {shlex.quote(named)}"


def content(shown: Sequence[Shown]) -> dict[str, Any]:
    """All that is hovered over, drawn and picked."""
    drawn = [layers(each.space, p.arch) for each in shown for p in each.front.points]
    return {
        "space": shown[0].front.space,
        "layer": LAYER,
        "colours": PAGE["fronts"],
        "kernels": {str(k): colour_of(k) for k in kernels(drawn)},
        "fronts": [_front(each, number) for number, each in enumerate(shown)],
    }


def _front(shown: Shown, number: int) -> dict[str, Any]:
    front = shown.front
    return {
        "device": front.device,
        "runtime": str(front.identity.get("runtime", "unknown")),
        "colour": COLOURS[number % len(COLOURS)],
        "origin": origin(front),
        "images_per_run": front.images_per_run,
        "told": "simulated" if front.simulated else "measured",
        "times": _times(front),
        "time": front.time(None),
        "older": front.older,
        "test_images": (front.verification or {}).get("test_images"),
        "evaluated_on": (front.verification or {}).get("evaluated_on"),
        "examples": shown.space.examples,
        "scored": front.scored,
        "mark": front.mark,
        "caveat": front.accuracy_predictor.get("caveat"),
        "cloud_is": "both predicted"
        if front.settings.get("accuracy")
        else f"latency predicted, accuracy on validation {shown.space.examples}",
        "doubts": [each.what for each in shown.doubts],
        "commands": commands(shown),
        "points": [_point(shown, n, point) for n, point in enumerate(front.points)],
        "cloud": [[_few(d["latency_ms"]), _few(d["accuracy"])] for d in front.cloud],
        "others": [
            {
                "group": each.group,
                "name": each.name,
                "ms": each.latency_ms,
                "accuracy": each.accuracy,
                "source": each.source,
            }
            for each in shown.others
        ],
    }


def _point(shown: Shown, number: int, point: Point) -> dict[str, Any]:
    parts = (shown.parts_ms or {}).get(number, ())
    return {
        "ms": _short(point.latency_ms),
        "ms_interval": _ends(point.latency_ms_interval),
        "ms_measured": _short(point.latency_ms_measured),
        "ms_measured_interval": _ends(point.latency_ms_measured_interval),
        "upper_ms": {at: point.upper_ms(at) for at in shown.front.times},
        "seen": _seen(point),
        "ms_wall": _short(point.latency_ms_wall_median),
        "accuracy": _short(point.accuracy),
        "accuracy_interval": _ends(point.accuracy_interval),
        "accuracy_measured": _short(point.accuracy_measured),
        "accuracy_measured_interval": _ends(point.accuracy_measured_interval),
        "macs": point.macs,
        "params": point.params,
        "size": f"{point.arch.resolution} {shown.space.unit}",
        "stages": stages(shown.space, point.arch),
        "layers": [_layer(layer) for layer in layers(shown.space, point.arch, parts)],
    }


def _times(front: Front) -> dict[str, str]:
    """Which times are known, in words; what was not measured here has no full speed."""
    words = {at: WORDS[at] for at in front.times}
    if front.simulated or front.table.get("source"):
        words["full"] = "by the device's model" if front.simulated else "as imported"
    return words


def _seen(point: Point) -> dict[str, list[float]]:
    """What users see, measured where it was, each with its interval."""
    seen = {**point.seen_ms, **point.seen_ms_measured}
    return {at: [four_digits(each) for each in seen[at]] for at in SEEN if at in seen}


LAYER = ("stage", "kind", "kernel", "expand", "width", "out", "size", "stride", "ms")


def _layer(layer: Layer) -> list[Any]:
    """As LAYER names its values; a layer that is left out has its stage alone.

    There are thousands on a page, so that names would be most of it.
    """
    block, look = layer.block, layer.look
    if block is None or look is None:
        return [layer.stage]
    sizes = (_few(look.expand), look.width, look.out, look.size, look.stride)
    return [layer.stage, block.kind, look.choice, *sizes, _few(layer.latency_ms)]


def _few(value: float | None) -> float | None:
    """As many digits as a drawing shows."""
    return None if value is None or not isfinite(value) else float(f"{value:.3g}")


def commands(shown: Shown) -> dict[str, str]:
    """How to get a network: `{ms}` stands for the budget, `{at}` for the time that it is of, and
    `{number}` for the network's place on the front.

    `one`: a network by its number. `best`: that for a budget, where the front is verified. `first`:
    what verifies it. None where networks of the space are not built here; where none has weights,
    the last alone.
    """
    front, where = shown.front, shown.where
    if not shown.space.built:
        return {}
    measured = front.verification is not None or front.table.get("source")
    first = {} if measured else {"first": f"harness verify {where}"}
    if not shown.space.has_supernet:
        return first
    weights = "" if front.settings.get("supernet") else " --supernet SUPERNET"
    found = {
        "one": f"harness extract front:{{number}} my-network.pt {where}{weights}\n"
        "harness export my-network --network my-network.pt"
    }
    if front.verification is not None:
        found["best"] = (
            f"harness export my-network {where} --max-latency-ms {{ms}} --at {{at}}{weights}"
        )
    return found | first


def stages(space: Space, arch: Arch) -> list[str]:
    """Each stage's layers with what was chosen for them, as `k5e6`."""
    found: dict[int, list[str]] = defaultdict(list)
    for index in space.active(arch):
        place = space.places[index]
        genes = (space.genes[column] for column in place.genes[1:])
        layer = "".join(
            f"{_initials(gene.part)}{arch.part(gene.part)[gene.index]:g}" for gene in genes
        )
        if place.stage is not None:
            found[place.stage].append(layer)
    return [" ".join(each) for each in found.values()]


def legend(space: Space) -> str:
    """What the letters of `stages` mean."""
    columns = (c for place in space.places if place.stage is not None for c in place.genes[1:])
    parts = dict.fromkeys(space.genes[column].part for column in columns)
    return ", ".join(f"{_initials(part)}: {spoken(part).removesuffix('s')}" for part in parts)


def _initials(part: str) -> str:
    return "".join(word[0] for word in part.split("_"))


def _ends(interval: Interval | None) -> list[float] | None:
    """As they are shown and held against a budget."""
    return None if interval is None else [four_digits(end) for end in interval]


def _short(value: float | None) -> float | None:
    """As many digits as anybody reads."""
    return None if value is None or not isfinite(value) else float(f"{value:.{_DIGITS}g}")
