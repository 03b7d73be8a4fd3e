"""OpenVINO's own file of a model, layer by layer, as its CPU compiles it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from harness.spaces.kernel import Tensor

Output = tuple[int, int]
"""A layer, by its number in the file, and which of its outputs."""
CONST, PARAMETER, RESULT, SUBGRAPH = "Const", "Parameter", "Result", "Subgraph"
_DTYPES = {
    "FP32": "float32", "FP16": "float16", "FP64": "float64", "BF16": "bfloat16",
    **{f"{sign}{bits}": f"{sign.replace('I', 'int').replace('U', 'uint')}{bits}"
       for sign in ("I", "U") for bits in (8, 16, 32, 64)},
    "BOOL": "bool",
}  # fmt: skip
_PRESET = {"auto_broadcast": "numpy", "auto_pad": "explicit", "m_pythondiv": "true"}
"""What OpenVINO takes where nothing is said."""
_PLACED = ("offset", "size", "shape", "element_type")  # of a constant


@dataclass(frozen=True)
class Layer:
    """One operator."""

    number: int
    name: str
    op: str  # behind its set: `opset1.Add`
    settings: Mapping[str, str]
    sources: tuple[Output, ...]
    outputs: tuple[Tensor, ...]
    place: tuple[int, int]  # of a constant's values in the file beside it: where, how many bytes
    inside: tuple["Layer", ...]  # of several that became one; their own numbers
    ports: tuple[int, ...] = ()  # of those inside, which are this layer's inputs
    ends: tuple[int, ...] = ()  # and which its outputs

    @property
    def kind(self) -> str:
        return self.op.rpartition(".")[2]


def layers(xml: bytes) -> tuple[Layer, ...]:
    """In an order in which each comes behind what it takes.

    Raises:
        ValueError, LookupError, ElementTree.ParseError: it is no such file.
    """
    return tuple(_layers(ElementTree.fromstring(xml)))  # noqa: S314 - OpenVINO wrote it


def _layers(net: Any) -> Iterator[Layer]:
    edges: dict[int, dict[str, tuple[int, str]]] = {}
    for edge in net.find("edges"):
        ends = edge.attrib
        source = int(ends["from-layer"]), ends["from-port"]
        edges.setdefault(int(ends["to-layer"]), {})[ends["to-port"]] = source
    outputs: dict[int, list[str]] = {}
    for layer in net.find("layers"):
        number = int(layer.get("id"))
        outputs[number] = [port.get("id") for port in layer.iterfind("output/port")]
        given = edges.get(number, {})
        sources = [given[port.get("id")] for port in layer.iterfind("input/port")]
        data = dict(layer.find("data").attrib) if layer.find("data") is not None else {}
        is_constant = layer.get("type") == CONST
        inside, ports, ends = _inside(layer)
        yield Layer(
            number,
            layer.get("name"),
            f"{layer.get('version')}.{layer.get('type')}",
            {} if is_constant else dict(_settings(data)),
            tuple((source, outputs[source].index(port)) for source, port in sources),
            tuple(map(_tensor, layer.iterfind("output/port"))),
            (int(data["offset"]), int(data["size"])) if is_constant else (0, 0),
            inside,
            ports,
            ends,
        )


def _inside(layer: Any) -> tuple[tuple[Layer, ...], tuple[int, ...], tuple[int, ...]]:
    body = layer.find("body")
    if body is None or layer.get("type") != SUBGRAPH:
        return (), (), ()
    sides = [
        [(int(each.get("external_port_id")), int(each.get("internal_layer_id"))) for each in ports]
        for ports in (layer.iterfind("port_map/input"), layer.iterfind("port_map/output"))
    ]
    given, made = (tuple(inner for _, inner in sorted(side)) for side in sides)
    return tuple(_layers(body)), given, made


def _settings(data: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Without those that only say what is so anyway; dashes are not in names of attributes."""
    for name, text in data.items():
        text = "".join(text.split()).replace(";", ",")
        if text and _PRESET.get(name) != text:
            yield name.replace("-", "_"), text


def _tensor(port: Any) -> Tensor:
    dtype = _DTYPES.get(port.get("precision"), port.get("precision").lower())
    return Tensor(dtype, tuple(int(size.text) for size in port.iterfind("dim")))
