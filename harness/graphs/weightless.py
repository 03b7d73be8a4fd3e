"""An .onnx file without the values of its weights, which are nearly all of it.

What a runtime executes follows from sizes, and from the few values that steer. Values of weights
are skipped in the file (its format is protocol buffers': each field has a number and a length), and
zeros in a file of their own stand for them: hundreds of megabytes are neither read nor written.
"""

import mmap
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

STEERING = 64  # constants of at most so many numbers keep their values
_GRAPH, _INITIALIZER = 7, 5  # onnx.proto's numbers of fields
_DATA_TYPE, _VALUES = 2, (4, 5, 9, 10)  # of a tensor: float_data, int32_data, raw_data, double_data
_SKIPPED = {1: 4, 3: 1, 10: 2, 11: 8, 16: 2}
"""Bytes a number, of the types that weights have: float, int8, float16, double, bfloat16. Others
may be masks and indices, on whose values it depends what is fused."""
_ZEROS = "zeros"


class _Field(NamedTuple):
    number: int
    start: int
    value: int  # where its value starts
    end: int


def without_weights(model: Path) -> bytes:
    """The file's content without the values of large weights.

    Raises:
        ValueError: it is no message of protocol buffers.
        OSError: it cannot be read.
    """
    with model.open("rb") as file:
        if model.stat().st_size == 0:
            raise ValueError("the file is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _nested(content, 0, len(content), (_GRAPH, _INITIALIZER))


def _nested(content: mmap.mmap, start: int, end: int, way: tuple[int, ...]) -> bytes:
    """A message in which the tensors that `way` leads to are without values."""
    if not way:
        return _tensor(content, start, end)
    parts = []
    for field in _fields(content, start, end):
        if field.number == way[0]:
            inside = _nested(content, field.value, field.end, way[1:])
            parts += [_varint(field.number << 3 | 2), _varint(len(inside)), inside]
        else:
            parts.append(content[field.start : field.end])
    return b"".join(parts)


def _tensor(content: mmap.mmap, start: int, end: int) -> bytes:
    fields = list(_fields(content, start, end))
    types = [_number(content, each.value)[0] for each in fields if each.number == _DATA_TYPE]
    size = _SKIPPED.get(types[-1] if types else 0)
    return b"".join(
        content[each.start : each.end]
        for each in fields
        if size is None or each.number not in _VALUES or each.end - each.value <= STEERING * size
    )


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[_Field]:
    place = start
    while place < end:
        key, value = _number(content, place)
        kind = key & 7
        if kind == 0:
            stop = _number(content, value)[1]
        elif kind == 2:
            length, value = _number(content, value)
            stop = value + length
        elif kind in (1, 5):
            stop = value + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"byte {place} is no field of a protocol buffer")
        if stop > end:
            raise ValueError(f"it ends within the field at byte {place}")
        yield _Field(key >> 3, place, value, stop)
        place = stop


def _number(content: mmap.mmap, place: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    found = shift = 0
    while place < len(content) and shift < 70:
        byte = content[place]
        found, shift, place = found | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return found, place
    raise ValueError(f"it ends within the number at byte {place}")


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def with_zeros(loaded: Any, model: Path, folder: Path) -> None:
    """Put zeros, in a file in `folder`, where a model from `without_weights` lacks values.

    What `model` keeps in files beside it is such a weight, too, or read.
    """
    from onnx import TensorProto
    from onnx.external_data_helper import load_external_data_for_tensor

    longest = 0
    for tensor in loaded.graph.initializer:
        size = _SKIPPED.get(tensor.data_type, 0) * prod(tensor.dims)
        outside = tensor.data_location == TensorProto.EXTERNAL
        if size and prod(tensor.dims) > STEERING and (outside or not _has_values(tensor)):
            del tensor.external_data[:]
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", _ZEROS), ("offset", "0"), ("length", str(size))):
                tensor.external_data.add(key=key, value=value)
            longest = max(longest, size)
        elif outside:
            load_external_data_for_tensor(tensor, str(model.parent))
            tensor.data_location = TensorProto.DEFAULT
    with (folder / _ZEROS).open("wb") as file:
        file.truncate(longest)


def _has_values(tensor: Any) -> bool:
    return any(each.number in _VALUES for each, _ in tensor.ListFields())
