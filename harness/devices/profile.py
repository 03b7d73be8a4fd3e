"""Device profiles: the checked content of `devices/NAME.toml`."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.errors import ProfileError

_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "catalogue", _PACKAGE.parents[1] / "devices")
"""Where the catalogue lies in an installed package, and in a checkout."""

TFLITE = ("float32", "float16", "int8")
PRECISIONS = {
    "torch": ("float32",),
    "onnxruntime": ("float32",),
    "litert": TFLITE,
    "benchmark_model": TFLITE,
}
TFLITE_RUNTIMES = ("litert", "benchmark_model")
TRANSPORTS = {  # of each runtime
    "torch": ("local",),
    "onnxruntime": ("local",),
    "litert": ("local",),
    "benchmark_model": ("adb",),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuntimeSection(_Strict):
    """`[runtime_options]`: the settings that change a device's numbers."""

    num_threads: Annotated[int, Field(ge=1, le=1024)] = 1
    cpus: Annotated[str, Field(pattern=r"^(any|one|big|little|0x0*[1-9a-fA-F][0-9a-fA-F]*)$")] = (
        "any"
    )
    precision: Literal["float32", "float16", "int8"] = "float32"
    batch: Annotated[int, Field(ge=1, le=4096)] = 1
    converter: Literal["litert-torch", "onnx-tf"] = "litert-torch"


class BenchmarkModelSection(_Strict):
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


class AdbSection(_Strict):
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


class MatchSection(_Strict):
    """`[match]`: which phone it must be; patterns as of file names, any of several."""

    model: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    manufacturer: tuple[str, ...] = ()
    soc: tuple[str, ...] = ()

    _one_or_several = field_validator("*", mode="before")(_as_tuple)


class ConditionsSection(_Strict):
    """`[conditions]`: under which the device may be measured."""

    max_temperature_c: Annotated[float, Field(gt=0, le=200)] | None = None
    pause_s: Annotated[float, Field(ge=0, le=600)] = 0.0  # after each round


class Profile(_Strict):
    """A device profile."""

    title: str
    aliases: tuple[str, ...] = ()
    transport: Literal["local", "adb"]
    runtime: Literal["torch", "onnxruntime", "litert", "benchmark_model"]
    match: MatchSection = MatchSection()
    adb: AdbSection = AdbSection()
    benchmark_model: BenchmarkModelSection = BenchmarkModelSection()
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
        if self.transport == "local":
            for name, section in (("match", self.match), ("adb", self.adb)):
                if section != type(section)():
                    raise ValueError(f"{name}: is for phones, transport = 'adb'")
        if self.runtime != "benchmark_model" and self.benchmark_model != BenchmarkModelSection():
            raise ValueError("benchmark_model: is for the runtime benchmark_model")
        if self.transport == "local" and self.runtime_options.cpus in ("big", "little"):
            raise ValueError("runtime_options.cpus: big and little are for phones; use a mask")
        if self.runtime_options.converter != "litert-torch" and (
            self.runtime_options.precision != "float32" or self.runtime not in TFLITE_RUNTIMES
        ):
            raise ValueError("runtime_options.converter: onnx-tf makes only float32 .tflite files")
        return self

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
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise ProfileError(f"no device called {name!r}; {hint}")
    try:
        return Profile.model_validate(_settings(name, known, ()))
    except ValidationError as error:
        raise ProfileError(f"{known[name]}: {_explain(error)}") from error


def full_name(name: str, root: Path) -> str:
    """The device that is called so, or has this alias; the name itself where none has."""
    known = profile_paths(root)
    if name in known:
        return name
    for each, path in known.items():
        try:
            aliases = tomllib.loads(path.read_text()).get("aliases", ())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue  # whoever asks for it is told
        if isinstance(aliases, list) and name in aliases:
            return each
    return name


def _settings(name: str, known: dict[str, Path], heirs: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a profile on top of those that it extends."""
    path = known[name]
    try:
        own = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"cannot read {path}: {error}") from error
    if heirs:
        own.pop("aliases", None)
    parent = own.pop("extends", None)
    if parent is None:
        return own
    if parent not in known:
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
    """The first mistake in one line, with the nearest key for an unknown one."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
    sections: dict[str, type[_Strict]] = {
        "runtime_options": RuntimeSection,
        "conditions": ConditionsSection,
        "benchmark_model": BenchmarkModelSection,
        "adb": AdbSection,
        "match": MatchSection,
    }
    section = sections.get(str(first["loc"][0]), Profile) if len(first["loc"]) > 1 else Profile
    near = get_close_matches(str(first["loc"][-1]), section.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(section.model_fields)}"
    return f"unknown key {where!r}; {hint}"
