"""What is predicted of model files, in words."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.predictors.kernel_networks import Part
from harness.predictors.model_prediction import ModelPrediction

SHOWN = 8  # kernels that take most


def describe(found: Sequence[ModelPrediction], budget_ms: float | None = None) -> Iterator[str]:
    """Line by line: each file on each device, where its time goes, what would save some."""
    first: dict[str, ModelPrediction] = {}
    for each in found:
        yield _headline(each)
        if each.device in first:
            ratio = each.latency.latency_ms / first[each.device].latency.latency_ms
            yield f"  {ratio:.2f} times what {first[each.device].model} takes"
        first.setdefault(each.device, each)
        yield from _unknown(each)
        known = [part for part in each.latency.parts if part.latency_ms is not None]
        for part in sorted(known, key=lambda part: -part.share)[:SHOWN]:
            yield _line(part)
        yield f"  {_by_operator(known)}"
        yield from _budget(each, budget_ms)
    for device, each in first.items():
        yield f"{device}: {each.rests_on}"


def _headline(each: ModelPrediction) -> str:
    latency = each.latency
    low, high = latency.latency_ms_interval
    took = f"{latency.latency_ms:.4g} ms ({low:.4g} to {high:.4g}, 95 %)"
    if latency.unknown:
        took = f"more than the {took} of the kernels that are known"
    return (
        f"{each.model} on {each.device}: {took}, {each.macs / 1e6:.4g}M MACs, "
        f"{each.params / 1e6:.3g}M parameters, {each.activations_mb:.3g} MB of maps"
    )


def _unknown(each: ModelPrediction) -> Iterator[str]:
    if each.latency.unknown:
        ops = ", ".join(f"{name} x{count}" for name, count in sorted(each.latency.unknown.items()))
        yield f"  not in the table, so not counted: {ops}"


def _line(part: Part) -> str:
    assert part.latency_ms is not None
    out = "x".join(map(str, part.kernel.output_shape))
    known = "" if part.log_sd == 0 else f" +-{min(part.log_sd, 9.99):.0%}"
    return (
        f"  {part.share:6.1%} {part.latency_ms:9.4f} ms{known:>7}  {part.kernel.op:<18} {out:<18} "
        f"{part.name}"
    )


def _by_operator(known: Sequence[Part]) -> str:
    shares: dict[str, float] = defaultdict(float)
    for part in known:
        shares[part.kernel.variant] += part.share
    most = sorted(shares.items(), key=lambda each: -each[1])[:SHOWN]
    return "by operator: " + ", ".join(f"{name} {share:.0%}" for name, share in most)


def _budget(each: ModelPrediction, budget_ms: float | None) -> Iterator[str]:
    if budget_ms is None:
        return
    over_ms = each.latency.latency_ms - budget_ms
    if over_ms <= 0:
        what = "the kernels that are known are within" if each.latency.unknown else "within"
        yield f"  {what} the budget of {budget_ms:g} ms"
        return
    yield f"  {over_ms:.4g} ms over the budget of {budget_ms:g} ms; fewer channels would save:"
    for saving in each.savings:
        yield (
            f"    {saving.saves_ms:9.4f} ms  {saving.name}: {saving.channels} -> {saving.fewer} "
            "channels"
        )
