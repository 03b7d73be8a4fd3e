"""Device profiles: the checked content of `devices/NAME.toml`."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError, create_model, model_validator

from harness import files
from harness.device.sections import ConditionsSection, MatchSection
from harness.errors import FileFormatError, ProfileError, UsageError
from harness.hints import nearest
from harness.registry import Registry
from harness.runtimes.options import RuntimeOptions, SharedOptions
from harness.runtimes.runtime import RUNTIMES, Runtime
from harness.schema import Section
from harness.transports.kind import TRANSPORTS, TransportKind, Way

Kind = TypeVar("Kind")
_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "catalogue", _PACKAGE.parents[1] / "devices")
"""Where the catalogue lies in an installed package, and in a checkout."""


class Profile(Section):
    """A device profile; with the sections that its runtime and its transport have."""

    title: Annotated[str, Field(max_length=200)]
    aliases: tuple[str, ...] = ()
    transport: str
    runtime: str
    match: MatchSection = MatchSection()
    runtime_options: SharedOptions = SharedOptions()
    conditions: ConditionsSection = ConditionsSection()

    @property
    def runs_on(self) -> Runtime:
        return RUNTIMES.find(self.runtime)

    @property
    def reached_by(self) -> TransportKind:
        return TRANSPORTS.find(self.transport)

    @property
    def runtime_settings(self) -> Section:
        """The section that is named like the runtime."""
        return self._section(self.runtime)

    @property
    def options(self) -> RuntimeOptions:
        """What a session is opened with."""
        return RuntimeOptions(**self.runtime_options.model_dump(), own=self.runtime_settings)

    def way(self, device: str = "", serial: str | None = None) -> Way:
        """How the device of that name is reached."""
        match = self.match.model_dump(exclude_defaults=True)
        return Way(device, self._section(self.transport), match, serial)

    @property
    def simulated(self) -> bool:
        """Whether a cost model answers instead of a device."""
        return self.runs_on.evidence is not None

    @property
    def is_edge(self) -> bool:
        """Whether it is a phone, a board (whose profile says which model) or an FPGA.

        Not the computer at hand, nor a server that is reached by SSH.
        """
        return self.reached_by.is_edge(self.way())

    @property
    def evidence(self) -> str | None:
        """What stands behind simulated numbers; None where a device is measured."""
        evidence = self.runs_on.evidence
        return None if evidence is None else evidence(self.options)

    def _section(self, name: str) -> Section:
        section: Section = getattr(self, name, Section())
        return section

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        runtime, transport = self.runs_on, self.reached_by
        if transport.link != runtime.link:
            fitting = [each.name for each in TRANSPORTS.all() if each.link == runtime.link]
            raise ValueError(
                f"the runtime {self.runtime} needs the transport {' or '.join(fitting)}, "
                f"not {self.transport}"
            )
        if lacking := transport.lacks(self.way()):
            raise ValueError(lacking)
        if not transport.match and {"match", "conditions"} & self.model_fields_set:
            raise ValueError(f"match, conditions: transport = {self.transport!r} reaches nothing")
        for name in self.match.model_dump(exclude_defaults=True):
            if name not in transport.match:
                known = ", ".join(transport.match)
                raise ValueError(f"match.{name}: with {self.transport} it is {known}")
        self._has_effect(runtime)
        return self

    def _has_effect(self, runtime: Runtime) -> None:
        """Raises ValueError where `[runtime_options]` asks for what the runtime does not have."""
        shared = self.runtime_options
        for name in runtime.without_effect:
            usual = SharedOptions.model_fields[name].default
            if name in shared.model_fields_set and getattr(shared, name) != usual:
                raise ValueError(f"runtime_options.{name}: has no effect on {runtime.name}")
        if shared.cpus in ("big", "little") and not runtime.knows_core_sizes:
            raise ValueError("runtime_options.cpus: big and little are for phones; use a mask")
        if shared.precision not in runtime.precisions:
            raise ValueError(
                f"the runtime {runtime.name} has no precision {shared.precision!r}, "
                f"only {', '.join(runtime.precisions)}"
            )
        if shared.converter != "litert-torch" and (
            shared.precision != "float32" or ".tflite" not in runtime.file_suffixes
        ):
            raise ValueError("runtime_options.converter: onnx-tf makes only float32 .tflite files")


def _model_for(settings: dict[str, Any]) -> type[Profile]:
    """Profiles with the sections that go with this one's runtime and transport.

    Raises:
        ProfileError: there is no such runtime or transport, or it has a section of another.
    """
    runtime, transport = settings.get("runtime"), settings.get("transport")
    if not isinstance(runtime, str) or not isinstance(transport, str):
        # It will be told which is wrong; of sections nothing is known.
        return _with_sections(*((name, Any, None) for name in _kinds()))
    model = _model_of(
        _found("runtime", RUNTIMES, runtime), _found("transport", TRANSPORTS, transport)
    )
    for key in settings.keys() - model.model_fields.keys():
        if key in _kinds():
            raise ProfileError(f"{key}: is for {_kinds()[key]} = '{key}'")
    return model


def _found(key: str, registry: Registry[Kind], name: str) -> Kind:
    try:
        return registry.find(name)
    except UsageError as error:
        raise ProfileError(f"{key}: {error}") from error


def _kinds() -> dict[str, str]:
    """What sections may be named after."""
    runtimes = dict.fromkeys(RUNTIMES.names(), "runtime")
    return runtimes | dict.fromkeys(TRANSPORTS.names(), "transport")


@cache
def _model_of(runtime: Runtime, transport: TransportKind) -> type[Profile]:
    kinds = [each for each in (runtime, transport) if each.options.model_fields]
    return _with_sections(*((each.name, each.options, _usual(each.options)) for each in kinds))


def _usual(options: type[Section]) -> Any:
    """A section where a profile has none; a profile needs one that has keys without a default."""
    needed = any(field.is_required() for field in options.model_fields.values())
    return ... if needed else options()


def _with_sections(*sections: tuple[str, Any, Any]) -> type[Profile]:
    fields: dict[str, Any] = {name: (kind, default) for name, kind, default in sections}
    return create_model("Profile", __base__=Profile, **fields)


def load_profile(name: str, root: Path) -> Profile:
    """The profile called `name`: from `root/devices`, else from the shipped catalogue.

    Raises:
        ProfileError: there is none (the nearest is named), or it is wrong (the key is named).
    """
    known = profile_paths(root)
    if name not in known:
        raise ProfileError(f"no device called {name!r}; {nearest(name, device_names(root))}")
    settings = _settings(name, known, ())
    try:
        model = _model_for(settings)
    except ProfileError as error:
        raise ProfileError(f"{known[name]}: {error}") from error
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        raise ProfileError(f"{known[name]}: {_explain(error, model)}") from error


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


def _explain(error: ValidationError, model: type[Profile]) -> str:
    """A mistake in one line, with the nearest key for an unknown one, which others come from."""
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if where == "runtime_options.cpus":
        return f"{where}: write any, one, big, little, or a mask such as 0x3"
    if first["type"] != "extra_forbidden":
        return f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
    section: type[Section] = model
    if len(first["loc"]) > 1:
        section = model.model_fields[str(first["loc"][0])].annotation or model
    return f"unknown key {where!r}; {nearest(str(first['loc'][-1]), section.model_fields)}"
