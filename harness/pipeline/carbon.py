"""What runs here used, and what an inference of a network takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.carbon.account import Account, Recorded, account
from harness.carbon.place import OFFICE, Site
from harness.device.profile import load_profile, profile_paths
from harness.errors import FileFormatError, UsageError
from harness.hints import command
from harness.pipeline.breakdown import networks
from harness.pipeline.job import Run
from harness.predictors.breakdown import break_down
from harness.schema import checked
from harness.tables.table import Table


@dataclass(frozen=True)
class InferenceEnergy:
    """Of a run of a network on a device, predicted from measured blocks."""

    run_mj: float
    images: int  # of a run

    @property
    def image_mj(self) -> float:
        return self.run_mj / self.images


def own_run(root: Path, name: str | None) -> Account | None:
    """The account of one run in an office; None where it has no record, or one that is broken."""
    try:
        return _accounts(root, str(name), None, Site(pue=OFFICE)).get(str(name))
    except FileFormatError:
        return None


def own_runs(root: Path, assumed_w: float | None, place: Site) -> dict[str, Account]:
    """The account of each run that recorded what it used, by its folder.

    Raises:
        FileFormatError: a record is broken.
    """
    return _accounts(root, "*", assumed_w, place)


def _accounts(root: Path, runs: str, assumed_w: float | None, place: Site) -> dict[str, Account]:
    sessions: dict[str, list[Mapping[str, Any]]] = {}
    for path in sorted((root / "runs").glob(f"{runs}/emissions.rank-*.json")):
        try:
            found = checked(list[Recorded], files.read_json(path))
        except ValueError as error:
            raise FileFormatError(
                f"{path} is no record of emissions: {error}; move it away"
            ) from error
        sessions.setdefault(path.parent.name, []).extend(found)
    return {name: account(found, assumed_w, place) for name, found in sessions.items()}


def is_edge(root: Path, device: str) -> bool:
    """Whether nothing around it is run for it, by its profile where that is still there."""
    return device in profile_paths(root) and load_profile(device, root).is_edge


def inference_energy(job: Run, device: str, arch: str) -> InferenceEnergy:
    """By the device's table of energies; the network as of `harness breakdown`.

    Raises:
        UsageError: the device has no energies.
    """
    path = job.workspace.table(device, job.space.name, "energy")
    if not path.exists():
        todo = command("measure", "--energy", "--device", device, "--space", job.space.name)
        raise UsageError(f"there are no energies of {device} (no {path}): {todo} measures them")
    latency = Table.load(job.workspace.table(device, job.space.name))
    parts = break_down(networks(job, device, [arch]), latency, Table.load(path))
    return InferenceEnergy(sum(part.energy_mj or 0.0 for part in parts), latency.images_per_run)
