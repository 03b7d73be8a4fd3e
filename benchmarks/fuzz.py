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
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Printed

sys.path.append(str(Path(__file__).parents[1]))

from harness.errors import HarnessError
from tests.runtimes.recorded_replies import REPLIES
from tests.valid_files import Kind, kinds

LARGEST = 1e19  # of any number that a reader may give
HOSTILE: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, 1e300, -1e300, 10**30, -(10**30)),
    *(0, -1, -5.0, 1e-300, 1e15 + 1, True, None, "", "x", "1", "\x00", "../x", "x" * 2_000_000),
    *([], {}, [1], {"x": 1}, "\ud800", 999, "NaN", "-5"),
)
DEEP = 100_000  # brackets
SPOILED = 0.02  # share of the cases
REPLY = "reply: "
REPLIES_A_FILE = 5  # cases: they take a hundredth of a file's time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    found: dict[str, Counter[str]] = {}
    shown: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        readers = {**files(Path(folder)), **replies()}
        for name, (_, read_valid) in readers.items():
            found[name] = Counter()
            if (outcome := tried(read_valid, shown, name)) != "read":
                raise SystemExit(f"{name}: the valid one is not read: {outcome} {shown}")
        end = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() < end:
            for name, (changed, _) in readers.items():
                for _ in range(REPLIES_A_FILE if name.startswith(REPLY) else 1):
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


def replies() -> dict[str, tuple[Callable[..., Any], Callable[[], Any]]]:
    return {
        f"{REPLY}{name}": (reply_changed(sample, read), partial(read, sample))
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
