"""`harness devices fit`: a simulated DPU's constants from blocks measured on a board."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from harness import files
from harness.device.profile import Profile, full_name, load_profile, profile_paths
from harness.errors import FileFormatError, Infeasible, UsageError
from harness.runtimes.dpu.architecture import Constants, Dpu
from harness.runtimes.dpu.fit import (
    FEWEST_BOTTLENECKS,
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


@dataclass(frozen=True)
class StageFit:
    """A stage predicted by a fit to all others."""

    stage: str
    blocks: int
    error: Error


@dataclass(frozen=True)
class Fit:
    """Constants of a DPU that blocks told, and how good they are."""

    name: str
    path: Path  # of the profile to be written
    title: str
    like: Profile  # whose other settings it has
    blocks: int  # distinct ones that were measured
    files: tuple[Path, ...]
    aside: tuple[tuple[Path, str, int], ...]  # rows that were left: of a file, of which type
    before: Error
    after: Error
    held_out: Error
    stages: tuple[StageFit, ...]
    constants: Constants
    untold: tuple[str, ...]  # constants that these blocks leave open


def fit_device(
    name: str, paths: Sequence[Path], like: str, root: Path, skip: Collection[str] = ()
) -> Fit:
    """Constants fitted to what was measured; `save_fit` makes a profile of them.

    `like`: whose architecture, clock and memory a new device has. `skip`: types of rows.

    Raises:
        UsageError: the device is not simulated, or measurements are too few.
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
    check_enough(measured)
    options = profile.options.of(DpuOptions)
    start = Dpu.of(options)
    check_feasible(start, measured)
    constants = fit(start, measured)
    fitted = replace(start, constants=constants)
    return Fit(
        name=name,
        path=root / "devices" / f"{name}.toml",
        title=profile.title if known else f"{name}: DPU {options.architecture}, simulated",
        like=profile,
        blocks=len({each.block for each in measured}),
        files=tuple(paths),
        aside=tuple(
            (path, kind, count) for path in paths for kind, count in left_aside(path, skip).items()
        ),
        before=error(predicted_ms(start, measured), measured_ms(measured)),
        after=error(predicted_ms(fitted, measured), measured_ms(measured)),
        held_out=held_out_error(start, measured),
        stages=tuple(_by_stage(start, measured)),
        constants=constants,
        untold=tuple(at_bounds(constants)),
    )


def save_fit(made: Fit) -> None:
    """Write the device's profile.

    Raises:
        UsageError: the fit is of no use.
    """
    if made.held_out.mape > WORST:
        raise UsageError(
            f"a mean error of {made.held_out.mape:.0%} on blocks left out is of no use, and "
            "nothing was written: is hw_ms in milliseconds? are architecture and clock those of "
            "the board?"
        )
    names = ", ".join(path.name for path in made.files)
    fitted_to = (
        f"{made.blocks} blocks of {names}, mean error {made.held_out.mape:.1%} on blocks left out"
    )
    files.write_text(made.path, _toml(made.like, made.title, made.constants, fitted_to))


def check_feasible(dpu: Dpu, measured: Sequence[Measured]) -> None:
    """Raises FileFormatError where the DPU cannot have run what was measured; the line is named."""
    for each in measured:
        try:
            check(dpu, each.block)
        except Infeasible as error:
            raise FileFormatError(f"{each.where}: such a DPU cannot run it: {error}") from error


def _by_stage(dpu: Dpu, measured: Sequence[Measured]) -> Iterator[StageFit]:
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
        yield StageFit(stage, len(own), found)


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
