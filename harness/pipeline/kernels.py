"""`harness measure --kernels`: a device's table of kernels, which networks of anybody are sums of.

Kernels are those of real networks (`graphs.networks`). A first wave is spread over them, and
measures whole networks besides, which calibrate; each further one takes those whose time is known
worst, weighed by what they cost in their networks, until the error on kernels left out stops
falling.
"""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np

from harness.device.device import Device
from harness.errors import DeviceError
from harness.graphs.networks import anchors, prior
from harness.graphs.reading import KERNEL_RUNTIMES, KernelRuntime
from harness.measuring.plan import Entry, Plan, block_entries
from harness.pipeline.job import Run
from harness.pipeline.notices import KernelsTimed
from harness.pipeline.table_session import TableSession, add_campaigns, table_session
from harness.predictors.kernel_networks import NAME
from harness.predictors.kernel_regression import FEWEST, Floats, KernelTimes, shape_of
from harness.spaces.kernel import Kernel
from harness.tables.table import Table

PLAN = Plan(min_visits=6, max_visits=12, runs=3, interval=0.05, duration_s=0.0, anchors=32)
FIRST, FURTHER = 800, 400  # kernels of a wave
MOST_WAVES = 8
LINKS = 10  # kernels of all waves, by which they are brought to one level
ENOUGH = 0.97  # of the error before: a wave that leaves more of it was in vain
MOST_IN_VAIN = 2  # waves, one after the other
_APART = 0.7  # octaves between kernels of a wave that are alike
_LARGEST = 2**27  # numbers of a kernel, in or out


def measure_kernels(job: Run, device: Device, deadline_s: float | None = None) -> Table:
    """The device's table of kernels; gone on with where it was stopped.

    Raises:
        DeviceError: the device's runtime is none whose kernels are known here.
        UsageError: the time until the deadline does not suffice for the first wave.
    """
    runtime = KERNEL_RUNTIMES.get(device.profile.runtime)
    options = device.options
    own = device.profile.runs_on.identity(options, {})
    if runtime is None or options.batch != 1 or options.precision != "float32" or own:
        raise DeviceError(
            f"{device.name}: kernels are known of {', '.join(KERNEL_RUNTIMES)} with batch 1 in "
            f"float32, not of {device.profile.runtime} with batch {options.batch} in "
            f"{options.precision}{f' and {json.dumps(own)}' if own else ''}"
        )
    counts = {kernel: count for kernel, count in prior(runtime).items() if _is_timed(kernel)}
    with table_session(job, device, deadline_s=deadline_s, name=NAME) as into:
        table = into.table
        known = {} if job.fresh else _known(table)
        if not known:
            first = _spread(counts, FIRST)
            entries = [_sentinel(counts), *_networks(runtime), *block_entries(first)]
            table, known = _wave(into, table, entries, "measure kernels", job.fresh)
        links = _links(table)
        took_s = _took_s(table)
        times, in_vain = KernelTimes.of(known), 0
        while (chosen := _worst(times, counts)) and not job.effort.first_look:
            if len(known) >= FIRST + MOST_WAVES * FURTHER:
                break
            if deadline_s is not None and time.monotonic() + 1.5 * took_s > deadline_s:
                break
            started = time.monotonic()
            entries = [_sentinel(counts), *block_entries([*links, *chosen])]
            table, known = _wave(into, table, entries, "measure more kernels", fresh=False)
            took_s = time.monotonic() - started
            # Of the same kernels: those of a further wave are the ones that are hard to tell.
            before_wave, times = times, KernelTimes.of(known)
            before, error = (each.error(before_wave.measured_ns) for each in (before_wave, times))
            job.listener.tell(KernelsTimed(str(device), len(known), len(counts), error, before))
            in_vain = in_vain + 1 if error > ENOUGH * before else 0
            if in_vain == MOST_IN_VAIN:
                break
    return table


def _wave(
    into: TableSession, table: Table, entries: list[Entry], title: str, fresh: bool
) -> tuple[Table, dict[Kernel, float]]:
    """The table with one campaign more, whose workloads are forgotten then."""
    fresh = fresh and not into.is_begun(entries, PLAN)
    campaign = into.campaign(title, entries, PLAN, fresh)
    for entry in entries:
        into.session.unload(entry.workload)
    table = add_campaigns(into.path, table, [campaign])
    return table, _known(table)


def _known(table: Table) -> dict[Kernel, float]:
    if not table.has_blocks:
        return {}
    values = table.block_values(table.clock)
    return {block: value for block, value in values.items() if isinstance(block, Kernel)}


def _links(table: Table) -> list[Kernel]:
    """Some of the first wave, with which all others are compared."""
    first = table.select("block", table.clock, table.block_campaign())
    kernels = sorted(block for record in first for block in record.blocks)
    found = kernels[:: max(1, len(kernels) // LINKS)][:LINKS]
    return [kernel for kernel in found if isinstance(kernel, Kernel)]


def _took_s(table: Table) -> float:
    """What the shortest wave took, about which a further one takes at least."""
    return min((float(facts["took_s"]) for facts in table.campaigns.values()), default=0.0)


def _is_timed(kernel: Kernel) -> bool:
    return max(each.size for each in (*kernel.given, *kernel.constants, *kernel.outputs)) < _LARGEST


def _networks(runtime: KernelRuntime) -> list[Entry]:
    known = anchors(runtime, PLAN.anchors)
    return [Entry("anchor", each.file(runtime), each.kernels) for each in known]


def _sentinel(kernels: Mapping[Kernel, int]) -> Entry:
    """The convolution that a quarter of those have fewer multiply-accumulates than."""
    dense = sorted((k for k in kernels if k.stage == "convolution"), key=lambda k: (k.macs, k))
    chosen = dense[len(dense) // 4]
    return Entry("sentinel", (chosen,), (chosen,))


def _spread(counts: Mapping[Kernel, int], wanted: int) -> list[Kernel]:
    """Kernels of all variants, of common ones more, each as far as can be from those before."""
    alike: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in sorted(counts):
        alike[kernel.variant].append(kernel)
    roots = {variant: sqrt(len(found)) for variant, found in alike.items()}
    share = wanted / sum(roots.values())
    chosen: list[Kernel] = []
    for variant, found in alike.items():
        chosen += _far_apart(found, max(FEWEST, round(share * roots[variant])))
    return chosen


def _far_apart(kernels: Sequence[Kernel], wanted: int) -> list[Kernel]:
    """Each next one the farthest from those that were chosen, beginning with the most work."""
    points = np.array([shape_of(kernel) for kernel in kernels])
    chosen = [int(points.sum(axis=1).argmax())]
    nearest = _distance(points, points[chosen[0]])
    while len(chosen) < min(wanted, len(kernels)):
        nearest[chosen[-1]] = -1.0  # others of equal sizes are at 0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distance(points, points[chosen[-1]]))
    return [kernels[place] for place in chosen]


def _distance(points: Floats, one: Floats) -> Floats:
    return np.asarray(np.sqrt(((points - one) ** 2).sum(axis=1)))


def _worst(times: KernelTimes, counts: Mapping[Kernel, int]) -> list[Kernel]:
    """Kernels to time next: those that add most doubt to their networks, none beside another."""
    done = times.measured_ns.keys() | {kernel.key for kernel in times.unknown(counts)}
    others = [kernel for kernel in sorted(counts) if kernel.key not in done]
    if not others:
        return []
    values, log_sds = times.predict(others)
    weight = np.array([counts[kernel] for kernel in others])
    chosen: dict[str, list[Floats]] = defaultdict(list)
    found = []
    for place in np.argsort(-np.sqrt(values * weight) * log_sds):
        kernel = others[place]
        point = np.array(shape_of(kernel))
        if all(np.linalg.norm(point - each) > _APART for each in chosen[kernel.variant]):
            chosen[kernel.variant].append(point)
            found.append(kernel)
        if len(found) == FURTHER:
            break
    return found
