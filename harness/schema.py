"""What a value from a file may be: types with bounds, checked in one place and told in one line.

Bounds are wide: what lies beyond them was not measured, by anybody.
"""

import re
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

T = TypeVar("T")
_LONGEST = 60  # of a wrong value that is shown

Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Amount = Annotated[int, Field(strict=True, gt=0, le=10**15)]  # ns (12 days) or nJ (1 MJ)
Number = Annotated[float, Field(strict=True, ge=-1e15, le=1e15)]
Positive = Annotated[float, Field(strict=True, ge=0, le=1e15)]
Ms = Annotated[float, Field(strict=True, gt=0, le=1e9)]  # 12 days; of energies mJ
Percent = Annotated[float, Field(strict=True, ge=0, le=100)]
Predicted = Annotated[float, Field(strict=True, ge=-50, le=150)]  # percent; a fit may overshoot
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """A part of a file that users write: keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def one_or_several(value: object) -> object:
    """A tuple of one where several are possible."""
    return (value,) if isinstance(value, str) else value


def _can_be_a_file(name: str) -> str:
    if not re.fullmatch(r"[^.:/\\\x00-\x1f][^:/\\\x00-\x1f]{0,200}", name):
        raise ValueError(f"{name[:_LONGEST]!r} is no name of a file")
    return name


FileName = Annotated[str, AfterValidator(_can_be_a_file)]
"""Reports are written to folders of these names."""


def _in_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"ends of an interval the wrong way round: {ends[0]:g} and {ends[1]:g}")
    return ends


Ends = Annotated[tuple[Positive, Positive], AfterValidator(_in_order)]
"""Of an interval."""
PredictedEnds = Annotated[tuple[Predicted, Predicted], AfterValidator(_in_order)]


def like(kind: Any) -> BeforeValidator:
    """Of a field that keeps its value as it is, where that is one of `kind`."""

    def check(value: Any) -> Any:
        checked(kind, value)
        return value

    return BeforeValidator(check)


def checked(kind: type[T], value: Any) -> T:
    """The value as the type has it.

    Raises:
        ValueError: it is none, in one line: `points.0.latency_ms: Input should be ...`.
    """
    try:
        return cast("T", adapter(kind).validate_python(value))
    except ValidationError as error:
        raise ValueError(explained(error)) from error


def adapter(kind: Any) -> TypeAdapter[Any]:
    """Made once for each type."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def explained(error: ValidationError) -> str:
    """The first mistake in one line: where, what is wrong, and the value."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    shown = repr(first["input"])
    value = "" if len(shown) > _LONGEST or "error" in first.get("ctx", {}) else f", not {shown}"
    return f"{where}: {message}{value}" if where else f"{message}{value}"
