"""What the way to a phone costs, over a real adbd on this computer (tests/real/fetch-adbd).

Files and commands: both of our backends beside Google's client, in turns on the same daemon.
Times: OFA blocks and digits' through the phone's runner (our stand-in, which runs the real LiteRT
interpreter) beside the runtime `litert` asked directly, in turns on the same core.
Prints two tables and, as its last line, one JSON object.

    HARNESS_ADBD=FOLDER python benchmarks/adb_link.py --rounds 8
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import adbutils
import numpy as np
from rich.console import Console
from rich.table import Table as Printed
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.device.device import Device
from harness.runtimes.session import Session, Workload
from harness.spaces.catalogue import find_space
from harness.transports.adb.backends import backend_named
from harness.transports.adb.shell import run_shell
from harness.transports.adb.sync import push
from harness.transports.transport import Patience
from tests.real.conftest import BACKENDS, write_profile
from tests.real.real_adbd import RealAdbd

FILE_MB, REMOTE = 20, "/data/local/tmp/benchmark"
RUNS = 20


def timed_s(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def link_figures(phone: RealAdbd, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """MB/s of a push and ms of a command, by who did it."""
    file = folder / "file"
    file.write_bytes(os.urandom(FILE_MB << 20))
    google = [adbutils.adb_path(), "-s", phone.serial]
    adbutils.AdbClient().connect(phone.serial, timeout=10)
    links = {name: backend_named(name).link(phone.serial) for name in BACKENDS}

    def patience() -> Patience:
        return Patience("the benchmark", 20, 60)

    pushes: dict[str, Callable[[], object]] = {
        "google": lambda: subprocess.run(
            [*google, "push", "-Z", str(file), REMOTE], check=True, capture_output=True
        )
    }
    shells: dict[str, Callable[[], object]] = {
        "google": lambda: subprocess.run([*google, "shell", "true"], check=True)
    }
    for name, link in links.items():
        pushes[name] = lambda link=link: push(link, file, REMOTE, patience())  # type: ignore[misc]
        shells[name] = lambda link=link: run_shell(link, ["true"], b"", patience())  # type: ignore[misc]
    push_s: dict[str, list[float]] = defaultdict(list)
    shell_s: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name in pushes:
            push_s[name].append(timed_s(pushes[name]))
            shell_s[name] += [timed_s(shells[name]) for _ in range(10)]
    for link in links.values():
        link.close()
    return {
        name: {"push_mb_s": FILE_MB / median(push_s[name]), "shell_ms": median(shell_s[name]) * 1e3}
        for name in pushes
    }


def blocks() -> list[Workload]:
    """A mixed set: OFA's from small to large, and the digits'."""
    ofa = sorted(find_space("ofa-mbv3-w1.0").at((160, 224)).distinct_blocks(), key=lambda b: b.macs)
    digits = sorted(find_space("digits").distinct_blocks(), key=lambda block: block.macs)
    return [(block,) for block in [*ofa[:: len(ofa) // 24], *digits[:: len(digits) // 12]]]


def block_ns(phone: RealAdbd, folder: Path, rounds: int) -> dict[str, np.ndarray]:
    """The fastest visit of each block, by way."""
    chosen = blocks()
    core = f"{1 << max(os.sched_getaffinity(0)):#x}"
    write_profile(folder, phone, "direct")
    (folder / "devices" / "here.toml").write_text(
        f'title = "x"\nextends = "cpu-litert"\n[runtime_options]\ncpus = "{core}"\n'
    )
    rows: dict[str, list[list[int]]] = defaultdict(list)

    def visit(name: str, session: Session, block: Workload) -> int:
        samples = session.visit(block, RUNS)
        # the runner gives the mean without the slowest run; the same of our own runs
        wall_ns = samples.values["wall"]
        return int(np.mean(sorted(wall_ns)[:-1])) if name == "here" else wall_ns[0]

    for backend in BACKENDS:
        write_profile(folder, phone, backend)
        with (
            Device.find("loopback-phone", folder).open() as there,
            Device.find("here", folder).open() as here,
        ):
            there.prepare(chosen)
            for _ in range(rounds):
                times = [(visit(backend, there, b), visit("here", here, b)) for b in chosen]
                rows[backend].append([there_ns for there_ns, _ in times])
                rows["here"].append([here_ns for _, here_ns in times])
    return {name: np.min(np.array(found), axis=0) for name, found in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    console = Console()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        phone = RealAdbd(folder / "phone")
        phone.start()
        try:
            link = link_figures(phone, folder, rounds)
            times = block_ns(phone, folder, rounds)
        finally:
            phone.stop()
    table = Printed("way", "push MB/s", "against Google's", "command ms", "against Google's")
    for name, found in link.items():
        ratios = [found[key] / link["google"][key] for key in ("push_mb_s", "shell_ms")]
        table.add_row(
            name,
            f"{found['push_mb_s']:.0f}",
            f"{ratios[0]:.2f}",
            f"{found['shell_ms']:.2f}",
            f"{ratios[1]:.2f}",
        )
        if name != "google":
            figures |= {f"{name}_push_ratio": ratios[0], f"{name}_shell_ratio": ratios[1]}
    console.print(table)
    table = Printed("way", "blocks", "median ratio", "within 10 %", "Spearman")
    for name in BACKENDS:
        ratio = times[name] / times["here"]
        rank = float(spearmanr(times[name], times["here"]).statistic)
        within = float(np.mean(np.abs(ratio - 1) <= 0.1))
        found = {"median_ratio": float(np.median(ratio)), "within_10": within, "spearman": rank}
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        table.add_row(
            name, str(len(ratio)), f"{np.median(ratio):.3f}", f"{within:.2f}", f"{rank:.4f}"
        )
    console.print(table)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
