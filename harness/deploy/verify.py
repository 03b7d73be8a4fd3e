"""Verifying a front: its networks run on test images and are timed on the device itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from harness.deploy.front import Front, Point, Seen, seen_ms
from harness.errors import FileFormatError
from harness.files import LineLog, read_lines
from harness.networks.file import NetworkFile
from harness.predictors.latency import LatencyPredictor
from harness.progress import Progress, silent
from harness.runtimes.session import Session
from harness.schema import Count, checked
from harness.spaces.genome import encode
from harness.spaces.space import Space
from harness.tables.record import SEEN, Record, Statistics
from harness.tables.repeat import Repeat, value_of
from harness.training.judging import Answers, Tests


@dataclass(frozen=True)
class Judged:
    """A network's accuracy on the device."""

    accuracy: float  # percent
    interval: tuple[float, float]  # 95 %


def judge(
    session: Session,
    paths: Sequence[Path],
    tests: Callable[[int], Tests],
    log: Path,
    on_progress: Progress = silent,
) -> list[Judged]:
    """Network files on test images or sentences, through the device's own runtime.

    `tests` gives them at a resolution, the same ones at each. What a network answers is logged,
    network by network, so that a killed run goes on behind the last whole one.
    """
    answers = LineLog(log)
    try:
        some = tests(NetworkFile.load(paths[0]).preprocessing.resolution)
        known = _known(log, some.labels.shape)
        for done, path in enumerate(paths, start=1):
            if path.name not in known:
                known[path.name] = answered(session, path, tests)
                predicted = known[path.name].ravel().tolist()
                answers.append({"network": path.name, "predicted": predicted})
            on_progress(done, len(paths))
    finally:
        answers.close()
    return [Judged(*some.judged(known[path.name])) for path in paths]


class _Answers(TypedDict):
    """A line of the log."""

    network: str
    predicted: list[Count]


def _known(log: Path, shape: tuple[int, ...]) -> dict[str, Answers]:
    """What the log has already, by network.

    Raises:
        FileFormatError: it is broken.
    """
    try:
        lines = [checked(_Answers, line) for _, line in read_lines(log)]
        return {
            line["network"]: np.array(line["predicted"], dtype=np.int64).reshape(shape)
            for line in lines
        }
    except ValueError as error:
        raise FileFormatError(f"{log} is broken: {error}; restore it, or move it away") from error


def answered(session: Session, path: Path, tests: Callable[[int], Tests]) -> Answers:
    """What the network says on the device."""
    network = NetworkFile.load(path)
    asked = tests(network.preprocessing.resolution)
    logits = session.infer(path, asked.inputs(network))
    session.unload(path)
    return asked.answers(logits)


def _seen_ms(wall: Statistics | None, repeats: Mapping[str, Repeat]) -> Seen:
    """What the wall clock said, with what another campaign may find."""
    found = {}
    for at in SEEN:
        value = None if wall is None else value_of(wall, at)
        ends = None if wall is None or at not in repeats else repeats[at].interval(wall)
        if value is not None and ends is not None:
            found[at] = (value / 1e6, ends[0] / 1e6, ends[1] / 1e6)
    return found


def verified(
    front: Front,
    space: Space,
    predictor: LatencyPredictor,
    clock: str,
    records: Sequence[Record],
    repeats: Mapping[str, Repeat],
    judged: Sequence[Judged] | None,
) -> tuple[Point, ...]:
    """The front's points with what `records` of the verifying campaign say.

    `predictor` restates the predictions for the machine as it was then, by that one's anchors.
    `repeats`: how much campaigns of the device differ; none of a simulated one.
    """
    predicted_ms = predictor.predict(encode(space, [point.arch for point in front.points]))
    timed = {
        (record.arch, record.clock): record.statistics
        for record in records
        if record.role == "network"
    }
    points = []
    answers: Sequence[Judged | None] = judged or [None] * len(front.points)
    for point, latency_ms, seen in zip(front.points, predicted_ms, answers, strict=True):
        statistics, wall = timed[point.arch, clock], timed.get((point.arch, "wall"))
        wall_ns = wall.median if wall else None  # simulated ones have no wall
        low, high = (repeats["full"].interval(statistics) if repeats else None) or (
            statistics.low,
            statistics.high,
        )
        points.append(
            replace(
                point,
                latency_ms=float(latency_ms),
                latency_ms_interval=predictor.statements["full"].interval(float(latency_ms)),
                latency_ms_measured=statistics.value / 1e6,
                latency_ms_measured_interval=(low / 1e6, high / 1e6),
                latency_ms_wall_median=None if wall_ns is None else wall_ns / 1e6,
                seen_ms=seen_ms(float(latency_ms), predictor.statements),
                seen_ms_measured=_seen_ms(wall, repeats),
                accuracy_measured=seen.accuracy if seen else None,
                accuracy_measured_interval=seen.interval if seen else None,
                memory_mb_measured=wall.memory_mb if wall else None,
            )
        )
    return tuple(points)
