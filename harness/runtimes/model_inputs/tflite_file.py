"""The inputs of .tflite files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import FileFormatError, UsageError
from harness.hints import missing
from harness.runtimes.model_inputs.model_input import DTYPES, ModelInput, not_fed
from harness.runtimes.model_inputs.uses import Graph, Operation, Rules, Use

IDENTIFIER = b"TFL3"
ANY = range(1 << 16)
MOVING = (
    "BROADCAST_TO CAST CONCATENATION EXPAND_DIMS PACK RESHAPE SLICE SPLIT SPLIT_V SQUEEZE "
    "STRIDED_SLICE TILE TRANSPOSE UNPACK SAME"
)
CHANGING = (
    "ABS ADD ADD_N ARG_MAX ARG_MIN CEIL CUMSUM DIV EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD GREATER "
    "GREATER_EQUAL LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR MAXIMUM MEAN MINIMUM "
    "MUL NEG NOT_EQUAL POW REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD ROUND "
    "SELECT SELECT_V2 SIGN SQRT SUB SUM TOPK_V2"
)
RULES = Rules(
    picking={"GATHER": (0, 1), "EMBEDDING_LOOKUP": (1, 0)},
    steering={
        "BATCH_TO_SPACE_ND": (1, 2),
        "BROADCAST_TO": (1,),
        "CONV_3D_TRANSPOSE": (0,),
        "FILL": (0,),
        "GATHER_ND": (1,),
        "IF": (0,),
        "MIRROR_PAD": (1,),
        "NON_MAX_SUPPRESSION_V4": (2,),
        "NON_MAX_SUPPRESSION_V5": (2,),
        "ONE_HOT": (0, 1),  # the index of one whose depth is known is a GATHER's, see below
        "PAD": (1,),
        "PADV2": (1,),
        "RANGE": (0, 1, 2),
        "RESHAPE": (1,),
        "RESIZE_BILINEAR": (1,),
        "RESIZE_NEAREST_NEIGHBOR": (1,),
        "REVERSE_SEQUENCE": (1,),
        "SCATTER_ND": (0, 2),
        "SLICE": (1, 2),
        "SPACE_TO_BATCH_ND": (1, 2),
        "SPARSE_TO_DENSE": (0, 1),
        "SPLIT_V": (1,),
        "STABLEHLO_CASE": (0,),
        "STABLEHLO_COMPOSITE": ANY,
        "STABLEHLO_WHILE": ANY,
        "STRIDED_SLICE": (1, 2, 3),
        "TILE": (1,),
        "TOPK_V2": (1,),
        "TRANSPOSE_CONV": (0,),
        "UNIQUE": (0,),
        "WHERE": (0,),
        "WHILE": ANY,
    },
    moving=frozenset(MOVING.split()),
    changing=frozenset(CHANGING.split()),
)


def read_inputs(model: Path, signature: str | None) -> tuple[tuple[ModelInput, ...], str | None]:
    """What the file's graph takes, and its signature, if it needs one to be found.

    Raises:
        FileFormatError: it is no .tflite file.
        TargetFailed: it takes what is not fed here.
        UsageError: there is no such signature, or several and none was chosen.
        MissingExtra: the package ai-edge-litert is not installed.
    """
    loaded = load(model)
    known = {each.signatureKey.decode(): each for each in loaded.signatureDefs or ()}
    chosen = _choose(model, known, signature)
    number = graph_number(loaded, chosen)
    aliases = {
        tensor.tensorIndex: tensor.name.decode()
        for each in known.values()
        if each.subgraphIndex == number
        for tensor in each.inputs or ()
    }
    graph, subgraph = _graph_of(loaded), loaded.subgraphs[number]
    inputs = []
    for index in () if subgraph.inputs is None else subgraph.inputs:
        tensor, name = subgraph.tensors[index], subgraph.tensors[index].name.decode()
        dtype = _dtype(model, name, tensor)
        quantised = tensor.quantization is not None and tensor.quantization.scale is not None
        use = Use() if quantised else graph.use_of(_named(number, index))
        inputs.append(ModelInput(name, dtype, _shape(tensor), use, aliases.get(index, "")))
    return tuple(inputs), chosen


def graph_number(loaded: Any, signature: str | None) -> int:
    """Which of the file's graphs that is; the first without a signature."""
    found = (each for each in loaded.signatureDefs or () if each.signatureKey.decode() == signature)
    return 0 if signature is None else int(next(found).subgraphIndex)


def load(model: Path) -> Any:
    """The file as its schema has it.

    Raises:
        FileFormatError: it is no .tflite file.
        MissingExtra: the package ai-edge-litert is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        reading = "what is in a .tflite file is read by"
        raise missing(reading, "ai-edge-litert", "litert") from error
    content = model.read_bytes()
    if content[4:8] != IDENTIFIER:
        raise FileFormatError(f"{model} is no .tflite file: it does not say so in its first bytes")
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:  # whatever the reader of flat buffers raises
        raise FileFormatError(f"{model} is no .tflite file: {error!r:.200}") from error


def _choose(model: Path, known: Mapping[str, Any], signature: str | None) -> str | None:
    """The signature of the graph to run; None for the first graph."""
    if signature is not None and signature not in known:
        theirs = ", ".join(known) or "none"
        raise UsageError(f"{model} has no signature {signature!r}; its signatures: {theirs}")
    if signature is None and len({each.subgraphIndex for each in known.values()}) > 1:
        raise UsageError(
            f"{model} has several signatures, each a network of its own: {', '.join(known)}; "
            f"choose one: harness benchmark {model.name} --device NAME --signature {min(known)}"
        )
    elsewhere = [name for name, each in known.items() if each.subgraphIndex]
    return signature or next(iter(elsewhere), None)


def _dtype(model: Path, name: str, tensor: Any) -> str:
    dtype = type_of(tensor)
    if dtype not in DTYPES:
        raise not_fed(model, name, dtype)
    return dtype


def some(values: Any) -> Any:
    """What a file does not have is None in its schema."""
    return () if values is None else values


def type_of(tensor: Any) -> str:
    """As numpy calls it."""
    from ai_edge_litert.schema_py_generated import TensorType

    kinds = (kind for kind, value in vars(TensorType).items() if value == tensor.type)
    return next(kinds, f"number {tensor.type}").lower()


def _shape(tensor: Any) -> tuple[int | str, ...]:
    signature = tensor.shapeSignature
    sizes = tensor.shape if signature is None or not len(signature) else signature
    return tuple(int(size) if size >= 0 else "" for size in (() if sizes is None else sizes))


def _named(graph: int, tensor: int) -> str:
    return f"{graph}:{tensor}" if tensor >= 0 else ""


def _all_named(graph: int, tensors: Any) -> tuple[str, ...]:
    return tuple(_named(graph, int(tensor)) for tensor in (() if tensors is None else tensors))


def _graph_of(loaded: Any) -> Graph:
    operations: list[Operation] = []
    sizes: dict[str, list[int]] = {}
    for number, subgraph in enumerate(loaded.subgraphs):
        for index, tensor in enumerate(subgraph.tensors or ()):
            known = [size if isinstance(size, int) else 0 for size in _shape(tensor)]
            sizes[_named(number, index)] = known
        for operator in subgraph.operators or ():
            operations += _operations(loaded, number, operator, sizes)
    return Graph(operations, sizes, RULES)


def _operations(
    loaded: Any, number: int, operator: Any, sizes: dict[str, list[int]]
) -> Iterator[Operation]:
    kind = kind_of(loaded.operatorCodes[operator.opcodeIndex])
    inputs = _all_named(number, operator.inputs)
    outputs = _all_named(number, operator.outputs)
    options = operator.builtinOptions
    if kind == "ONE_HOT":
        depth = loaded.subgraphs[number].tensors[operator.inputs[1]]
        data = loaded.buffers[depth.buffer].data
        if data is not None and len(data) == 4:
            rows = f"{inputs[1]} rows"
            sizes[rows] = [int.from_bytes(bytes(data), "little")]
            yield Operation("GATHER", (rows, inputs[0]), outputs)
            return
    yield Operation(kind, inputs, outputs, getattr(options, "axis", None) or 0)
    if kind == "IF":
        for branch in (options.thenSubgraphIndex, options.elseSubgraphIndex):
            graph = loaded.subgraphs[branch]
            pairs = [*zip(inputs[1:], _all_named(branch, graph.inputs), strict=False)]
            pairs += zip(_all_named(branch, graph.outputs), outputs, strict=False)
            for source, to in pairs:
                yield Operation("SAME", (source,), (to,))


def kind_of(code: Any) -> str:
    """An operator's name in the schema; a custom one's behind `custom.`."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    number = max(code.builtinCode, code.deprecatedBuiltinCode)  # files before 2020 have the latter
    names: dict[int, str] = {
        value: name for name, value in vars(BuiltinOperator).items() if name.isupper()
    }
    if number == BuiltinOperator.CUSTOM:
        return f"custom.{(code.customCode or b'').decode()}"
    return names.get(number, f"unknown.{number}")
