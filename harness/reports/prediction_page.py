"""One page of what model files are predicted to take: the network drawn kernel by kernel."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

from harness import files
from harness.predictors.kernel_networks import Part
from harness.predictors.model_prediction import ModelPrediction
from harness.reports.page import templates
from harness.reports.style import COLOURS
from harness.tables.repeat import NORMAL95

HOT = 10  # kernels that take most
STAGES = {"convolution": COLOURS[0], "depthwise": COLOURS[5], "product": COLOURS[2]}
STAGES |= {"moving": COLOURS[1]}
_WIDE, _HIGH, _LEAST = 8, 120, 1  # of a drawn kernel; its height in pixels


@dataclass(frozen=True)
class Drawn:
    """A kernel as it is drawn and listed."""

    place: int  # in the order of execution, from 1
    part: Part
    longest: float  # share of the network's slowest kernel

    @property
    def known(self) -> bool:
        return self.part.latency_ms is not None

    @property
    def colour(self) -> str:
        return STAGES.get(self.part.kernel.stage, COLOURS[6])

    @property
    def left(self) -> int:
        return (self.place - 1) * _WIDE

    @property
    def tall(self) -> float:
        """Pixels; what is not known is as tall as can be, and empty."""
        share = self.part.share / self.longest if self.longest else 0
        return max(_LEAST, _HIGH * share) if self.known else _HIGH

    @property
    def shape(self) -> str:
        return "x".join(map(str, self.part.kernel.output_shape))

    @property
    def interval_ms(self) -> tuple[float, float] | None:
        """Of 95 %; None of what is not known, or was timed itself."""
        if self.part.latency_ms is None or not self.part.log_sd:
            return None
        far = exp(NORMAL95 * self.part.log_sd)
        return self.part.latency_ms / far, self.part.latency_ms * far

    @property
    def told(self) -> str:
        """In a line."""
        took = "not known"
        if self.part.latency_ms is not None:
            took = f"{self.part.latency_ms:.4g} ms, {self.part.share:.1%}"
        return f"{self.place}. {self.part.name}: {self.part.kernel.op}, {self.shape}; {took}"


def save_prediction_page(
    found: Sequence[ModelPrediction], path: Path, budget_ms: float | None = None
) -> None:
    """Of each file on each device; a file that needs nothing else."""
    page = templates().get_template("prediction.html")
    shown = [_shown(each) for each in found]
    values = {"shown": shown, "budget_ms": budget_ms, "high": _HIGH, "wide": _WIDE}
    files.write_text(path, page.render(**values))


def _shown(each: ModelPrediction) -> dict[str, Any]:
    longest = max((part.share for part in each.latency.parts), default=0.0)
    kernels = [
        Drawn(place, part, longest) for place, part in enumerate(each.latency.parts, start=1)
    ]
    known = [kernel for kernel in kernels if kernel.known]
    operators: dict[str, list[Drawn]] = {}
    for kernel in known:
        operators.setdefault(kernel.part.kernel.variant, []).append(kernel)
    shares = {
        name: (len(own), sum(one.part.share for one in own)) for name, own in operators.items()
    }
    there = {kernel.part.kernel.stage for kernel in kernels}
    return {
        "of": each,
        "name": Path(each.model).name,
        "stages": {name: colour for name, colour in STAGES.items() if name in there},
        "kernels": kernels,
        "hot": sorted(known, key=lambda kernel: -kernel.part.share)[:HOT],
        "operators": sorted(shares.items(), key=lambda pair: -pair[1][1])[:HOT],
        "unknown": sorted(each.latency.unknown.items()),
    }
