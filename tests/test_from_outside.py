"""A runtime, a transport and a space of another package: found by entry point, used like ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ENTRY_POINTS = """
[harness.runtimes]
torchscript = outside.torchscript:RUNTIME
broken = outside.no_such_module:RUNTIME
another = outside.torchscript:RUNTIME
[harness.transports]
chroot = outside.chroot:TRANSPORT
[harness.spaces]
small = outside.small:SPACE
"""
RUNTIME = '''
"""torch, compiled by tracing: through the agent, with a file of its own for the device."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from harness.runtimes.resident import ResidentSession
from harness.runtimes.runtime import Runtime, thread_clock
from harness.schema import Section

class Options(Section):
    """`[torchscript]`"""
    optimise: Literal["no", "freeze"] = "freeze"

def open_session(transport, options):
    agent = Path(__file__).with_name("with_torchscript.py")
    specify = lambda workload: {"blocks": [asdict(block) for block in workload]}
    return ResidentSession(
        transport, agent, options, specify, settings=options.of(Options).model_dump()
    )

RUNTIME = Runtime(
    name="torchscript", open=open_session, link="resident", precisions=("float32",),
    clock=thread_clock, options=Options,
    identity=lambda options, _environment: {"torchscript": options.of(Options).model_dump()},
)
'''
ON_THE_DEVICE = """
import torch
from with_torch import TorchRuntime

class TorchscriptRuntime(TorchRuntime):
    def __init__(self, request):
        self.optimise = request["settings"]["optimise"]
        usual = dict(autocast="off", memory_format="contiguous", cuda_graphs=False)
        TorchRuntime.__init__(self, dict(request, settings=usual))
        self.environment["torchscript"] = self.optimise

    def runner(self, network, images):
        traced = torch.jit.trace(network, images)
        traced = torch.jit.freeze(traced) if self.optimise == "freeze" else traced
        return lambda: traced(images)

start = TorchscriptRuntime
"""
TRANSPORT = '''
"""This computer, with the files of the device in a folder of their own."""

import shutil
from pathlib import Path

from harness.schema import Section
from harness.transports.kind import TransportKind
from harness.transports.local import LocalTransport

class Options(Section):
    """`[chroot]`"""
    folder: Path

class Chroot(LocalTransport):
    def __init__(self, folder):
        super().__init__("chroot")
        self.folder = folder

    def push(self, local):
        self.folder.mkdir(exist_ok=True)
        return shutil.copy(local, self.folder / local.name)

TRANSPORT = TransportKind(
    name="chroot", link="resident", open=lambda way: Chroot(way.settings.folder),
    hardware=lambda way: "chroot", options=Options, match=("processor",),
)
'''
SPACE = """
from dataclasses import replace
from harness.spaces.digits import DIGITS
SPACE = replace(
    DIGITS, name="small", resolutions=(12,), depths=(1, 2), kernels=(3, 5), expands=(3,)
)

def accuracy(arch):
    return 60 + arch.resolution + sum(arch.depths)
"""
PROFILE = """
title = "Here, by torchscript"
transport = "chroot"
runtime = "torchscript"
[chroot]
folder = "ROOT/there"
[torchscript]
optimise = "freeze"
"""

WRONG = (
    (("torchscript", "torchscripd"), "no runtime called 'torchscripd'; did you mean 'torchsc"),
    (('"chroot"', '"adb"'), "chroot: is for transport = 'chroot'"),
    (("optimise", "optimize"), "unknown key 'torchscript.optimize'; did you mean 'optimise'"),
    (('"freeze"', '"most"'), "torchscript.optimise: Input should be 'no' or 'freeze'"),
    (
        ('runtime = "torchscript"', 'runtime = "broken"'),
        "runtime: the runtime 'broken'",
    ),
    (
        ('runtime = "torchscript"', 'runtime = "another"'),
        "calls itself 'torchscript'",
    ),
)
"""Changes of the profile, and what each is told."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages with the one from outside, and a root."""
    folder = tmp_path_factory.mktemp("site")
    information = folder / "outside-1.0.dist-info"
    for path, text in {
        information / "METADATA": "Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n",
        information / "entry_points.txt": ENTRY_POINTS,
        folder / "outside/__init__.py": "",
        folder / "outside/torchscript.py": RUNTIME,
        folder / "outside/with_torchscript.py": ON_THE_DEVICE,
        folder / "outside/chroot.py": TRANSPORT,
        folder / "outside/small.py": SPACE,
        folder / "devices/mine.toml": PROFILE.replace("ROOT", str(folder)),
    }.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def wrong(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the profile, and one with each of the changes."""
    folder = tmp_path_factory.mktemp("wrong")
    right = (installed / "devices/mine.toml").read_text()
    (folder / "devices").mkdir()
    (folder / "devices/mine.toml").write_text(right)
    for number, (changes, _) in enumerate(WRONG):
        (folder / f"devices/wrong-{number}.toml").write_text(right.replace(*changes))
    return folder


def harness(
    installed: Path, *words: str, root: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """A process of its own, as entry points are looked for where Python starts."""
    return subprocess.run(
        [sys.executable, "-m", "tests.short", *words, "--root", str(root or installed)],
        env=os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def ended_well(installed: Path, *words: str, root: Path | None = None) -> str:
    ended = harness(installed, *words, root=root)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


def test_a_package_from_outside_measures_searches_and_reports(installed: Path) -> None:
    on = ("--device", "mine", "--space", "small")
    assert "Here, by torchscript" in ended_well(installed, "devices", "list")
    ended_well(installed, "measure", *on, "--quick")
    header = json.loads((installed / "tables/mine.small.jsonl").read_text().splitlines()[0])
    identity = header["identity"]
    assert (identity["runtime"], identity["clock"]) == ("torchscript", "thread")
    assert identity["torchscript"] == {"optimise": "freeze"}
    assert list((installed / "there").glob("*.pyz"))
    (campaign,) = header["campaigns"].values()
    assert campaign["environment"]["torchscript"] == "freeze"
    ended_well(
        installed, "search", *on, "--front", "--quick", "--accuracy", "outside.small:accuracy"
    )
    ended_well(installed, "verify", *on)  # as quick as the search
    ended_well(installed, "report", *on)
    folder = installed / "reports/mine.small"
    assert json.loads((folder / "front.json").read_text())["points"][0]["latency_ms_measured"]
    assert "Here, by torchscript" in (folder / "index.html").read_text()


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_wrong_with_a_profile_of_theirs_is_one_line(
    installed: Path, wrong: Path, number: int
) -> None:
    ended = harness(installed, "devices", "check", f"wrong-{number}", root=wrong)
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert WRONG[number][1] in ended.stderr


def test_profiles_of_theirs_that_are_wrong_are_listed_beside_the_right_one(
    installed: Path, wrong: Path
) -> None:
    listed = ended_well(installed, "devices", "list", root=wrong)
    assert listed.count("BROKEN") == len(WRONG)
    assert "Here, by torchscript" in listed
