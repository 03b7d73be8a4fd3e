"""What a search is asked, and what its answer rests on: when that changes, it is asked anew."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import __version__
from harness.deploy.front import Point
from harness.deploy.front_command import command_of
from harness.device.profile import full_name, load_profile, profile_paths
from harness.errors import UsageError
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.predictors.accuracy_source import accuracy_source
from harness.quantities import parse_limit
from harness.runtimes.microcontroller import BoardOptions
from harness.spaces.catalogue import find_space
from harness.spaces.genome import sample
from harness.tables.statements import SHIPPED, WORDS, Statement, Statements, check_time
from harness.tables.table import Table

_TELLING = 1000  # networks: enough to meet every block
_ASKED = 100  # of a user's function, which may be slow
_TELLING_SEED = 505

Limits = tuple[tuple[str, float, str | None], ...]
"""A device or cost, at most how much, and which time of a device: None for the one that ships."""


def limits_asked(constraints: Sequence[str], root: Path) -> Limits:
    """All that constraints say.

    Raises:
        UsageError: one is none.
    """
    limits = tuple(limit for text in constraints for limit in limits_of(text, root))
    for *_, asked in limits:
        check_time(asked)
    return limits


def limits_of(text: str, root: Path) -> Limits:
    """What a `--constraint` says: `macs:300M`, or a board, whose memory networks have to fit into.

    Raises:
        UsageError: it is neither.
    """
    name = full_name(text, root)
    if ":" in text or name not in profile_paths(root):
        return (parse_limit(text),)
    board = load_profile(name, root).runtime_settings
    if not isinstance(board, BoardOptions):
        raise UsageError(f"--constraint {text}: of {name} no memory is known; write {text}:30ms")
    return tuple((cost, at_most_kb, None) for cost, at_most_kb in board.limits)


@dataclass(frozen=True)
class Question:
    """What is asked besides the latency of one device."""

    limits: Limits = ()
    second: str | None = None  # a device or cost, for a front over three objectives


def table_of(job: Run, name: str, searched: str) -> tuple[str, str, str]:
    """The table of `pixel-1`, of `jetson-tx2.energy`, or of the searched device's `memory`."""
    space = job.space.name
    if name in ("energy", "memory"):
        return searched, space, name
    device, _, quantity = name.partition(".")
    return full_name(device, job.workspace.root), space, quantity or "latency"


def held_by(name: str, known: Statements, at: str | None) -> Statement:
    """The statement that a limit is held by: the one that ships, where no other is asked for.

    Raises:
        UsageError: nobody knows that time of it.
    """
    wanted = at or (SHIPPED if SHIPPED in known else "full")
    if wanted not in known:
        raise UsageError(
            f"{name} is not known {WORDS[wanted]}, only by {', '.join(known)}; "
            "`harness measure --refit` measures what the device's runtime tells"
        )
    return known[wanted]


def settings_of(job: Run, table: Table, campaign: str, question: Question) -> dict[str, Any]:
    """All that is needed to repeat the front, but for what tables say."""
    known = table.device in profile_paths(job.workspace.root)
    named = job.space_text or job.space.name
    settings = {
        "command": "",
        "harness": __version__,
        "python": platform.python_version(),
        "seed": job.seed,
        "distill": job.training.distill or 0.0,
        "effort": asdict(job.effort),
        "supernet": job.supernet_name,
        "accuracy": _named(job),
        "accuracy_predictor": _digest(job.supernet.predictor) if job.accuracy is None else None,
        "recipe": job.supernet.recipe.settings if job.accuracy is None else None,
        "device": {"title": _title(job, table), "identity": table.identity},
        "table_campaign": campaign,
        "resolutions": list(job.space.resolutions),
        "limits": [[part for part in limit if part is not None] for limit in question.limits],
        "second": question.second,
    }
    if job.training.data is not None:
        settings["data"] = str(job.training.data.absolute())
    settings["command"] = command_of(
        table.device,
        named,
        settings,
        alone=question != Question() or not known,
        part=job.space.resolutions != find_space(named).resolutions,
    )
    return settings


def asked_alike(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of a front's settings decides it: accuracies count by what is in their file, wherever
    that lies."""
    accuracy = settings.get("accuracy") or {}
    return {n: value for n, value in settings.items() if n not in ("command", "data")} | {
        "accuracy": accuracy.get("sha256") or accuracy.get("source")
    }


def latencies(
    job: Run, table: Table, question: Question, points: Sequence[Point]
) -> dict[str, str]:
    """What the tables that the search looks at say, by device: of many random networks, and in the
    statements that limits are held by.

    Not by their files: verifying these points adds to them, and changes nothing that was searched.
    """
    names = {table.device, *(name for name, *_ in question.limits), question.second or table.device}
    genomes = sample(job.space, _TELLING, np.random.default_rng(_TELLING_SEED))
    archs = {point.arch for point in points}
    digests = {}
    for name in sorted(names):
        path = job.workspace.table(*table_of(job, name, table.device))
        if path.exists():
            predictor = latency_of(job, Table.load(path).unverified(archs))
            digest = hashlib.sha256(predictor.predict(genomes).tobytes())
            for limited, _, at in question.limits:
                if limited == name:
                    ratio = held_by(name, predictor.statements, at).upper_ratio
                    digest.update(np.float64(ratio).tobytes())
            digests[name] = digest.hexdigest()
    return digests


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None  # who needs it says so
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _title(job: Run, table: Table) -> str:
    """The device in its profile's words; imported tables have none."""
    if table.device not in profile_paths(job.workspace.root):
        return f"imported from {table.source}" if table.source else table.device
    return load_profile(table.device, job.workspace.root).title


def _named(job: Run) -> dict[str, str | None] | None:
    """The source of accuracies, and what is in its file, or what a function says.

    Not what is in a function's file: it may import or read others.
    """
    if job.accuracy is None:
        return None
    path = Path(job.accuracy)
    if path.is_file():
        return {"source": job.accuracy, "sha256": _digest(path)}
    genomes = sample(job.space, _ASKED, np.random.default_rng(_TELLING_SEED))
    accuracies = accuracy_source(job.accuracy, job.space).accuracy(genomes)
    return {"source": job.accuracy, "sha256": hashlib.sha256(accuracies.tobytes()).hexdigest()}
