"""The sections of a device profile, each with the keys that it may have."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuntimeSection(Strict):
    """`[runtime_options]`: the settings that change a device's numbers."""

    num_threads: Annotated[int, Field(ge=1, le=1024)] = 1
    cpus: Annotated[str, Field(pattern=r"^(any|one|big|little|0x0*[1-9a-fA-F][0-9a-fA-F]*)$")] = (
        "any"
    )
    precision: Literal["float32", "float16", "int8"] = "float32"
    batch: Annotated[int, Field(ge=1, le=4096)] = 1
    converter: Literal["litert-torch", "onnx-tf"] = "litert-torch"


class BenchmarkModelSection(Strict):
    """`[benchmark_model]`: the runner on a phone."""

    path: Annotated[Path, AfterValidator(Path.expanduser)] | None = None
    delegate: Literal["default", "none", "xnnpack", "gpu", "nnapi"] = "default"
    warmup_runs: Annotated[int, Field(ge=1, le=10_000)] = 1
    warmup_s: Annotated[float, Field(ge=0, le=60)] = 0.2
    runs: Annotated[int, Field(ge=1, le=10_000)] = 10
    seconds: Annotated[float, Field(ge=0, le=20)] = 0.1
    extra_args: tuple[Annotated[str, Field(pattern=r"^--\w+(=.*)?$")], ...] = ()


def _as_tuple(value: object) -> object:
    """One where several are possible."""
    return (value,) if isinstance(value, str) else value


class AdbSection(Strict):
    """`[adb]`: how a phone is reached."""

    backend: Literal["auto", "server", "direct"] = "auto"
    serial: tuple[Annotated[str, Field(min_length=1)], ...] = ()  # of its USB, or HOST:PORT
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0  # for a phone that went away

    _one_or_several = field_validator("serial", mode="before")(_as_tuple)

    @field_validator("serial")
    @classmethod
    def _all_different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a phone twice")
        return value


class SshSection(Strict):
    """`[ssh]`: how a board is reached."""

    host: Annotated[str, Field(pattern=r"^[^-\s][^\s]*$")] = (
        ""  # a Host of ~/.ssh/config, or [USER@]NAME
    )
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    python: Annotated[tuple[str, ...], Field(min_length=1)] = ("python3",)
    folder: Annotated[str, Field(min_length=1)] = ".cache/harness"  # of our files; from its home
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0  # for a board that went away

    _one_or_several = field_validator("python", mode="before")(_as_tuple)


class TorchSection(Strict):
    """`[torch]`: how torch runs networks."""

    device: Literal["cpu", "cuda"] = "cpu"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    autocast: Literal["off", "float16", "bfloat16"] = "off"
    cuda_graphs: bool = False


class TensorrtSection(Strict):
    """`[tensorrt]`: the board's own trtexec."""

    trtexec: Annotated[str, Field(min_length=1)] = "/usr/src/tensorrt/bin/trtexec"
    cuda_graphs: bool = False
    extra_args: tuple[Annotated[str, Field(pattern=r"^--\w+(=.*)?$")], ...] = ()


Share = Annotated[float, Field(gt=0, le=1)]


class DpuSection(Strict):
    """`[dpu]`: a simulated DPU; the last five are what `harness devices fit` finds."""

    architecture: Literal["B512", "B800", "B1024", "B1152", "B1600", "B2304", "B3136", "B4096"] = (
        "B4096"
    )
    clock_mhz: Annotated[float, Field(gt=0, le=2000)] = 300.0
    ddr_gb_s: Annotated[float, Field(gt=0, le=1000)] = 17.0
    vector_ns: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    ddr_share: Share = 1.0
    pass_cycles: Annotated[float, Field(ge=0, le=1000)] = 0.0
    fitted_to: str = ""
    fitted_on: str = ""


class MatchSection(Strict):
    """`[match]`: what must be at the other end; patterns as of file names, any of several."""

    model: tuple[str, ...] = ()  # of a phone, or of a board's device tree
    device: tuple[str, ...] = ()  # the rest of a phone's
    manufacturer: tuple[str, ...] = ()
    soc: tuple[str, ...] = ()
    processor: tuple[str, ...] = ()  # of a computer or board
    gpu: tuple[str, ...] = ()
    power_mode: tuple[str, ...] = ()  # of a Jetson, by nvpmodel

    _one_or_several = field_validator("*", mode="before")(_as_tuple)


class ConditionsSection(Strict):
    """`[conditions]`: under which the device may be measured."""

    max_temperature_c: Annotated[float, Field(gt=0, le=200)] | None = None
    pause_s: Annotated[float, Field(ge=0, le=600)] = 0.0  # after each round
