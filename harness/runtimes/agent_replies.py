"""What the resident agent answers: a schema for each kind of reply (agent/__main__.py)."""

import base64
import json
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, FailFast, Field, TypeAdapter

from harness.runtimes.model_inputs.model_input import DTYPES, ModelInput, not_fed
from harness.runtimes.model_inputs.uses import Use
from harness.runtimes.replies import (
    MOST_ROWS,
    Count,
    Fact,
    MillisecondsOrNone,
    Name,
    Nanoseconds,
    NoReply,
    Seconds,
)
from harness.runtimes.session import Energy, Meter, Samples, Start
from harness.transports.plausible import ENERGY_MJ, RUN_NS, UNIX_NS, one_line

MOST_FACTS = 500
MOST_SIZES, MOST_SIZE = 64, 10**9  # of an input
LONGEST_PERIOD_S = 60.0  # between two refreshes of an energy counter; slow ones take a second


def _bytes_of(text: object) -> bytes:
    """Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("it is no text")
    return base64.b64decode(text, validate=True)


@dataclass(frozen=True)
class _Meter(Meter):
    name: Fact
    period_s: Annotated[float, Field(strict=True, gt=0, le=LONGEST_PERIOD_S)]


@dataclass(frozen=True)
class Opened:
    environment: Annotated[dict[Name, Fact], Field(max_length=MOST_FACTS)]
    meter: _Meter | None
    no_meter: Fact


@dataclass(frozen=True)
class Loaded:
    run_ns: Nanoseconds
    load_ns: Nanoseconds | None = None
    first_ns: Nanoseconds | None = None
    memory_mb: Annotated[float, Field(strict=True, ge=0, le=1e9)] | None = None

    @property
    def start(self) -> Start:
        """Raises NoReply where it does not tell how it started."""
        if self.load_ns is None or self.first_ns is None:
            raise NoReply("loading was answered without its times: start again")
        return Start(self.load_ns / 1e6, self.first_ns / 1e6, self.memory_mb)


_Size = Annotated[int, Field(strict=True, ge=0, le=MOST_SIZE)] | Literal[""]


@dataclass(frozen=True)
class Described:
    inputs: Annotated[
        list[tuple[Name, Fact, Annotated[tuple[_Size, ...], Field(max_length=MOST_SIZES)]]],
        Field(max_length=MOST_ROWS),
        FailFast(),
    ]

    def of(self, model: Path) -> Sequence[ModelInput]:
        """Raises TargetFailed where one is of a type that is not fed here."""
        for name, dtype, _ in self.inputs:
            if dtype not in DTYPES:
                raise not_fed(model, name, dtype)
        return [ModelInput(name, dtype, shape, Use()) for name, dtype, shape in self.inputs]


# On virtual machines a thread is charged nothing for a run now and then: it counts with wall time.
_Elapsed = Annotated[int, Field(strict=True, ge=0, le=int(RUN_NS.highest))]


@dataclass(frozen=True)
class Visited:
    at_ns: Annotated[int, Field(strict=True, ge=int(UNIX_NS.lowest), le=int(UNIX_NS.highest))]
    values: dict[Literal["wall", "thread", "device"], Annotated[tuple[_Elapsed, ...], FailFast()]]

    def samples(self, runs: int) -> Samples:
        """Raises NoReply where these are not so many runs."""
        counts = {clock: len(times) for clock, times in self.values.items()}
        if "wall" not in counts or set(counts.values()) != {runs}:
            raise NoReply(
                f"a visit of {runs} run(s) was answered by times of {counts}: another program or "
                "version answers; start again"
            )
        for clock, times in self.values.items():
            if clock != "thread" and min(times) < 1:
                raise NoReply(f"a visit was answered by a run of no time ({clock}): start again")
        return Samples(self.at_ns, {str(clock): times for clock, times in self.values.items()})


@dataclass(frozen=True)
class Used(Energy):
    energy_mj: Annotated[float, Field(strict=True, ge=0, le=ENERGY_MJ.highest)]
    seconds: Seconds
    runs: Count


@dataclass(frozen=True)
class Figure:
    value: Annotated[float, Field(strict=True, gt=0, le=RUN_NS.highest)]
    valid: Annotated[bool, Field(strict=True)]


@dataclass(frozen=True)
class Profiled:
    ops: Annotated[
        list[
            tuple[Name, Count, MillisecondsOrNone]
            | tuple[Name, Count, MillisecondsOrNone, list[tuple[Name, MillisecondsOrNone]]]
        ],
        Field(max_length=MOST_ROWS),
        FailFast(),
    ]


@dataclass(frozen=True)
class Inferred:
    logits: Annotated[bytes, BeforeValidator(_bytes_of)]

    def array(self, images: int) -> npt.NDArray[np.float32]:
        """[images, classes]. Raises NoReply where these are not logits of so many images."""
        if not self.logits or len(self.logits) % (4 * images):
            raise NoReply(
                f"logits of {images} image(s) were answered by {len(self.logits)} bytes: another "
                "program or version answers; start again"
            )
        return np.frombuffer(self.logits, dtype=np.float32).reshape(images, -1)


OPENED = TypeAdapter(Opened)
LOADED = TypeAdapter(Loaded)
VISITED = TypeAdapter(Visited)
USED = TypeAdapter(Used)
PROFILED = TypeAdapter(Profiled)
DESCRIBED = TypeAdapter(Described)
PLAYED = TypeAdapter(Figure)
INFERRED = TypeAdapter(Inferred)
OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])  # of conditions, or empty


def decoded(line: str) -> dict[str, Any] | None:
    """What a line says, where that is an object of JSON; None where something else talks."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def failure(reply: dict[str, Any]) -> str | None:
    """Why the agent could not do what it was asked; None where it could."""
    if "error" not in reply:
        return None
    error = reply["error"]
    return one_line(error if isinstance(error, str) else reprlib.repr(error))
