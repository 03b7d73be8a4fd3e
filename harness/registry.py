"""Things that come in kinds, found by name: ours are modules of one package, others' entry points.

A runtime of ours is a file of `harness/runtimes/` with a `RUNTIME`; somebody else's package names
its own in its `pyproject.toml`, under `[project.entry-points."harness.runtimes"]`.
"""

import logging
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Generic, TypeVar

from harness.errors import UsageError
from harness.hints import nearest

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Registry(Generic[Kind]):
    """All that there are of one kind of thing."""

    package: str  # of ours, and the name of others' entry points
    attribute: str  # what a module of ours calls it
    kind: type[Kind]

    def find(self, name: str) -> Kind:
        """The one that is called so.

        Raises:
            UsageError: there is none (the nearest is named), or another package's is broken.
        """
        module = f"{self.package}.{name}"
        if name.isidentifier() and find_spec(module) is not None:
            found = getattr(import_module(module), self.attribute, None)
            if isinstance(found, self.kind):
                return found
        for entry in _others(self.package):
            if entry.name == name:
                return self._loaded(entry)
        raise UsageError(f"no {self._called} called {name!r}; {nearest(name, self.names())}")

    def names(self) -> list[str]:
        return sorted({*self._ours(), *(entry.name for entry in _others(self.package))})

    def all(self) -> list[Kind]:
        """Every one of them, by name; one of another package that is broken is left out, and
        said."""
        found = []
        for name in self.names():
            try:
                found.append(self.find(name))
            except UsageError as error:
                logging.getLogger(__name__).warning("harness: %s", error)
        return found

    @property
    def _called(self) -> str:
        return self.attribute.lower()

    def _ours(self) -> Iterator[str]:
        for module in pkgutil.iter_modules(import_module(self.package).__path__):
            name = f"{self.package}.{module.name}"
            if isinstance(getattr(import_module(name), self.attribute, None), self.kind):
                yield module.name

    def _loaded(self, entry: EntryPoint) -> Kind:
        where = f"the {self._called} {entry.name!r} ({entry.value})"
        try:
            found = entry.load()
        except Exception as error:  # whatever a module of somebody's raises
            raise UsageError(f"{where} cannot be imported: {error!r:.300}") from error
        if not isinstance(found, self.kind):
            raise UsageError(f"{where} is no {self.kind.__name__} but {type(found).__name__}")
        if (name := getattr(found, "name", entry.name)) != entry.name:
            raise UsageError(f"{where} calls itself {name!r}: give its entry point that name")
        return found


@cache
def _others(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))
