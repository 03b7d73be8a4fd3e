"""What a device has to answer: what answers of programs are made of, and the check of a whole one.

Our own programs answer so; another version of them, what runs in their place or a broken link may
answer anything that is JSON.
"""

import reprlib
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from harness.errors import TargetFailed
from harness.transports.plausible import COUNT, DAY_S, RUN_NS, one_line

Reply = TypeVar("Reply")

LONGEST_NAME = 1000  # characters; layers that are fused have names of some hundred
LONGEST_FACT = 1 << 16  # the numbers of 4096 processors are 24,000
SHORTEST_S = RUN_NS.lowest / 1e9
MOST_ROWS = 1_000_000

Nanoseconds = Annotated[int, Field(strict=True, ge=int(RUN_NS.lowest), le=int(RUN_NS.highest))]
Seconds = Annotated[float, Field(strict=True, ge=SHORTEST_S, le=DAY_S)]
Milliseconds = Annotated[float, Field(strict=True, ge=SHORTEST_S * 1e3, le=DAY_S * 1e3)]
MillisecondsOrNone = Annotated[float, Field(strict=True, ge=0, le=DAY_S * 1e3)]
Count = Annotated[int, Field(strict=True, ge=int(COUNT.lowest), le=int(COUNT.highest))]
Name = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=LONGEST_NAME),
    AfterValidator(lambda text: one_line(text, LONGEST_NAME)),
]
Fact = Annotated[
    str,
    Field(strict=True, max_length=LONGEST_FACT),
    AfterValidator(lambda text: one_line(text, LONGEST_FACT)),
]


class NoReply(TargetFailed):
    """What was answered is not what the question asks for."""


def checked(schema: TypeAdapter[Reply], value: object, what: str) -> Reply:
    """The value, as what it has to be; `what` it is, for people.

    Raises:
        NoReply: it is something else.
    """
    try:
        return schema.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
    where = one_line(".".join(map(str, first["loc"])), 100) or "it"
    raise NoReply(
        f"{what} is not what it should be: {where} = {reprlib.repr(first['input'])}: "
        f"{one_line(first['msg'], 100)}; perhaps another program or version answers: start again"
    )
