"""Users' .onnx files for converters that make other files of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from harness.runtimes.session import Workload

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""By the names of inputs."""


def is_onnx(workload: Workload) -> TypeGuard[Path]:
    return isinstance(workload, Path) and workload.suffix.lower() == ".onnx"


def with_sizes(model: Path, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """The file with these shapes of its inputs, and with its weights in it."""
    import onnx

    loaded = onnx.load(model)
    set_sizes(loaded, shapes)
    content: bytes = loaded.SerializeToString()
    return content


def set_sizes(loaded: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give a model these shapes of its inputs."""
    for given in loaded.graph.input:
        told = shapes.get(given.name, ())
        for size, number in zip(given.type.tensor_type.shape.dim, told, strict=False):
            size.dim_value = number
    del loaded.graph.value_info[:]  # which may tell of open sizes
