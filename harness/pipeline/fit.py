"""`harness devices fit`: a simulated DPU's constants from blocks measured on a board."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import tomli_w

from harness import files
from harness.device.profile import Profile, full_name, load_profile, profile_paths
from harness.errors import FileFormatError, Infeasible, UsageError
from harness.runtimes.dpu.architecture import Constants, Dpu
from harness.runtimes.dpu.fit import (
    FEWEST_BOTTLENECKS,
    FOLDS,
    SEED,
    WORST,
    Error,
    at_bounds,
    check_enough,
    error,
    fit,
    held_out_error,
    measured_ms,
    predicted_ms,
)
from harness.runtimes.dpu.limits import check
from harness.runtimes.dpu.measurements import Measured, left_aside, read
from harness.runtimes.dpu.options import DpuOptions


def fit_device(
    name: str, paths: Sequence[Path], like: str, root: Path, skip: Collection[str] = ()
) -> Iterator[str]:
    """Write `root/devices/NAME.toml` with fitted constants; say how good they are, in lines.

    `like`: whose architecture, clock and memory a new device has. `skip`: types of rows.

    Raises:
        UsageError: the device is not simulated, measurements are too few, or no fit is of use.
        FileFormatError: a file of measurements is broken, or has blocks that the DPU cannot run.
    """
    name = full_name(name, root)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(f"{name!r} is no name of a device: small letters, digits, - and _")
    known = name in profile_paths(root)
    profile = load_profile(name if known else like, root)
    if not profile.simulated:
        raise UsageError(f"{name if known else like} is measured, not simulated: nothing is fitted")
    if not isinstance(profile.runtime_settings, DpuOptions):
        raise UsageError(f"{name if known else like} is no simulated DPU: nothing is fitted")
    measured = [each for path in paths for each in read(path, skip)]
    for path in paths:
        for kind, count in left_aside(path, skip).items():
            yield f"{path}: {count} rows of type {kind} left aside"
    check_enough(measured)
    options = profile.options.of(DpuOptions)
    start = Dpu.of(options)
    check_feasible(start, measured)
    before = error(predicted_ms(start, measured), measured_ms(measured))
    constants = fit(start, measured)
    held_out = held_out_error(start, measured)
    fitted = replace(start, constants=constants)
    yield f"before:   {_in_words(before)}"
    yield f"fitted:   {_in_words(error(predicted_ms(fitted, measured), measured_ms(measured)))}"
    yield (
        f"left out: {_in_words(held_out)} (random {FOLDS} parts, seed {SEED}: each predicted by a "
        "fit to the others)"
    )
    yield from _by_stage(start, measured)
    if held_out.mape > WORST:
        raise UsageError(
            f"a mean error of {held_out.mape:.0%} on blocks left out is of no use, and nothing was "
            "written: is hw_ms in milliseconds? are architecture and clock those of the board?"
        )
    for constant in at_bounds(constants):
        yield f"{constant} is not told by these blocks: measure others too, larger and smaller ones"
    blocks = len({each.block for each in measured})
    stands_on = (
        f"{blocks} blocks of {', '.join(path.name for path in paths)}, mean error "
        f"{held_out.mape:.1%} on blocks left out"
    )
    title = profile.title if known else f"{name}: DPU {options.architecture}, simulated"
    path = root / "devices" / f"{name}.toml"
    if path.exists():
        yield f"replaces {path}"
    files.write_text(path, _toml(profile, title, constants, stands_on))
    yield (
        f"{path}: vector_ns {constants.vector_ns:g}, ddr_share {constants.ddr_share:g}, "
        f"pass_cycles {constants.pass_cycles:g}; new table: harness measure --device {name}"
    )


def check_feasible(dpu: Dpu, measured: Sequence[Measured]) -> None:
    """Raises FileFormatError where the DPU cannot have run what was measured; the line is named."""
    for each in measured:
        try:
            check(dpu, each.block)
        except Infeasible as error:
            raise FileFormatError(f"{each.where}: such a DPU cannot run it: {error}") from error


def _in_words(found: Error) -> str:
    return (
        f"mean error {found.mape:5.1%} of {found.blocks} blocks, {found.within_10:4.0%} within "
        f"10 %, Kendall's tau {found.kendall:.3f}"
    )


def _by_stage(dpu: Dpu, measured: Sequence[Measured]) -> Iterator[str]:
    """Each stage predicted by a fit to all others, where the files tell stages."""
    stages = [each.stage for each in measured]
    if len(set(stages)) < 2:
        return
    for stage in sorted(set(stages)):
        own = [each for each in measured if each.stage == stage]
        others = [each for each in measured if each.stage != stage]
        if len(others) < FEWEST_BOTTLENECKS:
            continue
        without = replace(dpu, constants=fit(dpu, others))
        found = error(predicted_ms(without, own), measured_ms(own))
        yield f"without {stage or 'the rest'}: mean error {found.mape:5.1%} of {len(own)} blocks"


def _toml(profile: Profile, title: str, constants: Constants, fitted_to: str) -> str:
    """The profile with new constants, what others do not extend written out."""
    options = profile.options.of(DpuOptions)
    dpu = options.model_dump() | {
        "vector_ns": constants.vector_ns,
        "ddr_share": constants.ddr_share,
        "pass_cycles": constants.pass_cycles,
        "fitted_to": fitted_to,
        "fitted_on": options.hardware,
    }
    aliases = {"aliases": list(profile.aliases)} if profile.aliases else {}
    return tomli_w.dumps(
        {
            "title": title,
            **aliases,
            "transport": profile.transport,
            "runtime": profile.runtime,
            "runtime_options": {"precision": profile.runtime_options.precision},
            "dpu": dpu,
        }
    )
