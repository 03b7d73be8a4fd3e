"""Device profiles: the checked content of `devices/NAME.toml`."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import ProfileError

_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "catalogue", _PACKAGE.parents[1] / "devices")
"""Where the catalogue lies in an installed package, and in a checkout."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuntimeSection(_Strict):
    """`[runtime_options]`: the settings that change a device's numbers."""

    num_threads: Annotated[int, Field(ge=1, le=1024)] = 1
    cpus: Annotated[str, Field(pattern=r"^(any|one|0x[0-9a-fA-F]+)$")] = "any"
    precision: Literal["float32"] = "float32"
    batch: Annotated[int, Field(ge=1, le=4096)] = 1


class Profile(_Strict):
    """A device profile."""

    title: str
    transport: Literal["local"]
    runtime: Literal["torch", "onnxruntime"]
    runtime_options: RuntimeSection = RuntimeSection()


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
    path = known[name]
    try:
        return Profile.model_validate(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileError(f"cannot read {path}: {error}") from error
    except ValidationError as error:
        raise ProfileError(f"{path}: {_explain(error)}") from error


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
        return f"{where}: {first['msg']}"
    section = RuntimeSection if first["loc"][0] == "runtime_options" else Profile
    near = get_close_matches(str(first["loc"][-1]), section.model_fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(section.model_fields)}"
    return f"unknown key {where!r}; {hint}"
