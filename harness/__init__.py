"""Put once-for-all networks on real devices: measure, search, verify, report.

    import harness

    table = harness.measure("cpu-onnxruntime", "digits", quick=True)
    found = harness.search("digits", latency=table, accuracy=my_function, max_latency_ms=0.9)
    harness.predict(found[-1].arch, "cpu-onnxruntime")

`docs/python.md` has the rest. What is heavy is imported where it is used.
"""

# ruff: noqa: F403, F405 - what `__all__` of `api` names

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import *

__version__ = "0.2.0"
__all__ = [
    "Arch",
    "Candidate",
    "Comparison",
    "Device",
    "Front",
    "HarnessError",
    "History",
    "Prediction",
    "Space",
    "Table",
    "compare",
    "devices",
    "export",
    "history",
    "measure",
    "predict",
    "report",
    "run",
    "search",
    "space",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    """What is above, as soon as somebody asks for it."""
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("harness.api"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
