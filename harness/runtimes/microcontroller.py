"""Boards with a microcontroller: what is known of them without one is how much memory they have."""

from typing import Annotated, Literal, NoReturn

from pydantic import Field

from harness.errors import TargetFailed
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.runtime import Runtime
from harness.schema import Section
from harness.transports.transport import Transport

_Kib = Annotated[int, Field(gt=0, le=1 << 20)]
KB_OF_KIB = 1.024


class BoardOptions(Section):
    """`[microcontroller]`: its memory, what runs networks there, and who says so."""

    sram_kib: _Kib
    flash_kib: _Kib
    planner: Literal["tflite-micro", "in-place"] = "tflite-micro"
    source: Annotated[str, Field(max_length=500)]

    @property
    def limits(self) -> tuple[tuple[str, float], ...]:
        """The costs of networks that it limits, with what it has, kB."""
        sram = "sram" if self.planner == "tflite-micro" else f"sram.{self.planner}"
        return (sram, self.sram_kib * KB_OF_KIB), ("flash", self.flash_kib * KB_OF_KIB)


def open_session(_transport: Transport, _options: RuntimeOptions) -> NoReturn:
    """Raises TargetFailed: no board is reached."""
    raise TargetFailed(
        "no microcontroller is reached from here, and no latency of one is made up: "
        "`--constraint` with its name searches the networks that fit into its memory"
    )


RUNTIME = Runtime(
    name="microcontroller",
    open=open_session,
    link="none",
    precisions=("int8",),
    file_suffixes=(".tflite",),
    options=BoardOptions,
    without_effect=("num_threads", "cpus", "batch"),
)
