"""A profile written from a phone or a board at hand."""

import json
import re
import shlex
from contextlib import closing
from glob import escape
from pathlib import Path
from typing import Any

import tomli_w

from harness import files
from harness.errors import DeviceError, TargetFailed, UsageError
from harness.runtimes import board
from harness.runtimes.phone import core_mask, read_facts
from harness.runtimes.runtime import RUNTIMES
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport
from harness.transports.ssh import Address, SshTransport

PROBE = """
import importlib.util, json, sys
specs = {n: importlib.util.find_spec(n) for n in sys.argv[1:]}
there = [n for n in specs if specs[n] and specs[n].origin]  # no mere folder of that name
gpu = None
if "torch" in there:
    import torch
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
print(json.dumps({"there": there, "gpu": gpu}))
"""
PROBE_TIMEOUT_S = 120.0  # torch may come from a slow card


def add_phone(name: str, serial: str | None, root: Path) -> Path:
    """Write `root/devices/NAME.toml` from the attached phone.

    Raises:
        UsageError: that is no name, or the file is there.
        DeviceError: no phone can be reached, or several.
    """
    _check_new(name, root)
    with closing(AdbTransport(Wanted(serial=serial))) as transport:
        facts = read_facts(transport)
        try:
            core_mask(transport, "big")
            cpus = "big"
        except DeviceError as error:
            if type(error) is not DeviceError:  # the link, not the cores
                raise
            cpus = "any"
    profile = {
        "title": f"{facts.get('manufacturer', '')} {facts['model']}".strip(),
        "transport": "adb",
        "runtime": "benchmark_model",
        "match": {"model": [escape(facts["model"])]},
        "runtime_options": {"num_threads": 1, "cpus": cpus, "precision": "float32", "batch": 1},
        "conditions": {"max_temperature_c": 40},
    }
    if serial is not None:
        profile["adb"] = {"serial": serial}
    return _saved(profile, name, root)


def add_board(name: str, host: str, python: str | None, root: Path) -> Path:
    """Write `root/devices/NAME.toml` from a board that answers to `ssh HOST`.

    `python`: the command of its interpreter, as a shell would read it.

    Raises:
        UsageError: that is no name, or the file is there.
        DeviceError: the board cannot be reached, or has no runtime.
    """
    _check_new(name, root)
    address = Address(host)
    if python is not None:
        address = Address(host, python=tuple(shlex.split(python)))
    with closing(SshTransport(address)) as transport:
        facts = board.read_facts(transport)
        runs = _probe(transport)
    match = {key: escape(facts[key]) for key in ("model", "power_mode") if key in facts}
    profile: dict[str, Any] = {
        "title": facts.get("model", host),
        "transport": "ssh",
        "runtime": "torch" if runs["gpu"] else _runtimes()[runs["there"][0]],
        "ssh": {"host": host},
        "runtime_options": {"num_threads": 1, "batch": 1},
    }
    if match:
        profile["match"] = match
    if python is not None:
        profile["ssh"]["python"] = list(address.python)
    if runs["gpu"]:
        profile["match"] = match | {"gpu": escape(runs["gpu"])}
        profile["torch"] = {"device": "cuda"}
    else:
        profile["runtime_options"]["cpus"] = "one"
    return _saved(profile, name, root)


def _probe(transport: SshTransport) -> dict[str, Any]:
    """Runtimes and GPU of the board.

    Raises:
        TargetFailed: there is no Python, or none of the runtimes.
    """
    argv = [*transport.python, "-c", PROBE, *_runtimes()]
    ended = transport.run(argv, idle_timeout_s=PROBE_TIMEOUT_S, deadline_s=PROBE_TIMEOUT_S)
    try:
        found: dict[str, Any] = json.loads(ended.text.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise TargetFailed(
            f"{' '.join(transport.python)} does not run there: {ended.complaint()}; --python says "
            "which interpreter to take"
        ) from error
    if not found["there"]:
        raise TargetFailed(
            f"{' '.join(transport.python)} there has none of {', '.join(_runtimes())}: install "
            "one, or name another interpreter with --python"
        )
    return found


def _runtimes() -> dict[str, str]:
    """Of each package that a board may have the runtime; the first that is there is taken."""
    ranked = sorted(RUNTIMES.all(), key=lambda runtime: runtime.board_rank)
    return {package: runtime.name for runtime in ranked for package in runtime.board_packages}


def _saved(profile: dict[str, Any], name: str, root: Path) -> Path:
    """Raises UsageError where another run was quicker."""
    path = _path(name, root)
    with files.changing(path):
        _check_new(name, root)
        files.write_text(path, tomli_w.dumps(profile))
    return path


def _check_new(name: str, root: Path) -> None:
    """Raises UsageError where the profile cannot be made."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(f"{name!r} is no name of a device: small letters, digits, - and _")
    if _path(name, root).exists():
        raise UsageError(f"{_path(name, root)} is there already; change it, or choose another name")


def _path(name: str, root: Path) -> Path:
    return root / "devices" / f"{name}.toml"
