"""Verifying a front on the device, and taking networks out of it."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.deploy.front import Front, gaps, verification_entries
from harness.device.device import Device
from harness.errors import FileFormatError
from harness.files import changing, replace_atomically
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.pipeline.table_session import table_session
from harness.runtimes.session import Workload
from harness.spaces.genome import encode
from harness.tables.repeat import Repeat
from harness.tables.statements import AT, error_facts

RANGE_IMAGES = 64

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.draws import ImageData
    from harness.training.evaluate import SubnetEvaluator


def verify(
    job: Run, device: Device, evaluator: "SubnetEvaluator | None", again: bool = False
) -> Front:
    """The front with its networks extracted, evaluated and timed on the device.

    Without a supernet they are timed with random weights, and not evaluated. `again` measures anew
    what was verified already.
    """
    with changing(job.workspace.front(device.name, job.space.name)):
        return _verify(job, device, evaluator, again)


def _verify(job: Run, device: Device, evaluator: "SubnetEvaluator | None", again: bool) -> Front:
    from harness.deploy.verify import Judged, judge, verified

    path = job.workspace.front(device.name, job.space.name)
    front = found_front(job, device.name)
    if front.verification is not None:
        if not again:
            return front
        front = front.unverified()
        front.save(path)  # a killed run goes on here, also without `again`
    networks: list[Workload] = [job.space.blocks(point.arch) for point in front.points]
    files = extract_front(job, evaluator, front) if evaluator else []
    networks = list(files) or networks
    if evaluator and device.range_images is None and device.options.precision == "int8":
        device = replace(device, range_images=training_images(job, evaluator))
    plan = job.effort.verification
    if device.profile.simulated:  # its table knows as many networks already
        plan = job.effort.plan("latency", device.profile.runs_on.simulated_networks)
    entries = verification_entries(front, job.space, networks, plan.anchors)
    with table_session(job, device) as into:
        session = into.session
        campaign = into.campaign("time the front", entries, plan, fresh=again)
        judged: list[Judged] | None = None
        if evaluator:
            log = job.workspace.labels(device.name, job.space.name, campaign.id)
            here = device.name if session.infers_on == "the device" else session.infers_on
            with job.listener.step(f"evaluate the front on {here.partition(':')[0]}") as progress:
                judged = judge(session, files, evaluator.data.tests, log, progress)
        infers_on = session.infers_on
        table = into.add(campaign)
    restated = latency_of(job, table, campaign.id)
    repeats = {} if device.profile.simulated else {at: Repeat.of(table, at) for at in AT}
    points = verified(front, job.space, restated, device.clock, campaign.records, repeats, judged)
    facts: dict[str, Any] = {
        "campaign": campaign.facts,
        "statements": error_facts(restated.statements)["statements"],
        "networks": [str(file.relative_to(job.workspace.root)) for file in files],
    }
    if evaluator:
        tests = evaluator.data.tests(job.space.resolutions[0])
        facts["test_images"] = len(tests.labels)
        facts["evaluated_on"] = infers_on
        facts["test_originals"] = len(np.unique(tests.originals))
        if job.space.image_channels:  # else they are parts of words
            facts["classes"] = list(evaluator.data.classes)
    front = replace(front, points=points, verification=facts | gaps(points))
    front.save(path)
    return front


def training_images(job: Run, evaluator: "SubnetEvaluator") -> Path:
    """A file of images as the supernet was trained on, from which int8 ranges are collected."""
    path = job.supernet.path / "range_images.npy"
    content = BytesIO()
    np.save(content, range_images(evaluator.data, job.space.resolutions[-1]))
    if not path.exists() or path.read_bytes() != content.getvalue():  # or cut off
        replace_atomically(path, content.getvalue())
    return path


def range_images(data: "ImageData", resolution: int) -> npt.NDArray[np.float32]:
    """Training images [n, channels, r, r] in [0, 1], as they are before they are normalised."""
    import torch

    mean, std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (data.mean, data.std))
    first = torch.cat(list(data.calibration(resolution)))[:RANGE_IMAGES].numpy()
    return np.asarray((first * std + mean).clip(0, 1), np.float32)


def found_front(job: Run, device: str) -> Front:
    """The front of the device.

    Raises:
        FileFormatError: there is none, it is broken, or it was found with another supernet.
    """
    path = job.workspace.front(device, job.space.name)
    front = Front.load(path, job.space)
    if front.settings["supernet"] != job.supernet_name:
        raise FileFormatError(
            f"{path} was found with another supernet, {front.settings['supernet']}; "
            "repeat with `harness run`"
        )
    return front


def extract_front(job: Run, evaluator: "SubnetEvaluator", front: Front) -> list[Path]:
    """A network file for each point."""
    from harness.deploy.extract import extract

    paths = []
    origin = {"recipe": job.supernet.recipe.settings}
    genomes = encode(job.space, [point.arch for point in front.points])
    with job.listener.step("extract the front's networks") as progress:
        for done, (point, genome) in enumerate(zip(front.points, genomes, strict=True), start=1):
            name = genome.astype(np.uint8).tobytes().hex()
            path = job.supernet.path / "networks" / f"{job.supernet.path.name}-{name}.pt"
            if not _is_network(path):
                extract(evaluator, point.arch, origin).save(path)
            paths.append(path)
            progress(done, len(front.points))
    return paths


def _is_network(path: Path) -> bool:
    """Whether it was extracted, and has not been cut off since."""
    from harness.networks.file import NetworkFile

    try:
        NetworkFile.load(path)
    except FileFormatError:
        return False
    return True
