"""Model files of users, which may keep their weights in files beside them."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import FileFormatError
from harness.hints import missing
from harness.transports import content
from harness.transports.transport import ResidentTransport

WEIGHTS = {".xml": ".bin", ".param": ".bin"}  # OpenVINO's and ncnn's second file has that suffix


def digest(model: Path) -> str:
    """SHA-256 of the file, and of those that it keeps its weights in, where there are any.

    Raises:
        FileFormatError: one of them is missing, or lies outside of the model's folder.
    """
    own, others = content.digest(model), beside(model)
    if not others:
        return own
    lines = [own, *(f"{content.digest(path)} {name}" for name, path in others.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def push(transport: ResidentTransport, model: Path) -> PurePosixPath:
    """Make it available on the device, with the files that it keeps its weights in.

    Raises:
        FileFormatError: as above.
        DeviceFull: there is no room for them.
    """
    others = beside(model)
    return transport.push_with(model, others) if others else transport.push(model)


def beside(model: Path) -> Mapping[str, Path]:
    """The files that a model keeps its weights in, by the names that it has for them.

    Raises:
        FileFormatError: one of them is missing, or lies outside of the model's folder.
        MissingExtra: onnx is not installed, so that nobody knows.
    """
    if (suffix := WEIGHTS.get(model.suffix.lower())) is not None:
        name = model.with_suffix(suffix).name
        return {name: _checked(model, name)}
    if model.suffix.lower() != ".onnx":
        return {}
    state = model.stat()
    names = _names(model, state.st_mtime_ns, state.st_size)
    return {name: _checked(model, name) for name in names}


@cache
def _names(model: Path, _mtime_ns: int, _size: int) -> tuple[str, ...]:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise missing("reading .onnx files needs", "onnx", "onnx") from error
    try:
        read = onnx.load(model, load_external_data=False)
    except DecodeError:  # the runtime will say that it is none
        return ()
    return tuple(sorted(set(_locations(read, onnx.TensorProto))))


def _locations(message: Any, tensor: Any) -> Iterator[str]:
    """Where the tensors in a message of protocol buffers are kept, in graphs within graphs, too."""
    if isinstance(message, tensor):
        if message.data_location == tensor.EXTERNAL:
            yield from (each.value for each in message.external_data if each.key == "location")
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield from _locations(each, tensor)


def _checked(model: Path, name: str) -> Path:
    folder = model.absolute().parent
    relative, path = PurePosixPath(name), folder / name
    inside = not relative.is_absolute() and ".." not in relative.parts
    if inside and not path.is_file():
        raise FileFormatError(
            f"{model} keeps weights in {name}, which is not beside it: put it into {folder}"
        )
    # A cache of downloads may link to all files from one folder.
    homes = (folder.resolve(), model.resolve().parent)
    if not inside or not any(path.resolve().is_relative_to(home) for home in homes):
        raise FileFormatError(
            f"{model} keeps weights in {name}, outside of its folder, and such files are never "
            "read or sent: save it with its weights beside it"
        )
    return path
