"""What XNNPACK makes of the operators of a .tflite file: several become one. Found by timing pairs
against singles: see docs/any-network.md."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.graphs.graph import Source, Step
from harness.runtimes.conversion.kernel_tflite import PADS
from harness.spaces.kernel import Kernel
from harness.spaces.kernel_of_tflite import TFLITE

PADDED = ("CONV_2D", "DEPTHWISE_CONV_2D")
VALID = "1"  # the padding of a convolution that has none
CLAMPS = {"RELU": "1", "RELU_N1_TO_1": "2", "RELU6": "3", "RELU_0_TO_1": "3"}
"""Activations that cost nothing behind others, by the number that an operator has them with; the
last has none, and takes as long as ReLU6."""
CLAMPED = (
    *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV"),
    *("AVERAGE_POOL_2D", "MAX_POOL_2D"),
)
ACTIVATION = "fusedActivationFunction"


def fused(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Each activation, and each PAD, that costs nothing as a part of the operator beside it."""
    return _with_pads(_with_activations(steps))


def _with_activations(steps: Sequence[Step]) -> tuple[Step, ...]:
    readers = _readers(steps)
    kernels: dict[int, Kernel] = {}
    gone: dict[int, Source] = {}
    for place, step in enumerate(steps):
        source = step.sources[0] if step.sources else None
        number = CLAMPS.get(step.kernel.op.removeprefix(TFLITE))
        if number is None or source is None or readers[source] > 1:
            continue
        before = steps[source[0]].kernel
        if before.op.removeprefix(TFLITE) in CLAMPED and ACTIVATION not in before.settings:
            kernels[source[0]] = _and(before, ACTIVATION, number)
            gone[place] = source
    return _without(steps, kernels, gone)


def _with_pads(steps: Sequence[Step]) -> tuple[Step, ...]:
    readers = _readers(steps)
    kernels: dict[int, Kernel] = {}
    gone: dict[int, Source] = {}
    for place, step in enumerate(steps):
        source = step.sources[0] if step.sources else None
        if step.kernel.name not in PADDED or step.kernel.settings.get("padding") != VALID:
            continue
        if source is None or readers[source] > 1:
            continue
        pad = steps[source[0]]
        if pads := _pads(pad.kernel):
            inputs = (pad.kernel.inputs[0], *step.kernel.inputs[1:])
            kernels[place] = _and(replace(step.kernel, inputs=inputs), PADS, pads)
            gone[source[0]] = pad.sources[0]
    return _without(steps, kernels, gone)


def _readers(steps: Sequence[Step]) -> Counter[Source]:
    return Counter(source for step in steps for source in step.sources)


def _and(kernel: Kernel, attribute: str, text: str) -> Kernel:
    return replace(kernel, attributes=tuple(sorted((*kernel.attributes, (attribute, text)))))


def _pads(kernel: Kernel) -> str:
    """Pixels above, below, left and right; nothing where it pads anything else."""
    if kernel.name != "PAD" or len(kernel.input_shape) != 4 or len(kernel.constants) != 1:
        return ""
    values = kernel.constants[0].values
    return ",".join(values[2:6]) if len(values) == 8 and {*values[:2], *values[6:]} == {"0"} else ""


def _without(
    steps: Sequence[Step], kernels: Mapping[int, Kernel], gone: Mapping[int, Source]
) -> tuple[Step, ...]:
    """The steps with other kernels at some places, and without some, each with what is read in its
    stead."""
    kept = [place for place in range(len(steps)) if place not in gone]
    places = {place: number for number, place in enumerate(kept)}

    def of(source: Source) -> Source:
        while source is not None and source[0] in gone:
            source = gone[source[0]]
        return None if source is None else (places[source[0]], source[1])

    return tuple(
        Step(
            steps[place].name,
            kernels.get(place, steps[place].kernel),
            tuple(map(of, steps[place].sources)),
        )
        for place in kept
    )
