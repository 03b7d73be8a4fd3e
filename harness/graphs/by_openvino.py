"""What OpenVINO's CPU makes of a model file: compiled here, it is asked for the model behind its
transformations, for the nodes that it executes, with what it fused into each, and, by one run with
its counters, for those that move nothing.

The compiler is that of the CPU here. Another one may lay out its maps otherwise.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np

from harness.errors import FileFormatError, MissingExtra
from harness.graphs import openvino_layers
from harness.graphs.graph import Graph, Source, Step
from harness.graphs.openvino_layers import CONST, PARAMETER, RESULT, SUBGRAPH, Layer, Output, layers
from harness.hints import install
from harness.runtimes import model_files
from harness.runtimes.agent.system import processor
from harness.runtimes.conversion.cache import cache_folder, is_whole, keep
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.model_inputs.feeding import Feed, feeding
from harness.spaces import kernel as kernels
from harness.spaces import kernel_of_openvino as names
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_openvino import GIVES, LAYOUTS, OPENVINO, REORDER, Node, Ref, ref_text

CONTROL = ("If", "Loop", "TensorIterator")
STEERED_BY_REALS = ("Power", "Interpolate", "Range", "Pad", "NonMaxSuppression", "OneHot")
OPTIONS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "INFERENCE_PRECISION_HINT": "f32",
    "PERF_COUNT": True,
    "CACHE_MODE": "OPTIMIZE_SIZE",  # weights are not told
}
_SPLIT = "/WithoutBiases"  # what a convolution's name ends with, once its bias is another's
_STEERING = 16  # constants of at most so many numbers are kept with their values
_LONGEST = 300  # of an attribute's text


def read_openvino(model: Path, asked: Asked = NOTHING_ASKED, batch: int = 1) -> Graph:
    """The kernels of a model file, open sizes as `model_inputs.feeding` resolves them; kept in the
    cache, by all that decides them.

    Raises:
        FileFormatError: it is no such file, is broken, or has control flow.
        UsageError: sizes have to be said first.
        MissingExtra: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra(
            "reading a model as OpenVINO runs it needs the package openvino, which is not "
            f"installed: {install('openvino')}"
        ) from error
    fed = feeding(model, asked, batch)
    kept = cache_folder() / "graphs" / f"{_digest(model, asked, batch)}.json"
    if not asked.values and is_whole(kept):
        return Graph.from_json(json.loads(kept.read_bytes()))
    try:
        compiled = _Compiled.of(openvino, model, {feed.name: feed for feed in fed.feeds})
        graph = Graph(tuple(_Reader(model, compiled).steps()))
    except (RuntimeError, ValueError, LookupError, ParseError) as error:
        told = " ".join(str(error).split()) or repr(error)
        raise FileFormatError(f"OpenVINO cannot take {model}: {told:.300}") from error
    if not asked.values:
        keep(kept, json.dumps(graph.to_json()).encode())
    return graph


def _digest(model: Path, asked: Asked, batch: int) -> str:
    """Of all that decides the kernels: the file, its sizes, the compiler and what reads it."""
    told = (model_files.digest(model), asked, batch, version("openvino"), processor())
    found = hashlib.sha256(repr(told).encode())
    for source in (__file__, openvino_layers.__file__, kernels.__file__, names.__file__):
        found.update(Path(source).read_bytes())
    return found.hexdigest()


@dataclass(frozen=True)
class _Executed:
    """A node as OpenVINO runs it."""

    name: str
    kind: str
    names: tuple[str, ...]  # of the layers that it was made of
    given: tuple[tuple[str, int], ...]  # nodes and their outputs, without constants
    outputs: tuple[Tensor, ...]
    layouts: tuple[str, ...]  # of its outputs
    runs: bool  # or it moves nothing, or so little that the counter, of whole us, stays at 0


@dataclass(frozen=True)
class _Compiled:
    layers: tuple[Layer, ...]
    nodes: tuple[_Executed, ...]  # in the order of execution
    held: Mapping[str, Any]  # constants of the file, by their names
    computed: bytes  # values of other constants

    @classmethod
    def of(cls, openvino: Any, model: Path, feeds: Mapping[str, Feed]) -> "_Compiled":
        texts: list[bytes] = []

        def tell(text: bytes) -> bytes:
            """Called with the model, which would be encrypted here."""
            texts.append(bytes(text))
            return text

        core = openvino.Core()
        read = core.read_model(model)
        if read.is_dynamic():
            read.reshape({name: feed.shape for name, feed in feeds.items()})
        options = OPTIONS | {"CACHE_ENCRYPTION_CALLBACKS": [tell, tell]}
        compiled = core.compile_model(read, "CPU", options)
        exported = compiled.export_model().getvalue()
        found = layers(texts[-1])
        held = {each.get_friendly_name(): each for each in read.get_ops()}
        constants = {
            name: each for name, each in held.items() if each.get_type_name() == "Constant"
        }
        # Values, then the model itself, end what is exported.
        length = max((sum(each.place) for each in _flat(found)), default=0)
        computed = exported[: len(exported) - len(texts[-1])][-length:] if length else b""
        return cls(found, tuple(_executed(openvino, compiled, feeds)), constants, computed)


def _flat(found: Sequence[Layer]) -> Iterator[Layer]:
    for layer in found:
        yield layer
        yield from layer.inside


def _executed(openvino: Any, compiled: Any, feeds: Mapping[str, Feed]) -> Iterator[_Executed]:
    request = compiled.create_infer_request()
    for given in compiled.inputs:  # may have the name of a cast behind it, too, that does nothing
        (name,) = given.names & feeds.keys()
        request.set_tensor(name, openvino.Tensor(_values(feeds[name])))
    request.infer()
    run = {each.node_name: each.status.name == "EXECUTED" for each in request.profiling_info}
    constant: set[str] = set()
    for node in compiled.get_runtime_model().get_ordered_ops():
        told = {name: value.astype(str) for name, value in node.get_rt_info().items()}
        name, kind = node.get_friendly_name(), told["layerType"]
        sources = [each.get_source_output() for each in node.inputs()]
        given = [(each.get_node().get_friendly_name(), each.get_index()) for each in sources]
        given = [source for source in given if source[0] not in constant]
        if kind == CONST or (name not in run and not given):
            constant.add(name)
            continue
        if any(each.get_partial_shape().is_dynamic for each in node.outputs()):
            raise ValueError(f"the sizes of {name} depend on the values")
        yield _Executed(
            name,
            kind,
            tuple(filter(None, told.get("originalLayersNames", "").split(","))),
            tuple(dict.fromkeys(given)),
            tuple(
                Tensor(each.get_element_type().to_dtype().name, tuple(each.get_shape()))
                for each in node.outputs()
            ),
            tuple(told["outputLayouts"].split(",")),
            run.get(name, False),
        )


def _values(feed: Feed) -> Any:
    if feed.values is not None:
        return feed.values
    return np.random.default_rng(0).standard_normal(feed.shape).astype(feed.dtype)


class _Reader:
    """Puts together what OpenVINO tells in two ways: its layers, and the nodes it made of them."""

    def __init__(self, model: Path, compiled: _Compiled) -> None:
        self._model = model
        self._compiled = compiled
        self._layers = {each.number: each for each in compiled.layers}
        self._constant: set[int] = set()
        for each in compiled.layers:
            sources = {source for source, _ in each.sources}
            if each.kind == CONST or (sources and sources <= self._constant):
                self._constant.add(each.number)

    def steps(self) -> Iterator[Step]:
        by_name: dict[str, Layer] = {}
        for layer in self._compiled.layers:
            if layer.kind in CONTROL:
                raise FileFormatError(
                    f"{self._model} has control flow ({layer.kind} {layer.name}): what it takes "
                    "depends on the values, which nobody can predict from the file"
                )
            if layer.number not in self._constant and layer.kind not in (PARAMETER, RESULT):
                by_name.setdefault(layer.name, layer)
        makers: dict[tuple[str, int], Source] = {}
        layouts: dict[tuple[str, int], str] = {}
        shapes: dict[tuple[str, int], Tensor] = {}
        count = 0
        for node in self._compiled.nodes:
            sources = tuple(makers.get(each) for each in node.given)
            made = [(node.name, number) for number in range(len(node.outputs))]
            layouts |= dict(zip(made, _each(node.layouts, len(made)), strict=True))
            shapes |= dict(zip(made, node.outputs, strict=True))
            if not node.runs:
                makers |= dict.fromkeys(made, next(iter(sources), None))
                continue
            given = [(shapes[each], layouts[each]) for each in node.given]
            own = [by_name.pop(name) for name in node.names if name in by_name]
            kernel = self._kernel(node, sorted(own, key=lambda each: each.number), given)
            places = [place for place, each in enumerate(kernel.inputs) if each in kernel.given]
            own_sources: list[Source] = [None] * len(kernel.inputs)
            for place, source in zip(places, sources, strict=False):
                own_sources[place] = source
            yield Step(node.name.removesuffix(_SPLIT), kernel, tuple(own_sources))
            makers |= {each: (count, number) for number, each in enumerate(made)}
            count += 1

    def _kernel(
        self, node: _Executed, own: Sequence[Layer], given: Sequence[tuple[Tensor, str]]
    ) -> Kernel:
        if own:
            kernel = _Group(own, self._layers, self._constant, self._held).kernel()
        else:
            op = node.kind if node.kind == REORDER else f"inserted.{node.kind}"
            kernel = Kernel(f"{OPENVINO}{op}", tuple(each for each, _ in given), node.outputs)
        told = [*(layout for _, layout in given), *_each(node.layouts, len(kernel.outputs))]
        if len(given) == len(kernel.given) and not all(map(_is_plain, told)):
            attributes = (*kernel.attributes, (LAYOUTS, ",".join(told)))
            kernel = replace(kernel, attributes=attributes)
        return kernel

    def _held(self, layer: Layer, taken_by: str) -> tuple[str, ...]:
        """Values of a constant that steers."""
        tensor = layer.outputs[0]
        steers = not tensor.dtype.startswith(("float", "bfloat")) or taken_by in STEERED_BY_REALS
        if layer.kind != CONST or not steers or not 0 < tensor.size <= _STEERING:
            return ()
        start, length = layer.place
        if length:
            found = np.frombuffer(self._compiled.computed[start : start + length], tensor.dtype)
        elif layer.name in self._compiled.held:
            found = np.asarray(self._compiled.held[layer.name].get_data()).ravel()
        else:
            return ()
        return tuple(f"{each:.6g}" for each in found.tolist())


def _each(layouts: Sequence[str], count: int) -> list[str]:
    return [layouts[min(place, len(layouts) - 1)] for place in range(count)]


def _is_plain(layout: str) -> bool:
    return not layout.islower() or layout == "".join(sorted(layout))


class _Group:
    """Layers that became one kernel."""

    def __init__(
        self,
        own: Sequence[Layer],
        among: Mapping[int, Layer],
        constant: set[int],
        held: Callable[[Layer, str], tuple[str, ...]],
    ) -> None:
        self._own = own
        self._among = among
        self._constant = constant
        self._held = held
        self._nodes: list[Node] = []
        self._inputs: list[Tensor] = []
        self._refs: dict[Output, Ref] = {}

    def kernel(self) -> Kernel:
        for layer in self._own:
            if layer.inside:
                self._add_inside(layer)
            else:
                self._add(layer, self._refs, [self._of(each, layer) for each in layer.sources])
        last = self._own[-1]
        gives = [self._refs[last.number, number] for number in range(len(last.outputs))]
        attributes = [
            each for number, node in enumerate(self._nodes) for each in node.attributes(number)
        ]
        if {number for _, number, _ in gives} != {len(self._nodes) - 1}:
            attributes.append((GIVES, ",".join(ref_text(*each) for each in gives)))
        for name, text in attributes:
            if len(text) > _LONGEST:
                raise ValueError(f"the {name} of {last.name} is too long")
        whole = any(layer.inside for layer in self._own)
        op = SUBGRAPH if whole else self._nodes[0].name
        return Kernel(f"{OPENVINO}{op}", tuple(self._inputs), last.outputs, tuple(attributes))

    def _add(self, layer: Layer, refs: dict[Output, Ref], given: Sequence[Ref | None]) -> None:
        shapes = tuple(each.shape for each in layer.outputs)
        known = tuple(each for each in given if each is not None)
        place = len(self._nodes)
        self._nodes.append(Node(layer.op, known, shapes, layer.settings))
        refs |= {(layer.number, number): ("n", place, number) for number in range(len(shapes))}

    def _of(self, source: Output, taken_by: Layer) -> Ref | None:
        """What an input is, once the kernel has it; nothing where it is left out."""
        if source in self._refs:
            return self._refs[source]
        layer = self._among[source[0]]
        tensor = layer.outputs[source[1]]
        if layer.number in self._constant:
            if tensor.dtype == "dynamic" or not tensor.size:
                return None
            tensor = replace(tensor, constant=True, values=self._held(layer, taken_by.kind))
        self._inputs.append(tensor)
        self._refs[source] = ("i", len(self._inputs) - 1, 0)
        return self._refs[source]

    def _add_inside(self, layer: Layer) -> None:
        inner: dict[Output, Ref] = {}
        for number, source in zip(layer.ports, layer.sources, strict=True):
            if (ref := self._of(source, layer)) is not None:
                inner[number, 0] = ref
        for each in layer.inside:
            if each.kind == CONST:
                values = self._held(each, "")
                tensor = replace(each.outputs[0], constant=True, values=values)
                self._inputs.append(tensor)
                inner[each.number, 0] = ("i", len(self._inputs) - 1, 0)
            elif each.kind not in (PARAMETER, RESULT):
                self._add(each, inner, [inner[source] for source in each.sources])
        by_number = {each.number: each for each in layer.inside}
        for place, end in enumerate(layer.ends):
            self._refs[layer.number, place] = inner[by_number[end].sources[0]]
