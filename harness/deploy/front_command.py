"""The command that finds a front again, of its checked values: a file's own may do anything."""

import shlex
from collections.abc import Mapping
from typing import Any

from harness.quantities import unit_of


def command_of(
    device: str, space: str, settings: Mapping[str, Any], *, alone: bool, part: bool
) -> str:
    """Quoted for a shell. `space`: as `--space` names it; `alone`: found by `harness search`, with
    no other step; `part`: of some resolutions of the space.
    """
    words = ["harness", *(["search", "--front"] if alone else ["run"])]
    words += ["--device", device, "--seed", str(settings["seed"])]
    words += ["--space", space] if space != "digits" else []
    if part:
        words += ["--resolutions", ",".join(map(str, settings.get("resolutions", ())))]
    if settings.get("data") and not alone:  # a search finds it
        words += ["--data", settings["data"]]
    if settings.get("accuracy"):
        words += ["--accuracy", settings["accuracy"]["source"]]
    for name, value, *at in settings.get("limits", ()):
        asked = f"@{at[0]}" if at else ""
        words += ["--constraint", f"{name}:{value!r}{unit_of(name)}{asked}"]
    words += ["--objective", settings["second"]] if settings.get("second") else []
    words += ["--distill", f"{settings['distill']:g}"] if settings["distill"] else []
    words += ["--quick"] if settings["effort"].get("name") == "quick" else []
    return shlex.join(words)
