"""What a profile says of a simulated DPU."""

from typing import Annotated, Literal

from pydantic import Field

from harness.schema import Section

_Share = Annotated[float, Field(gt=0, le=1)]


class DpuOptions(Section):
    """`[dpu]`: its size and memory; the last five are what `harness devices fit` finds."""

    architecture: Literal["B512", "B800", "B1024", "B1152", "B1600", "B2304", "B3136", "B4096"] = (
        "B4096"
    )
    clock_mhz: Annotated[float, Field(gt=0, le=2000)] = 300.0
    ddr_gb_s: Annotated[float, Field(gt=0, le=1000)] = 17.0
    vector_ns: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    ddr_share: _Share = 1.0
    pass_cycles: Annotated[float, Field(ge=0, le=1000)] = 0.0
    fitted_to: str = ""  # "": to nothing that was measured
    fitted_on: str = ""  # which hardware that was, as `hardware` tells it

    @property
    def hardware(self) -> str:
        return f"{self.architecture}, {self.clock_mhz:g} MHz, {self.ddr_gb_s:g} GB/s"

    @property
    def evidence(self) -> str:
        """What stands behind its numbers."""
        if self.fitted_to and self.fitted_on == self.hardware:
            return f"simulated, fitted to {self.fitted_to}"
        return "simulated, uncalibrated: its constants were not fitted on this hardware"
