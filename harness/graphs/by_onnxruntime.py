"""What onnxruntime makes of an .onnx file: its own optimiser says what it fuses, and how large all
is that goes from one kernel to the next.

The optimiser is that of the CPU here. Another one may lay out its convolutions in other channel
blocks (16 with AVX-512, 8 without).
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import FileFormatError, MissingExtra
from harness.graphs import weightless
from harness.graphs.graph import Graph, Source, Step
from harness.graphs.weightless import STEERING, with_zeros, without_weights
from harness.hints import install
from harness.runtimes import model_files
from harness.runtimes.agent.system import processor
from harness.runtimes.conversion.cache import cache_folder, is_whole, keep
from harness.runtimes.conversion.of_onnx import set_sizes
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.model_inputs.feeding import Feed, feeding
from harness.runtimes.model_inputs.onnx_file import read_inputs
from harness.spaces import kernel as kernels
from harness.spaces.kernel import Kernel, Tensor

DOMAINS = {"": "", "ai.onnx": "", "com.microsoft": "fused.", "com.microsoft.nchwc": "nchwc."}
VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout", "Shape", "Size"}
"""What moves nothing: its output is its input's memory (onnxruntime registers them as aliases), or
its sizes."""
CONTROL = ("If", "Loop", "Scan")
STEERED_BY_REALS = ("Resize", "Pow", "Upsample", "Range")
_STEERING = 16  # constants of at most so many whole numbers are kept with their values
_WRITTEN_BYTES = 8 * STEERING + 1  # of constants that are written with the optimised graph
_PLACE = re.compile(r"/\S+\.(?:cc|h):\d+ .*?\) ")  # in onnxruntime's source
_LONGEST = 300  # of an attribute's text; longer ones are told by their digest
_QUIET = 4
DATA_LOCATION = b"location"  # the key of what is kept in a file beside it


def read_onnx(model: Path, asked: Asked = NOTHING_ASKED, batch: int = 1) -> Graph:
    """The kernels of an .onnx file, open sizes as `model_inputs.feeding` resolves them.

    They are kept in the cache, by all that decides them, but where values in other files do.

    Raises:
        FileFormatError: it is no such file, is broken, or has control flow.
        UsageError: sizes have to be said first.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    try:
        bare = without_weights(model)
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{model} is no ONNX file: {error}") from error
    kept = cache_folder() / "graphs" / f"{_digest(bare, asked, batch)}.json"
    in_one_file = not asked.values and DATA_LOCATION not in bare
    if in_one_file and is_whole(kept):
        return Graph.from_json(json.loads(kept.read_bytes()))
    graph = _read(model, bare, asked, batch)
    if in_one_file:
        keep(kept, json.dumps(graph.to_json()).encode())
    return graph


def _digest(bare: bytes, asked: Asked, batch: int) -> str:
    """Of all that decides the kernels: the file, its sizes, the optimiser and what reads it."""
    try:
        optimiser = version("onnxruntime")
    except PackageNotFoundError:
        optimiser = ""
    found = hashlib.sha256(bare)
    found.update(repr((asked, batch, optimiser, processor())).encode())
    for source in (Path(__file__), Path(kernels.__file__), Path(weightless.__file__)):
        found.update(source.read_bytes())
    return found.hexdigest()


def _read(model: Path, bare: bytes, asked: Asked, batch: int) -> Graph:
    _check_installed()
    inputs = read_inputs(model, bare)
    fed = feeding(model, asked, batch, inputs)
    steering = {each.name for each in inputs if each.use.steers} & asked.values.keys()
    if DATA_LOCATION in bare:
        model_files.beside(model)
    try:
        optimised = _optimised(model, bare, fed.feeds, steering)
        sizes = _sizes(optimised)
    except Exception as error:  # whatever onnx, protocol buffers and onnxruntime raise
        told = _PLACE.sub("", " ".join(str(error).split())) or repr(error)
        raise FileFormatError(f"onnxruntime cannot take {model}: {told:.300}") from error
    for node in optimised.graph.node:
        if node.op_type in CONTROL:
            raise FileFormatError(
                f"{model} has control flow ({node.op_type} {node.name}) that depends on more than "
                "the sizes and values that were said: nobody can predict what it takes"
            )
    return Graph(tuple(_steps(model, optimised.graph, sizes)))


def _check_installed() -> None:
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"reading .onnx files needs {error.name}, which is not installed: {install('onnx')}"
        ) from error
    del onnx


def _optimised(model: Path, bare: bytes, feeds: Sequence[Feed], steering: Set[str]) -> Any:
    """The model as onnxruntime would run it, with these shapes of its inputs and the values of
    those that steer; without weights."""
    import onnx
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    loaded = onnx.load_model_from_string(bare)
    with files.scratch() as folder:
        with_zeros(loaded, model, folder)
        if steering:  # Sizes later: onnxruntime 1.31 may crash where it finds branches by both.
            _hold(loaded.graph, {feed.name: feed.values for feed in feeds if feed.name in steering})
            loaded = onnx.load(_saved(loaded, folder, levels.ORT_ENABLE_BASIC, {}))
        set_sizes(loaded, {feed.name: feed.shape for feed in feeds})
        nowhere = folder / "nowhere"
        nowhere.symlink_to(os.devnull)  # for the weights, which nobody reads again
        entry = "session.optimized_model_external_initializers"
        entries = {
            f"{entry}_file_name": nowhere.name,
            f"{entry}_min_size_in_bytes": str(_WRITTEN_BYTES),
        }
        saved = _saved(loaded, folder, levels.ORT_ENABLE_ALL, entries)
        return onnx.load(saved, load_external_data=False)


def _hold(graph: Any, values: Mapping[str, Any]) -> None:
    """Make constants of these inputs."""
    from onnx import numpy_helper

    for given in list(graph.input):
        if given.name in values:
            graph.input.remove(given)
            graph.initializer.append(numpy_helper.from_array(values[given.name], given.name))


def _saved(loaded: Any, folder: Path, level: Any, entries: Mapping[str, str]) -> Path:
    """The file of what onnxruntime makes of a model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    for entry, value in ({"session.disable_prepacking": "1"} | dict(entries)).items():
        options.add_session_config_entry(entry, value)
    given, made = folder / "given.onnx", folder / "made.onnx"
    given.write_bytes(loaded.SerializeToString())
    options.optimized_model_filepath = str(made)
    onnxruntime.InferenceSession(str(given), options, providers=["CPUExecutionProvider"])
    return made


def _sizes(model: Any) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """The type and shape of everything that kernels give: a session over the same graph without
    its weights, of which all of them are outputs, tells what onnxruntime infers."""
    import onnx
    import onnxruntime

    graph = model.graph
    bare = onnx.ModelProto()
    bare.CopyFrom(onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import))
    bare.graph.name = "sizes"
    bare.graph.node.extend(graph.node)
    bare.graph.input.extend(graph.input)
    given = {each.name for each in graph.input}
    for held in graph.initializer:
        if prod(held.dims) <= STEERING:
            bare.graph.initializer.append(held)
        elif held.name not in given:
            value = onnx.helper.make_tensor_value_info(held.name, held.data_type, held.dims)
            bare.graph.input.append(value)
    names = dict.fromkeys(name for node in graph.node for name in node.output if name)
    bare.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        bare.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    told = [*session.get_inputs(), *session.get_outputs()]
    return {each.name: (_dtype(each.type), tuple(each.shape)) for each in told}


def _dtype(told: str) -> str:
    """`tensor(float)` as numpy calls it; of `seq(tensor(float))` and such, the container."""
    kind, _, name = told.removesuffix(")").partition("(")
    return {"float": "float32", "double": "float64"}.get(name, name) if kind == "tensor" else kind


def _steps(
    model: Path, graph: Any, sizes: Mapping[str, tuple[str, tuple[Any, ...]]]
) -> Iterator[Step]:
    held = {each.name: each for each in graph.initializer}
    makers: dict[str, Source] = {}
    count = 0
    for node in graph.node:
        sources = [makers.get(name) for name in node.input]
        if node.op_type in VIEWS or _counts_sizes(node, sizes, held):
            makers |= dict.fromkeys(node.output, next(iter(sources), None))
            continue
        inputs = [_input(model, node, name, sizes, held) for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        made = [name for name in node.output if name]
        outputs = [_given(model, name, sizes) for name in made]
        kernel = Kernel(_op(node), tuple(inputs), tuple(outputs), tuple(_attributes(node)))
        yield Step(node.name or made[0], kernel, tuple(sources[: len(inputs)]))
        makers |= {name: (count, place) for place, name in enumerate(made)}
        count += 1


def _op(node: Any) -> str:
    return f"{DOMAINS.get(node.domain, f'{node.domain}.')}{node.op_type}"


def _counts_sizes(node: Any, sizes: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    """Whether it only reckons with a few whole numbers: sizes of others, positions."""
    names = [*node.input, *node.output]
    told = [sizes[name] for name in names if name in sizes and name not in held]
    return bool(told) and all(
        dtype in ("int64", "int32", "bool")
        and all(isinstance(size, int) for size in shape)
        and prod(shape) <= STEERING
        for dtype, shape in told
    )


def _input(
    model: Path, node: Any, name: str, sizes: Mapping[str, Any], held: Mapping[str, Any]
) -> Tensor | None:
    if not name:
        return None
    if name not in held:
        return _given(model, name, sizes)
    from onnx import helper, numpy_helper

    constant = held[name]
    dtype = str(helper.tensor_dtype_to_np_dtype(constant.data_type))
    steers = dtype.startswith("int") or node.op_type in STEERED_BY_REALS
    values: tuple[str, ...] = ()
    if steers and 0 < prod(constant.dims) <= _STEERING:
        values = tuple(f"{each:.6g}" for each in numpy_helper.to_array(constant).ravel().tolist())
    return Tensor(dtype, tuple(constant.dims), True, values)


def _given(model: Path, name: str, sizes: Mapping[str, Any]) -> Tensor:
    dtype, shape = sizes[name]
    if not all(isinstance(size, int) for size in shape):
        raise FileFormatError(
            f"{model}: the sizes of {name} depend on the values, {list(shape)}: nobody can predict "
            "from the file what it takes"
        )
    return Tensor(dtype, shape)


def _attributes(node: Any) -> Iterator[tuple[str, str]]:
    """What is told, without what is empty, in order of names."""
    from onnx import helper

    for attribute in sorted(node.attribute, key=lambda each: each.name):
        value = helper.get_attribute_value(attribute)
        text = ",".join(map(_text, value if isinstance(value, list) else [value]))
        if len(text) > _LONGEST:
            text = f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if text and (attribute.name, text) != ("auto_pad", "NOTSET"):
            yield attribute.name, text


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "".join(value.decode(errors="replace").split()).replace(";", ",")
    if isinstance(value, int | float):
        return f"{value:.7g}" if isinstance(value, float) else str(value)
    return f"sha256:{hashlib.sha256(value.SerializeToString()).hexdigest()[:16]}"
