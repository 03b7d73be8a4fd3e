"""Where time and energy of networks go, in lines."""

from collections.abc import Iterator, Sequence

from harness.pipeline.breakdown import Breakdown, ProfiledNetwork
from harness.predictors.breakdown import Part
from harness.tables.batch import an_image, of_batch
from harness.tables.table import Table

LISTED = 12  # blocks and types of operators that are written out


def breakdown_lines(found: Breakdown) -> Iterator[str]:
    """What the numbers are, the networks, then the most expensive blocks of all."""
    yield _about(found.latencies)
    parts = found.parts
    latency_ms = sum(part.latency_ms for part in parts)
    energies = [part.energy_mj for part in parts if part.energy_mj is not None]
    energy_mj = sum(energies) if energies else None
    names = list(dict.fromkeys(part.network for part in parts))
    images = parts[0].images_per_run
    used = "" if energy_mj is None else f", {energy_mj:.4g} mJ{an_image(energy_mj, images, 'mJ')}"
    yield (
        f"one request{of_batch(images)}: {len(names)} network(s), "
        f"{latency_ms:.4g} ms{an_image(latency_ms, images)}{used}"
    )
    yield f"{'network':<42} {_heading(energy_mj)}"
    for name in names:
        own = [part for part in parts if part.network == name]
        yield f"{name:<42.42} {_figures(own, latency_ms, energy_mj)}"
    ordered = sorted(parts, key=lambda part: -part.latency_ms)
    yield f"{'block':<72} {_heading(energy_mj)}"
    for part in ordered[:LISTED]:
        where = part.what if len(names) == 1 else f"{part.network} {part.what}"
        yield f"{part.place:>3} {where:<68.68} {_figures([part], latency_ms, energy_mj)}"
    rest = ordered[LISTED:]
    if rest:
        yield f"    {f'{len(rest)} others':<68} {_figures(rest, latency_ms, energy_mj)}"


def _heading(energy_mj: float | None) -> str:
    return f"{'ms':>9} {'share':>6}" + ("" if energy_mj is None else f" {'mJ':>9} {'share':>6}")


def _figures(parts: Sequence[Part], latency_ms: float, energy_mj: float | None) -> str:
    own_ms = sum(part.latency_ms for part in parts)
    text = f"{own_ms:9.4f} {own_ms / latency_ms:6.1%}"
    if energy_mj is not None:
        own_mj = sum(part.energy_mj or 0.0 for part in parts)
        text += f" {own_mj:9.4f} {own_mj / energy_mj:6.1%}"
    return text


def profile_lines(found: ProfiledNetwork) -> Iterator[str]:
    """Types of operators of a network in one request."""
    calls = found.network.calls
    total_ms = sum(each.mean_ms for each in found.ops)
    request_ms = total_ms * calls
    yield (
        f"{found.network.name}: operators, profiled now: {request_ms:.4g} ms a request"
        f"{of_batch(found.images)}{an_image(request_ms, found.images)} "
        "(profiling takes time itself: only the shares tell)"
    )
    yield f"  {'operator':<40} {'runs':>5} {'ms':>9}    {'share':>6}"
    for each in found.ops[:LISTED]:
        own_ms = calls * each.mean_ms
        share = each.mean_ms / total_ms if total_ms else 0.0
        yield f"  {each.op:<40.40} {calls * each.count:>5} {own_ms:9.4f} ms {share:6.1%}"


def no_profile(runtime: str) -> str:
    """Why there are no times of operators."""
    return f"no times of operators: the runtime {runtime} gives none"


def _about(table: Table) -> str:
    """What the numbers are."""
    if table.simulated is not None:
        return f"{table.device}, {table.simulated}; a map that stays on the chip saves time"
    since = table.campaigns[table.calibrating_campaign()]["started_at"]
    return (
        f"{table.device}, predicted from its table, {table.clock} clock at full speed, as of "
        f"{since}; what verifying measured is in the report"
    )
