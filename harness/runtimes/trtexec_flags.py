"""The flags of `trtexec`: they come and go with TensorRT's versions, and its --help lists them."""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import DeviceError, TargetFailed
from harness.runtimes.session import RuntimeOptions

WARM_UP_MS = 200  # trtexec's default; after less a GPU may still be in its idle clocks
# Transfers would be counted for each block, and the next run's slow down the computing of this one.
# To wake up a sleeping thread takes longer than a small block. Layers are timed in a second run.
RUNNING = ("--noDataTransfers", "--useSpinWait", "--separateProfileRun")
GRAPHS, NO_GRAPHS = (
    "--useCudaGraph",
    "--noCudaGraph",
)  # the latter since they are usual, TensorRT 11
BUILD_ONLY = ("--skipInference", "--buildOnly")  # since TensorRT 8.6, and until 8.5


def build_flags(options: RuntimeOptions, known: frozenset[str]) -> list[str]:
    """How an engine is built by a trtexec that knows these flags.

    Raises:
        DeviceError: it lacks one that was asked for.
    """
    half = options.precision == "float16"
    if half and "--fp16" not in known:
        raise DeviceError(
            "the device's trtexec has no --fp16: its TensorRT computes as the network file says, "
            'so that only precision = "float32" is possible'
        )
    if options.tensorrt.cuda_graphs and not {GRAPHS, NO_GRAPHS} & known:
        raise DeviceError("the device's trtexec has no CUDA graphs: set cuda_graphs = false")
    precision = "--fp16" if half else "--noTF32"  # which keeps ten bits of a float32's fraction
    only_build = [flag for flag in BUILD_ONLY if flag in known][:1]
    return [*_among(known, [precision]), *only_build, *options.tensorrt.extra_args]


def run_flags(options: RuntimeOptions, known: frozenset[str]) -> list[str]:
    """How an engine is run, besides how often."""
    graphs = GRAPHS if options.tensorrt.cuda_graphs else NO_GRAPHS
    return [
        f"--warmUp={WARM_UP_MS}",
        "--duration=0",
        *_among(known, [*RUNNING, graphs]),
        *options.tensorrt.extra_args,
    ]


def _among(known: frozenset[str], flags: Iterable[str]) -> list[str]:
    return [flag for flag in flags if flag in known]


def open_shapes(model: Path, batch: int) -> tuple[str, ...]:
    """The flag that gives the batch to inputs without one; trtexec itself would take 1.

    Raises:
        TargetFailed: it is no ONNX file, or other sizes are open, too.
    """
    import onnx

    try:
        graph = onnx.load(model, load_external_data=False).graph
    except Exception as error:  # whatever the reader of protocol buffers raises
        raise TargetFailed(f"{model} is no ONNX file: {error!r:.200}") from error
    weights = {tensor.name for tensor in graph.initializer}
    shapes = []
    for given in graph.input:
        sizes = [size.dim_value for size in given.type.tensor_type.shape.dim]  # 0: open
        if given.name in weights or all(sizes):
            continue
        if not all(sizes[1:]):
            raise TargetFailed(
                f"{model}: input {given.name!r} has no fixed shape: {sizes}; export it with fixed "
                "sizes"
            )
        shapes.append(f"{given.name}:{'x'.join(map(str, [batch, *sizes[1:]]))}")
    return (f"--shapes={','.join(shapes)}",) if shapes else ()
