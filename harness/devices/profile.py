"""Device profiles: the checked content of `devices/NAME.toml`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from harness import files
from harness.devices.sections import (
    AdbSection,
    BenchmarkModelSection,
    ConditionsSection,
    DpuSection,
    MatchSection,
    RuntimeSection,
    SshSection,
    Strict,
    TensorrtSection,
    TorchSection,
)
from harness.errors import FileFormatError, ProfileError
from harness.hints import nearest
from harness.runtimes.session import DpuOptions

_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "catalogue", _PACKAGE.parents[1] / "devices")
"""Where the catalogue lies in an installed package, and in a checkout."""

TFLITE = ("float32", "float16", "int8")
PRECISIONS = {
    "torch": ("float32",),
    "onnxruntime": ("float32",),
    "litert": TFLITE,
    "benchmark_model": TFLITE,
    "tensorrt": ("float32", "float16"),
    "dpu": ("int8",),
}
TFLITE_RUNTIMES = ("litert", "benchmark_model")
TRANSPORTS = {  # of each runtime
    "torch": ("local", "ssh"),
    "onnxruntime": ("local", "ssh"),
    "litert": ("local", "ssh"),
    "benchmark_model": ("adb",),
    "tensorrt": ("local", "ssh"),
    "dpu": ("none",),
}
PHONES_KNOW = ("model", "device", "manufacturer", "soc")
OTHERS_KNOW = ("model", "processor", "gpu", "power_mode")


class Profile(Strict):
    """A device profile."""

    title: Annotated[str, Field(max_length=200)]
    aliases: tuple[str, ...] = ()
    transport: Literal["local", "ssh", "adb", "none"]
    runtime: Literal["torch", "onnxruntime", "litert", "benchmark_model", "tensorrt", "dpu"]
    match: MatchSection = MatchSection()
    adb: AdbSection = AdbSection()
    ssh: SshSection = SshSection()
    benchmark_model: BenchmarkModelSection = BenchmarkModelSection()
    torch: TorchSection = TorchSection()
    tensorrt: TensorrtSection = TensorrtSection()
    dpu: DpuSection = DpuSection()
    runtime_options: RuntimeSection = RuntimeSection()
    conditions: ConditionsSection = ConditionsSection()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.transport not in TRANSPORTS[self.runtime]:
            raise ValueError(
                f"the runtime {self.runtime} needs the transport "
                f"{' or '.join(TRANSPORTS[self.runtime])}, not {self.transport}"
            )
        if self.transport == "adb" and not (any(self.match.model_dump().values())):
            raise ValueError("match: says which phone it must be, such as { model = 'Pixel 2' }")
        if self.transport == "ssh" and not self.ssh.host:
            raise ValueError("ssh.host: says which board, such as a Host of ~/.ssh/config")
        known = PHONES_KNOW if self.transport == "adb" else OTHERS_KNOW
        for name in self.match.model_dump(exclude_defaults=True):
            if name not in known:
                raise ValueError(f"match.{name}: with {self.transport} it is {', '.join(known)}")
        for name in ("adb", "ssh"):
            self._is_for(name, "transport")
        for name in ("benchmark_model", "torch", "tensorrt", "dpu"):
            self._is_for(name, "runtime")
        if self.transport != "adb" and self.runtime_options.cpus in ("big", "little"):
            raise ValueError("runtime_options.cpus: big and little are for phones; use a mask")
        if self.runtime == "tensorrt":
            for name in ("num_threads", "cpus"):
                if name in self.runtime_options.model_fields_set:
                    raise ValueError(f"runtime_options.{name}: has no effect on tensorrt")
        if self.simulated:
            for name in ("num_threads", "cpus", "batch"):
                if name in self.runtime_options.model_fields_set:
                    raise ValueError(f"runtime_options.{name}: has no effect on a simulated DPU")
            if "match" in self.model_fields_set or "conditions" in self.model_fields_set:
                raise ValueError("match, conditions: nothing is reached where a DPU is simulated")
        if self.torch.device == "cpu" and self.torch.cuda_graphs:
            raise ValueError("torch.cuda_graphs: needs device = 'cuda'")
        if self.runtime_options.converter != "litert-torch" and (
            self.runtime_options.precision != "float32" or self.runtime not in TFLITE_RUNTIMES
        ):
            raise ValueError("runtime_options.converter: onnx-tf makes only float32 .tflite files")
        return self

    @property
    def simulated(self) -> bool:
        """Whether a cost model answers instead of a device."""
        return self.runtime == "dpu"

    @property
    def is_edge(self) -> bool:
        """Whether it is a phone, a board (whose profile says which model) or an FPGA.

        Not the computer at hand, nor a server that is reached by SSH.
        """
        return self.transport in ("adb", "none") or (
            self.transport == "ssh" and bool(self.match.model)
        )

    @property
    def evidence(self) -> str | None:
        """What stands behind simulated numbers; None where a device is measured."""
        return DpuOptions(**self.dpu.model_dump()).evidence if self.simulated else None

    def _is_for(self, name: str, part: str) -> None:
        """Raises ValueError where a section is for another transport or runtime."""
        section = getattr(self, name)
        if name != getattr(self, part) and section != type(section)():
            raise ValueError(f"{name}: is for {part} = '{name}'")

    @model_validator(mode="after")
    def _runs_in_this_precision(self) -> Self:
        precision = self.runtime_options.precision
        if precision not in PRECISIONS[self.runtime]:
            raise ValueError(
                f"the runtime {self.runtime} has no precision {precision!r}, "
                f"only {', '.join(PRECISIONS[self.runtime])}"
            )
        return self


def load_profile(name: str, root: Path) -> Profile:
    """The profile called `name`: from `root/devices`, else from the shipped catalogue.

    Raises:
        ProfileError: there is none (the nearest is named), or it is wrong (the key is named).
    """
    known = profile_paths(root)
    if name not in known:
        raise ProfileError(f"no device called {name!r}; {nearest(name, device_names(root))}")
    try:
        return Profile.model_validate(_settings(name, known, ()))
    except ValidationError as error:
        raise ProfileError(f"{known[name]}: {_explain(error)}") from error


def full_name(name: str, root: Path) -> str:
    """The device that is called so, or has this alias; the name itself where none has."""
    known = profile_paths(root)
    return name if name in known else _aliases(known).get(name, name)


def device_names(root: Path) -> list[str]:
    """What devices of the catalogue may be called, aliases too."""
    known = profile_paths(root)
    return sorted({*known, *_aliases(known)})


def _aliases(known: dict[str, Path]) -> dict[str, str]:
    """The device of each alias; of several that have it, the first."""
    found: dict[str, str] = {}
    for name, path in known.items():
        try:
            aliases = files.read_toml(path).get("aliases", ())
        except FileFormatError:
            continue  # whoever asks for it is told
        if isinstance(aliases, list):
            found = {alias: name for alias in aliases if isinstance(alias, str)} | found
    return found


def _settings(name: str, known: dict[str, Path], heirs: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a profile on top of those that it extends."""
    path = known[name]
    try:
        own = files.read_toml(path)
    except FileFormatError as error:
        raise ProfileError(str(error)) from error
    if heirs:
        own.pop("aliases", None)
    parent = own.pop("extends", None)
    if parent is None:
        return own
    if not isinstance(parent, str) or parent not in known:
        raise ProfileError(f"{path}: extends {parent!r}, which is no device")
    if parent in (name, *heirs):
        raise ProfileError(f"{path}: extends {parent!r}, which extends it in turn")
    settings = _settings(parent, known, (name, *heirs))
    for key, value in own.items():
        inherited = settings.get(key)
        both = isinstance(value, dict) and isinstance(inherited, dict)
        settings[key] = inherited | value if both else value
    return settings


def profile_paths(root: Path) -> dict[str, Path]:
    """Every profile by name; those in `root/devices` hide shipped ones."""
    found: dict[str, Path] = {}
    for folder in (*SHIPPED, root / "devices"):
        for path in sorted(folder.glob("*.toml")):
            if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", path.stem):
                found[path.stem] = path
    return found


def _explain(error: ValidationError) -> str:
    """A mistake in one line, with the nearest key for an unknown one, which others come from."""
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if where == "runtime_options.cpus":
        return f"{where}: write any, one, big, little, or a mask such as 0x3"
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
    section: type[Strict] = Profile
    if len(first["loc"]) > 1:
        section = Profile.model_fields[str(first["loc"][0])].annotation or Profile
    return f"unknown key {where!r}; {nearest(str(first['loc'][-1]), section.model_fields)}"
