"""The inputs and nodes of .onnx files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import FileFormatError
from harness.hints import missing
from harness.runtimes.model_inputs.model_input import DTYPES, ModelInput, not_fed
from harness.runtimes.model_inputs.uses import Graph, Operation, Rules

RENAMED = {"float": "float32", "double": "float64"}
MOVING = "Cast Concat Expand Flatten Identity Reshape Slice Split Squeeze Tile Transpose Unsqueeze"
CHANGING = (
    "Abs Add And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Clip "
    "CumSum Div Equal Exp Floor Greater GreaterOrEqual Less LessOrEqual Log Max Mean Min Mod "
    "Mul Neg Not Or Pow Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Round "
    "Sign Sqrt Sub Sum TopK Where Xor"
)
RULES = Rules(
    picking={"Gather": (0, 1), "GatherElements": (0, 1)},
    steering={
        "AffineGrid": (1,),
        "Attention": (6,),
        "CenterCropPad": (1,),
        "Col2Im": (1, 2),
        "Compress": (1,),
        "ConstantOfShape": (0,),
        "DFT": (1,),
        "Expand": (1,),
        "GRU": (4,),
        "GatherND": (1,),
        "If": (0,),
        "LSTM": (4,),
        "Loop": (0, 1),
        "MaxUnpool": (2,),
        "NonMaxSuppression": (2,),
        "NonZero": (0,),
        "OneHot": (0, 1),  # the index of one whose depth is known is a Gather's, see below
        "Pad": (1,),
        "RNN": (4,),
        "Range": (0, 1, 2),
        "Reshape": (1,),
        "Resize": (2, 3),
        "ReverseSequence": (1,),
        "STFT": (1, 3),
        "ScatterElements": (1,),
        "ScatterND": (1,),
        "SequenceAt": (1,),
        "Slice": (1, 2, 3, 4),
        "Split": (1,),
        "SplitToSequence": (1,),
        "Tile": (1,),
        "TopK": (1,),
        "Unique": (0,),
        "Upsample": (1,),
    },
    moving=frozenset(MOVING.split()),
    changing=frozenset(CHANGING.split()),
)


def read_inputs(model: Path, content: bytes | None = None) -> tuple[ModelInput, ...]:
    """What the file takes, besides weights; `content`: the file's, where it has been read.

    Raises:
        FileFormatError: it is no ONNX file, or is broken.
        TargetFailed: it takes what is not fed here.
        MissingExtra: the package onnx is not installed.
    """
    loaded = _load(model, inlined=True, content=content)
    weights = {tensor.name for tensor in loaded.graph.initializer}
    given = [each for each in loaded.graph.input if each.name not in weights]
    try:
        graph = _graph_of(loaded.graph)
        return tuple(
            ModelInput(each.name, _dtype(model, each), _shape(each), graph.use_of(each.name))
            for each in given
        )
    except (LookupError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{model} has a node or input that is broken: {error!r:.200}"
        ) from error


def read_nodes(model: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Of each graph in the file, by its name: the outputs of each node by its.

    Raises:
        FileFormatError: it is no ONNX file.
        MissingExtra: the package onnx is not installed.
    """
    return {
        graph.name: {node.name: tuple(node.output) for node in graph.node if node.name}
        for graph in _graphs(_load(model, inlined=False).graph)
    }


def _load(model: Path, *, inlined: bool, content: bytes | None = None) -> Any:
    """The file; `inlined`: with functions where they are called."""
    try:
        import onnx
        import onnx.inliner
    except ImportError as error:
        raise missing("what is in an .onnx file is read by", "onnx", "onnx") from error
    try:
        if content is None:
            loaded = onnx.load(model, load_external_data=False)
        else:
            loaded = onnx.load_model_from_string(content)
        if inlined and loaded.functions:
            loaded = onnx.inliner.inline_local_functions(loaded)
    except Exception as error:  # whatever the reader of protocol buffers raises
        raise FileFormatError(f"{model} is no ONNX file: {error!r:.200}") from error
    return loaded


def _dtype(model: Path, given: Any) -> str:
    from onnx import TensorProto

    kind = given.type.WhichOneof("value")
    if kind != "tensor_type":
        raise not_fed(model, given.name, (kind or "unknown").removesuffix("_type"))
    name = TensorProto.DataType.Name(given.type.tensor_type.elem_type).lower()
    dtype: str = RENAMED.get(name, name)
    if dtype not in DTYPES:
        raise not_fed(model, given.name, f"tensor({name})")
    return dtype


def _shape(given: Any) -> tuple[int | str, ...]:
    """A size of zero is one: the empty cache of a decoder's first step."""
    return tuple(
        size.dim_value
        if size.WhichOneof("value") == "dim_value" and size.dim_value >= 0
        else size.dim_param
        for size in given.type.tensor_type.shape.dim
    )


def _graph_of(main: Any) -> Graph:
    operations: list[Operation] = []
    sizes: dict[str, list[int]] = {}
    depths: dict[str, int] = {}
    for graph in _graphs(main):
        constants = {tensor.name: tensor for tensor in graph.initializer}
        constants |= {
            node.output[0]: attribute.t
            for node in graph.node
            if node.op_type == "Constant"
            for attribute in node.attribute
            if attribute.name == "value"
        }
        for name, tensor in constants.items():
            sizes[name] = list(tensor.dims)
            if tuple(tensor.dims) in ((), (1,)) and tensor.data_location == 0:
                depths |= _depth(name, tensor)
        for node in graph.node:
            if node.op_type in ("Cast", "DequantizeLinear", "Identity") and node.input[0] in sizes:
                sizes[node.output[0]] = sizes[node.input[0]]
            operations += _operations(node, depths, sizes)
    return Graph(operations, sizes, RULES)


def _graphs(graph: Any) -> Iterator[Any]:
    """The graph and those of its branches and loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _depth(name: str, tensor: Any) -> dict[str, int]:
    """The value of a constant that is one whole number."""
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    return {name: int(values.flat[0])} if values.dtype.kind in "iu" else {}


def _operations(
    node: Any, depths: dict[str, int], sizes: dict[str, list[int]]
) -> Iterator[Operation]:
    ours = node.domain in ("", "ai.onnx", "ai.onnx.ml")
    kind = node.op_type if ours else f"{node.domain}.{node.op_type}"
    inputs, outputs = tuple(node.input), tuple(node.output)
    if kind == "OneHot" and inputs[1] in depths:
        rows = f"{inputs[1]} rows"
        sizes[rows] = [depths[inputs[1]]]
        yield Operation("Gather", (rows, inputs[0]), outputs)
        return
    if node.op_type == "EmbedLayerNormalization":
        yield Operation("Gather", (inputs[2], inputs[0]), ())
        if inputs[1]:
            yield Operation("Gather", (inputs[4], inputs[1]), ())
        kind, inputs = "Embedded", ()
    axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
    yield Operation(kind, inputs, outputs, axis)
    for body in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
        given, made = [each.name for each in body.input], [each.name for each in body.output]
        if kind == "Loop":
            yield Operation(kind, ("", made.pop(0)), ())  # whether it goes on
        for source, to in (*zip(inputs, given, strict=False), *zip(made, outputs, strict=False)):
            yield Operation("Identity", (source,), (to,))
