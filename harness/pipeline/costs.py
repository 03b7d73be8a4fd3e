"""Costs that a network alone decides, on whatever device it runs."""

from harness.errors import UsageError
from harness.memory import of_space
from harness.searching.objectives import Cost
from harness.spaces.block import NUMBER_BYTES
from harness.spaces.cost import CostTable
from harness.spaces.space import Space

PLANNERS = {
    "sram": ("in TFLite Micro's arena", of_space.tflite_micro),
    "sram.in-place": ("of maps, depthwise convolutions in place", of_space.in_place),
}
KB = 1e3


def cost_of_networks(space: Space, name: str) -> Cost | None:
    """None where `name` is none of these.

    Raises:
        UsageError: there is no such precision, or no such way to run a network.
    """
    if name == "macs":
        return _summed(CostTable.of(space, lambda block: block.macs / 1e6), "MAC count", "M")
    if name == "params":
        return _summed(CostTable.of(space, lambda block: block.params / 1e6), "size", "M")
    quantity, _, kind = name.partition(".")
    if quantity == "activations":
        return _activations(space, kind or "float32")
    if quantity == "sram":
        if name not in PLANNERS:
            raise UsageError(f"{name} is none of {', '.join(PLANNERS)} (sram is TFLite Micro's)")
        words, needs = PLANNERS[name]
        return _needed(needs(space), f"need of SRAM in int8, {words}")
    if name == "flash":
        return _needed(of_space.flash(space), "need of flash, as an int8 .tflite file")
    return None


def _activations(space: Space, precision: str) -> Cost:
    """Raises UsageError where it is no precision."""
    if precision not in NUMBER_BYTES:
        known = ", ".join(f"activations.{each}" for each in NUMBER_BYTES)
        raise UsageError(
            f"activations.{precision} is none of {known} (activations is activations.float32)"
        )
    size = NUMBER_BYTES[precision]
    peaks = CostTable.of(space, lambda b: size * b.peak_activations / 1e6, peak=True)
    return _summed(peaks, f"peak of activations in {precision}, without padding", "MB")


def _summed(costs: CostTable, name: str, unit: str) -> Cost:
    return Cost(name, unit, costs.total, *costs.cheapest())


def _needed(needs: of_space.Needs, name: str) -> Cost:
    of, least, cheapest = needs
    return Cost(name, "kB", lambda genomes: of(genomes) / KB, least / KB, cheapest)
