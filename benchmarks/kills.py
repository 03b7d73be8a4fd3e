"""Is anything lost, doubled, orphaned or left when commands are killed at random moments?

Real commands on a small part of digits: each is started, and killed (SIGKILL, SIGTERM, or Ctrl-C,
which the whole process group gets) some time before it would have ended; after a few kills it is
left to end, and what is there then is checked.

- lost: lines of journals and logs that were there once, campaigns that no table has, steps,
  networks or files that are missing
- doubled: visits, evaluated networks, answers, steps or records that are there twice
- orphaned: processes that live on for more than a few seconds
- left: temporary files and locks, once the command has ended by itself
- failed: commands that did not end with 0 when they were left alone, and tracebacks

Prints each finding, a table, and as its last line one JSON object.

    python benchmarks/kills.py --kills 100
"""

import argparse
import csv
import getpass
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Printed

from harness.deploy.front import Front
from harness.networks.file import NetworkFile
from harness.spaces.digits import DIGITS
from harness.tables.table import Table

SMALL = replace(
    DIGITS, name="small", resolutions=(12, 16), depths=(1, 2), kernels=(3, 5), expands=(3,)
)
DEVICE, LITERT = "cpu-onnxruntime", "cpu-litert"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS_A_ROUND = 5  # before the command is left to end
GUESS_S = 10.0  # that a command takes, until it has been seen to take longer
PATIENCE_S = 10.0  # for processes to end after their command
MARK = "HARNESS_KILLS"
TEMPORARY = (
    "*.tmp",
    "*.lock",
    "*.part",
    "*.checkpoint",
    "*.checkpoints",
    ".writable",
    "ranges.npy",
)
OTHERS = (".ses", f"torchinductor_{getpass.getuser()}")  # onnxruntime and torch keep these for good
COUNTED = ("kills", "lost", "doubled", "orphaned", "left", "failed")


@dataclass
class Found:
    """What happened, by kind; all but `kills` should stay empty."""

    kills: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, step: str, what: str) -> None:
        print(f"{step}: {kind}: {what}", flush=True)
        self.findings.setdefault(kind, []).append(f"{step}: {what}")

    def counts(self) -> dict[str, int]:
        found = {kind: len(self.findings.get(kind, ())) for kind in COUNTED}
        return found | {"kills": self.kills}


@dataclass(frozen=True)
class Step:
    """A command, what must be there before, and what it promises."""

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...]  # names of other steps
    makes: tuple[str, ...]  # patterns of files below the root
    without_cache: bool = False

    def argv(self, root: Path) -> list[str]:
        place = [] if self.name == "finetune" else ["--root", str(root)]
        words = [word.replace("ROOT", str(root)) for word in self.words]
        return [sys.executable, "-m", "harness", *words, *place]


def steps() -> list[Step]:
    space = ("--space", "kills:SMALL")
    table, quick = (*space, "--quick", "--device", DEVICE), (*space, "--quick")
    front = f"reports/{DEVICE}.small/front.json"
    return [
        Step("measure", ("measure", *table), (), (f"tables/{DEVICE}.small.jsonl",)),
        Step("refit", ("measure", *table, "--refit"), ("measure",), ()),
        Step("refresh", ("measure", *table, "--refresh"), ("measure",), ()),
        Step("train", ("train", *quick), (), ("runs/small-*/supernet.pt",)),
        Step(
            "accuracy fit",
            ("accuracy", "fit", *quick),
            ("train",),
            ("runs/small-*/evaluated.jsonl", "runs/small-*/accuracy.npz"),
        ),
        Step("run", ("run", *table), (), (front, f"reports/{DEVICE}.small/index.html")),
        Step(
            "search", ("search", "--front", *table), ("measure", "train", "accuracy fit"), (front,)
        ),
        Step(
            "verify",
            ("verify", *space, "--device", DEVICE),
            ("measure", "train", "accuracy fit", "search"),
            (front,),
        ),
        Step(
            "extract",
            ("extract", "front:0", "ROOT/network.pt", *space, "--device", DEVICE),
            ("measure", "train", "accuracy fit", "search"),
            ("network.pt",),
        ),
        Step(
            "finetune",
            ("finetune", "ROOT/network.pt", "ROOT/tuned.pt", "--epochs", "4"),
            ("measure", "train", "accuracy fit", "search", "extract"),
            ("tuned.pt",),
        ),
        Step(
            "export",
            ("export", "ROOT/bundle", "--network", "ROOT/network.pt"),
            ("measure", "train", "accuracy fit", "search", "extract"),
            ("bundle/network.onnx", "bundle/network-int8.tflite", "bundle/README.md"),
            without_cache=True,
        ),
        Step(
            "conversion",
            ("measure", *space, "--resolutions", "12", "--quick", "--device", LITERT),
            (),
            (f"tables/{LITERT}.small.jsonl",),
            without_cache=True,
        ),
    ]


class Workplace:
    """Roots, caches, locks and temporary files of all commands, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache, self.temporary = folder / "cache", folder / "tmp"
        self._token = folder.name
        for path in (self.cache, self.temporary, folder / "made"):
            path.mkdir()
        here = Path(__file__).parent
        self._environment = os.environ | {
            MARK: self._token,
            "HARNESS_CACHE": str(self.cache),
            "HARNESS_LOCKS": str(folder / "locks"),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": f"{here.parent}:{here}",
        }

    def start(self, step: Step, root: Path, said: Path) -> "subprocess.Popen[bytes]":
        with said.open("ab") as file:
            return subprocess.Popen(
                step.argv(root),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def root(self, step: Step, known: dict[str, Step], name: str) -> Path:
        """A new one, with all that the step needs."""
        root = self.folder / name
        shutil.copytree(self._made(step.needs, known), root)
        return root

    def _made(self, needed: tuple[str, ...], known: dict[str, Step]) -> Path:
        """A root after these steps, which are done once."""
        root = self.folder / "made" / "+".join(("nothing", *needed))
        if root.exists():
            return root
        if not needed:
            root.mkdir()
            return root
        shutil.copytree(self._made(needed[:-1], known), root)
        said = root.with_suffix(".log")
        if self.start(known[needed[-1]], root, said).wait():
            raise SystemExit(said.read_text())
        return root

    def orphans(self) -> dict[int, str]:
        """Processes of ours that still run."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"{MARK}={self._token}".encode() in (path / "environ").read_bytes():
                    words = (path / "cmdline").read_bytes().split(b"\0")
                    found[int(path.name)] = b" ".join(words).decode(errors="replace")[:120]
        return {pid: words for pid, words in found.items() if pid != os.getpid()}


def logs(root: Path) -> dict[str, list[bytes]]:
    """Every finished line of everything that is appended to, packed or not yet."""
    growing = {str(p.relative_to(root)): p.read_bytes() for p in root.glob("runs/*/*.jsonl")}
    packed = {
        str(p.relative_to(root).with_suffix("")): gzip.decompress(p.read_bytes())
        for p in root.glob("runs/*/*.jsonl.gz")
    }
    return {name: content.split(b"\n")[:-1] for name, content in (growing | packed).items()}


def doubled(root: Path) -> Iterator[str]:
    for name, lines in logs(root).items():
        values = [json.loads(line) for line in lines]
        keys: Counter[Any] = Counter()
        for value in values:
            if isinstance(value, list) and value[0]:  # the sentinel is visited often
                keys[tuple(value[:2])] += 1
            elif isinstance(value, dict) and "genome" in value:
                keys[tuple(value["genome"])] += 1
            elif isinstance(value, dict) and "network" in value:
                keys[value["network"]] += 1
            elif isinstance(value, dict) and "sustained" in value:
                keys["sustained", value["sustained"]["entry"]] += 1
        yield from (f"{name}: {key} {count} times" for key, count in keys.items() if count > 1)
    for path in root.glob("runs/*/metrics.csv"):
        with path.open(newline="") as file:
            told = Counter(row["step"] for row in csv.DictReader(file))
        yield from (f"{path.name}: step {key}" for key, count in told.items() if count > 1)


def lost(root: Path, step: Step) -> Iterator[str]:
    """What should be there after the step has ended by itself."""
    for pattern in step.makes:
        if not list(root.glob(pattern)):
            yield f"no {pattern}"
    tables = {path.name[:-6]: Table.load(path) for path in root.glob("tables/*.jsonl")}
    for path in root.glob("runs/*/*.jsonl.gz"):
        campaign, folder = path.name.partition(".")[0], path.parent.name
        if folder in tables and campaign not in tables[folder].campaigns:
            yield f"campaign {campaign} of {folder} is in no table"
    for name, table in tables.items():
        told = {record.campaign for record in table.records}
        yield from (f"{name}: no record of {each}" for each in set(table.campaigns) - told)
    for path in root.glob("runs/*/metrics.csv"):
        with path.open(newline="") as file:
            numbers = [int(row["step"]) for row in csv.DictReader(file)]
        if sorted(numbers) != list(range(len(numbers))):
            yield f"{path.name} has no step {set(range(max(numbers))) - set(numbers)}"
    for path in (*root.glob("*.pt"), *root.glob("runs/*/networks/*.pt")):
        NetworkFile.load(path)
    for path in root.glob("reports/*/front.json"):
        if Front.load(path).verification is None and step.name in ("run", "verify"):
            yield f"{path.parent.name}: the front is not verified"


def left(place: Workplace, root: Path) -> Iterator[str]:
    for folder in (root, place.cache):
        for pattern in TEMPORARY:
            yield from (str(path.relative_to(place.folder)) for path in folder.rglob(pattern))
    for path in place.temporary.iterdir():
        if path.name not in OTHERS:
            yield str(path.relative_to(place.folder))


def check_orphans(place: Workplace, step: Step, found: Found) -> None:
    end = time.monotonic() + PATIENCE_S
    while place.orphans() and time.monotonic() < end:
        time.sleep(0.1)
    for pid, words in place.orphans().items():
        found.add("orphaned", step.name, words)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def one_round(
    place: Workplace, step: Step, root: Path, took_s: float, chance: random.Random, found: Found
) -> float:
    """The step killed a few times, then left to end; how long it takes, as far as that tells."""
    said = root.with_suffix(".log")
    before = logs(root)
    for _ in range(KILLS_A_ROUND):
        number = chance.choice(SIGNALS)
        began = time.monotonic()
        process = place.start(step, root, said)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.1, took_s))
        if process.poll() is not None:
            took_s = min(took_s, time.monotonic() - began)
            break
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        found.kills += 1
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            found.add("orphaned", step.name, f"it goes on after {number.name}")
            process.kill()
            process.wait()
        check_orphans(place, step, found)
        before = check_kept(before, root, step, found)
    started = time.monotonic()
    status = place.start(step, root, said).wait()
    took_s = max(took_s, time.monotonic() - started)
    check_orphans(place, step, found)
    check_kept(before, root, step, found)
    told = said.read_text(errors="replace")
    if status or "Traceback" in told:
        found.add("failed", step.name, f"status {status}: {told[-3000:]}")
        return took_s
    for kind, findings in {
        "lost": lost(root, step),
        "doubled": doubled(root),
        "left": left(place, root),
    }.items():
        for what in findings:
            found.add(kind, step.name, what)
    return took_s


def check_kept(
    before: dict[str, list[bytes]], root: Path, step: Step, found: Found
) -> dict[str, list[bytes]]:
    after = logs(root)
    for name, lines in before.items():
        if after.get(name, [])[: len(lines)] != lines:
            found.add("lost", step.name, f"lines of {name}")
    return after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", help="Names, separated by commas (default: all).")
    arguments = parser.parse_args()
    known = {step.name: step for step in steps()}
    chosen = [known[name] for name in (arguments.steps or ",".join(known)).split(",")]
    chance, found, took_s = random.Random(arguments.seed), Found(), dict.fromkeys(known, GUESS_S)
    kills: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        place = Workplace(Path(folder))
        number = 0
        while found.kills < arguments.kills:
            step = chosen[number % len(chosen)]
            root = place.root(step, known, f"root-{number}")
            if step.without_cache:
                shutil.rmtree(place.cache)
                place.cache.mkdir()
            had = found.kills
            took_s[step.name] = one_round(place, step, root, took_s[step.name], chance, found)
            kills[step.name] += found.kills - had
            print(f"{step.name}: {found.kills - had} kills, {found.kills} in all", flush=True)
            shutil.rmtree(root)
            number += 1
    printed = Printed(title=f"{found.kills} kills")
    for heading in ("step", "kills", "takes, s"):
        printed.add_column(heading)
    for step in chosen:
        printed.add_row(step.name, str(kills[step.name]), f"{took_s[step.name]:.1f}")
    Console().print(printed)
    print(json.dumps(found.counts()))


if __name__ == "__main__":
    main()
