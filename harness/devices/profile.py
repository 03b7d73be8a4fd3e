"""Device profiles: the checked content of `devices/NAME.toml`."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import ProfileError

_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "catalogue", _PACKAGE.parents[1] / "devices")
"""Where the catalogue lies in an installed package, and in a checkout."""

PRECISIONS = {"torch": ("float32",), "onnxruntime": ("float32",), "litert": ("float32", "int8")}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuntimeSection(_Strict):
    """`[runtime_options]`: the settings that change a device's numbers."""

    num_threads: Annotated[int, Field(ge=1, le=1024)] = 1
    cpus: Annotated[str, Field(pattern=r"^(any|one|0x[0-9a-fA-F]+)$")] = "any"
    precision: Literal["float32", "int8"] = "float32"
    batch: Annotated[int, Field(ge=1, le=4096)] = 1


class ConditionsSection(_Strict):
    """`[conditions]`: under which the device may be measured."""

    max_temperature_c: Annotated[float, Field(gt=0, le=200)] | None = None
    pause_s: Annotated[float, Field(ge=0, le=600)] = 0.0  # after each round


class Profile(_Strict):
    """A device profile."""

    title: str
    transport: Literal["local"]
    runtime: Literal["torch", "onnxruntime", "litert"]
    runtime_options: RuntimeSection = RuntimeSection()
    conditions: ConditionsSection = ConditionsSection()

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


def _settings(name: str, known: dict[str, Path], heirs: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a profile on top of those that it extends."""
    path = known[name]
    try:
        own = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"cannot read {path}: {error}") from error
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
    }
    section = sections.get(str(first["loc"][0]), Profile) if len(first["loc"]) > 1 else Profile
    near = get_close_matches(str(first["loc"][-1]), section.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(section.model_fields)}"
    return f"unknown key {where!r}; {hint}"
