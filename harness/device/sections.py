"""The sections of every device profile; those of a runtime or a transport lie with it."""

from typing import Annotated

from pydantic import Field, field_validator

from harness.schema import Section, one_or_several


class MatchSection(Section):
    """`[match]`: what must be at the other end; patterns as of file names, any of several."""

    model: tuple[str, ...] = ()  # of a phone, or of a board's device tree
    device: tuple[str, ...] = ()  # the rest of a phone's
    manufacturer: tuple[str, ...] = ()
    soc: tuple[str, ...] = ()
    processor: tuple[str, ...] = ()  # of a computer or board
    gpu: tuple[str, ...] = ()
    power_mode: tuple[str, ...] = ()  # of a Jetson, by nvpmodel

    _one_or_several = field_validator("*", mode="before")(one_or_several)


class ConditionsSection(Section):
    """`[conditions]`: under which the device may be measured."""

    max_temperature_c: Annotated[float, Field(gt=0, le=200)] | None = None
    pause_s: Annotated[float, Field(ge=0, le=600)] = 0.0  # after each round
