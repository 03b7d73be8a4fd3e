"""Does one wrong value in a file, or in a device's reply, ever pass or end in a traceback?

Valid files are made by the code that writes them, parsed, and one or two of their values replaced
by what nobody measured: no number, a huge one, a text, a list, something deep, nothing at all. Each
reader must refuse that with an error of its own in one line, or read a value that is sensible. Then
the same with recorded replies. Prints the cases of each reader and, as its last line, JSON:
`cases`, `tracebacks`, `absurd` (values that were taken).

    python benchmarks/fuzz.py --minutes 10
"""

import argparse
import copy
import json
import math
import random
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

sys.path.append(str(Path(__file__).parents[1]))

from harness.deploy.front import Front, Point
from harness.devices.profile import load_profile
from harness.errors import HarnessError
from harness.pipeline import benchmark
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.journal import Journal
from harness.tables.ofa import read_published
from harness.tables.ofa_keys import block_key
from harness.tables.record import Record, Statistics
from harness.tables.table import Table
from harness.training.recipe_files import load_recipe, shipped_recipes
from tests.runtimes.recorded_replies import REPLIES

LARGEST = 1e19  # of any number that a reader may give
HOSTILE: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, 1e300, -1e300, 10**30, -(10**30)),
    *(0, -1, -5.0, 1e-300, 1e15 + 1, True, None, "", "x", "1", "\x00", "../x", "x" * 2_000_000),
    *([], {}, [1], {"x": 1}, "\ud800", 999, "NaN", "-5"),
)
DEEP = 100_000  # brackets
SPOILED = 0.02  # share of the cases


@dataclass(frozen=True)
class Kind:
    """A kind of file: a valid one, parsed; how a changed one is written; what reads it."""

    value: Any
    write: Callable[[Any, Path], None]
    read: Callable[[Path], Any]
    name: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    found: dict[str, Counter[str]] = {}
    shown: list[str] = []
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        readers = {**files(Path(folder)), **replies()}
        for name, (_, read_valid) in readers.items():
            found[name] = Counter()
            if (outcome := tried(read_valid, shown, name)) != "read":
                raise SystemExit(f"{name}: the valid one is not read: {outcome} {shown}")
        while time.monotonic() < end:
            for name, (changed, _) in readers.items():
                found[name][tried(changed(rng), shown, name)] += 1
    show(found, shown)


def show(found: Mapping[str, Counter[str]], shown: list[str]) -> None:
    columns = ("cases", "refused", "read", "absurd", "tracebacks")
    printed = Printed("reader", *columns)
    for name, counts in found.items():
        row = [counts.total(), *(counts[column] for column in columns[1:])]
        printed.add_row(name, *map(str, row))
    Console(width=100).print(printed)
    for each in shown[:20]:
        print(each)
    total = sum(found.values(), Counter[str]())
    told = {"cases": total.total(), "tracebacks": total["tracebacks"], "absurd": total["absurd"]}
    print(json.dumps(told))


def tried(read: Callable[[], Any], shown: list[str], name: str) -> str:
    """What became of one case."""
    try:
        value = read()
    except HarnessError as error:
        if len(str(error)) > 2000 or "\n" in str(error):
            shown.append(f"{name}: not one line: {str(error)[:300]!r}")
            return "absurd"
        return "refused"
    except Exception:  # noqa: BLE001  what is looked for
        shown.append(f"{name}: {traceback.format_exc(limit=-3)}")
        return "tracebacks"
    if why := next(absurd(value), None):
        shown.append(f"{name}: taken: {why}")
        return "absurd"
    return "read"


def absurd(value: Any, where: str = "") -> Iterator[str]:
    """Numbers in it that nobody measured, with their place."""
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value) if hasattr(value, "__dict__") else asdict(value)
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from absurd(part, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from absurd(part, f"{where}.{number}")
    elif isinstance(value, int | float):
        time_like = where.endswith(("_ns", "_ms", "latency_ms_measured", ".value", ".low", ".high"))
        least = 0 if time_like and "offset" not in where and "per_" not in where else -LARGEST
        if not least <= value <= LARGEST:
            yield f"{where} = {value!r}"


def mutated(value: Any, rng: random.Random) -> Any:
    """The value with one or two of its parts replaced, left out, or there twice."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2))):
        parts = list(places(value))
        holder, key = rng.choice(parts)
        what = rng.random()
        if what < 0.12:
            del holder[key]
        elif what < 0.2 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), copy.deepcopy(holder[key]))
        elif what < 0.24 and isinstance(holder, dict):
            holder[rng.choice(("x", "", "kind", "schema"))] = copy.deepcopy(rng.choice(HOSTILE))
        else:
            holder[key] = copy.deepcopy(rng.choice(HOSTILE))
        if not list(places(value)):
            break
    return value


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where its parts are: holder and key."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from places(value[key])


def spoiled_text(text: str, rng: random.Random) -> str:
    """Cut off, or deeper than anything."""
    return rng.choice((text[: rng.randrange(len(text) or 1)], "[" * DEEP))


def files(folder: Path) -> dict[str, tuple[Callable[..., Any], Callable[[], Any]]]:
    """By kind: a changed file, read; and the valid one, read."""
    found = {}
    for kind in kinds(folder):
        found[kind.name] = changed_and_valid(kind, folder)
    return found


def changed_and_valid(
    kind: Kind, folder: Path
) -> tuple[Callable[[random.Random], Callable[[], Any]], Callable[[], Any]]:
    path = folder / kind.name

    def valid() -> Any:
        kind.write(kind.value, path)
        return kind.read(path)

    def changed(rng: random.Random) -> Callable[[], Any]:
        value = mutated({"": kind.value}, rng)
        value = value.get("") if isinstance(value, dict) else value

        def read() -> Any:
            try:
                kind.write(value, path)
            except (TypeError, ValueError, UnicodeError):  # nothing that a file can hold
                path.write_text(json.dumps(value), errors="replace")
            if rng.random() < SPOILED:
                path.write_text(spoiled_text(path.read_text(errors="replace"), rng))
            return kind.read(path)

        return read

    return changed, valid


def kinds(folder: Path) -> Iterator[Kind]:
    as_json = lambda value, path: path.write_text(json.dumps(value))  # noqa: E731
    as_lines = lambda value, path: path.write_text(  # noqa: E731
        "".join(f"{json.dumps(line)}\n" for line in value)
        if isinstance(value, list)
        else json.dumps(value)
    )
    table = made_table()
    table.save(folder / "made")
    lines = [json.loads(line) for line in (folder / "made").read_text().splitlines()]
    yield Kind(lines, as_lines, Table.load, "table.jsonl")
    yield Kind(JOURNAL, as_lines, read_journal, "journal.jsonl")
    made_front(table).save(folder / "made")
    value = json.loads((folder / "made").read_text())
    yield Kind(value, as_json, lambda path: Front.load(path, DIGITS), "front.json")
    yield Kind(result(table), as_json, benchmark.load, "baseline.json")
    yield Kind({"r": 16, "d": [1], "ks": [3], "e": [3]}, as_json, read_arch, "arch.json")
    rows = {
        block_key(block): {"mean": 1.5, "std": 0.1, "count": 50}
        for block in DIGITS.distinct_blocks()[:40]
    }
    stems = {block_key(next(DIGITS.blocks_at(0, (r,)))): rows_of(1.0) for r in (12, 16, 20)}
    yield Kind(rows | stems, as_json, published, "published.json")
    yield Kind(rows | stems, as_json, published, "published.yaml")
    (folder / "devices").mkdir()
    yield Kind(PROFILE, as_toml, lambda path: load_mine(path, folder), "profile.toml")
    recipe = tomllib.loads(shipped_recipes()["digits"].read_text())
    yield Kind(recipe, as_toml, lambda path: load_recipe(str(path)), "recipe.toml")


def rows_of(mean_ms: float) -> dict[str, float]:
    return {"mean": mean_ms, "std": 0.1, "count": 50}


def published(path: Path) -> Table:
    return read_published([path], DIGITS, "x-published", "somebody", "ms").table


def read_journal(path: Path) -> Any:
    journal = Journal(path)
    journal.close()
    return journal.visits, journal.readings, list(journal.sustained.values())


def read_arch(path: Path) -> Arch:
    from harness import files as our_files

    return Arch.from_json(our_files.read_json(path))


def load_mine(path: Path, root: Path) -> Any:
    path.replace(root / "devices" / "mine.toml")
    return load_profile("mine", root).model_dump()


def as_toml(value: Any, path: Path) -> None:
    """Inline: every value is one of JSON's, or nan and inf, as TOML has them."""
    if not isinstance(value, dict):
        raise TypeError(value)
    path.write_text("\n".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()))


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if value is None:
        raise TypeError(value)
    return json.dumps(value) if not isinstance(value, float) else repr(value)


PROFILE = {
    "title": "Mine",
    "aliases": ["my-own"],
    "transport": "local",
    "runtime": "torch",
    "runtime_options": {"num_threads": 1, "cpus": "one", "precision": "float32", "batch": 1},
    "conditions": {"max_temperature_c": 80.0, "pause_s": 0.5},
    "torch": {"device": "cpu", "memory_format": "contiguous"},
}
JOURNAL: list[Any] = [
    {"round": 0, "conditions": {"load_1m": 0.5, "governor": None}, "at_work": True},
    [0, 0, 1795701300015162112, {"wall": [21632, 12288], "thread": [18017, 11186]}],
    [1, 0, 1795701300025162112, {"wall": [31632], "net": [-5]}, 40, 1.5],
    [0, 1, 1795701300035162112, {"wall": [21632, 12288], "thread": [18017, 11186]}],
    [1, 1, 1795701300045162112, {"wall": [31632]}, 40, 1.5],
    {
        "sustained": {
            "entry": 1,
            "at_ns": 1795701300055162112,
            "seconds": 2.5,
            "runs": 90,
            "latency_ns": 31000,
            "steady": True,
        }
    },
]


def made_table() -> Table:
    times = {block: 10_000 + 100 * n for n, block in enumerate(DIGITS.distinct_blocks()[:8])}
    records = [record("block", (block,), ns) for block, ns in times.items()]
    genomes = sample(DIGITS, 3, np.random.default_rng(0))
    archs = [decode(DIGITS, genome) for genome in genomes]
    records += [record("anchor", DIGITS.blocks(arch), 90_000, arch) for arch in archs]
    facts = {
        "started_at": "2026-11-26T13:19:38+00:00",
        "rounds": 12,
        "took_s": 4.4,
        "finished": True,
        "environment": {"os": "Linux", "torch": "2.13.0"},
        "conditions_before": {"load_1m": 3.4, "governor": None},
        "conditions_after": {"load_1m": 3.2, "governor": "performance"},
        "slowdown": 1.1,
        "wall_over_cpu": 1.03,
        "missed": 0.0,
        "moved": [next(iter(times)).key],
        "infeasible": {next(iter(times)).key: "a buffer is too small"},
    }
    identity = {"processor": "x", "runtime": "torch", "clock": "thread", "batch": 1}
    return Table("cpu", "digits", identity, {"c": facts}, tuple(records))


def record(role: str, blocks: tuple[Any, ...], ns: int, arch: Arch | None = None) -> Record:
    told = Statistics(ns, ns - 5, ns + 9, ns, ns, ns, ns, ns, 10, 30, 1.5, ns, ns, None, ns)
    return Record(role, blocks, arch, "latency", "wall", "c", told)


def made_front(table: Table) -> Front:
    facts = table.campaigns["c"]
    archs = [each.arch for each in table.records if each.arch is not None]
    points = tuple(
        Point(
            *(arch, 100, 10, 1.0, 1.1, (0.9, 1.2), 80.0, (75.0, 85.0), 1.1, (1.0, 1.2), 1.3),
            seen_ms={"p50": (1.2, 1.1, 1.3)},
            seen_ms_measured={"p90": (1.4, 1.3, 1.5)},
            accuracy_measured=79.0,
            accuracy_measured_interval=(77.0, 81.0),
        )
        for arch in archs
    )
    settings = {
        "command": "harness run --device cpu --seed 0",
        "seed": 0,
        "distill": 0.0,
        "effort": {"name": "quick", "evaluations": 20_000},
        "supernet": "digits-0",
        "accuracy": None,
        "device": {"title": "Mine", "identity": table.identity},
        "resolutions": [12, 16, 20],
        "limits": [["cpu", 5.0, "p90"]],
        "rounds": 1,
        "search_s": 1.5,
    }
    told = {"networks": 10, "p95": 0.2, "rests_on": "ten networks", "clock": "thread"}
    shares = ("latency_within_5", "latency_within_10", "latency_mape", "latency_within_interval")
    verification = {"campaign": facts, **dict.fromkeys(shares, 0.5), "latency_span": 3.0}
    return Front(
        "cpu",
        "digits",
        settings,
        told | {"campaign": facts},
        {"rmse": 2.1, "describe": "a predictor", "held_out": 20},
        points,
        ({"latency_ms": 1.0, "accuracy": 70.0},),
        verification,
    )


def result(table: Table) -> dict[str, Any]:
    told = {clock: table.records[0].statistics.to_json("ns") for clock in ("wall", "thread")}
    return {
        "kind": "benchmark",
        "schema": 1,
        "model": {"name": "network.onnx", "sha256": "7" * 64},
        "device": "cpu",
        "identity": table.identity,
        "statistics": told,
        "reference": told,
        "references": {"wall": {table.records[0].blocks[0].key: 9000}},
        "suspect": [],
        "campaign": table.campaigns["c"],
    }


def replies() -> dict[str, tuple[Callable[..., Any], Callable[[], Any]]]:
    return {
        f"reply: {name}": (reply_changed(sample, read), partial(read, sample))
        for name, (sample, read) in REPLIES.items()
    }


def reply_changed(
    sample: str, read: Callable[[str], Any]
) -> Callable[[random.Random], Callable[[], Any]]:
    try:
        value = json.loads(sample)
    except ValueError:
        value = None

    def changed(rng: random.Random) -> Callable[[], Any]:
        if isinstance(value, dict | list):
            text = json.dumps(mutated(value, rng))
            text = spoiled_text(text, rng) if rng.random() < SPOILED else text
        else:
            text = spoiled(sample, rng)
        return lambda: read(text)

    return changed


def spoiled(text: str, rng: random.Random) -> str:
    """A word or line of the text replaced, left out or there twice."""
    lines = text.splitlines()
    number = rng.randrange(len(lines))
    words = lines[number].split(" ")
    wrong = str(rng.choice(HOSTILE))[:5000]
    what = rng.random()
    if what < 0.15:
        del lines[number]
    elif what < 0.3:
        lines.insert(number, lines[number])
    else:
        words[rng.randrange(len(words))] = rng.choice(
            (wrong, "²", "1.2.3", "0-99999999999", "1e999")
        )
        lines[number] = " ".join(words)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
