"""Supernets in a file: our checkpoints, or as the OFA authors release them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import CheckpointError
from harness.networks.file import read_tensors
from harness.spaces.space import Space
from harness.supernet.checkpoint import Checkpoint
from harness.supernet.released import load_released
from harness.supernet.supernet import Supernet


def load_supernet(path: Path, space: Space) -> Supernet:
    """The supernet, for as many classes as it has; nothing in the file is executed.

    Raises:
        CheckpointError: the file is missing, broken, or does not fit the space.
    """
    content = read_tensors(path)
    if not isinstance(content, dict) or "kind" not in content:
        return load_released(path, space)
    checkpoint = Checkpoint.load(path)
    classes = checkpoint.settings.get("classes", space.classes)
    if type(classes) is not int or not 0 < classes <= 100_000:
        raise CheckpointError(f"{path} is not a whole checkpoint: {classes!r} classes")
    return checkpoint.supernet(replace(space, classes=classes), path)  # type: ignore[type-var]


def data_facts(path: Path) -> dict[str, Any]:
    """What a supernet of ours was trained on, as far as its file tells."""
    content = read_tensors(path)
    settings = content.get("settings") if isinstance(content, dict) else None
    found = settings.get("data") if isinstance(settings, dict) else None
    return found if isinstance(found, dict) else {}
