"""Which networks of fronts are drawn layer by layer, and how they are called there."""

from collections.abc import Sequence
from statistics import median

from harness.reports.architectures import Drawn, layers
from harness.reports.content import Shown
from harness.reports.pareto import shown_accuracy, shown_ms
from harness.tables.batch import an_image


def typical(shown: Shown) -> list[Drawn]:
    """The fastest, the middle and the most accurate network, each once."""
    last = len(shown.front.points) - 1
    return [_drawn(shown, number) for number in sorted({0, last // 2, last})]


def alike(shown: Sequence[Shown]) -> list[Drawn]:
    """Each device's network whose accuracy is nearest to one that most of them reach."""
    wanted = median(shown_accuracy(p) for each in shown for p in each.front.points)
    found = []
    for each in shown:
        away = [abs(shown_accuracy(point) - wanted) for point in each.front.points]
        found.append(_drawn(each, away.index(min(away))))
    return found


def _drawn(shown: Shown, number: int) -> Drawn:
    point = shown.front.points[number]
    title = (
        f"front:{number} on {shown.front.device}: {shown_ms(point):.3g} ms"
        f"{an_image(shown_ms(point), shown.front.images_per_run)}, "
        f"{shown_accuracy(point):.1f} %, {point.arch.resolution} {shown.space.unit}"
    )
    parts = (shown.parts_ms or {}).get(number, ())
    return Drawn(title, layers(shown.space, point.arch, parts))
