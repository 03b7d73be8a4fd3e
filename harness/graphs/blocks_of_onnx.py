"""The blocks of a network of convolutions, from the nodes of an .onnx file as they stand.

Kernels would not do: onnxruntime's optimiser pads channels to those of its layout.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import FileFormatError, UsageError
from harness.graphs.onnx_layers import Layer, Layers, attributes
from harness.graphs.weightless import without_weights
from harness.runtimes.conversion.of_onnx import set_sizes
from harness.runtimes.model_inputs.asked import Asked
from harness.runtimes.model_inputs.feeding import feeding
from harness.runtimes.model_inputs.onnx_file import read_inputs
from harness.spaces.convolution import Convolution

_KINDS = re.compile(
    "(?P<bottleneck>e1;k1;e1;([+]1,4;|[es]4;[+]1,2;|a4;e1;[+]1,3;)"
    "|([es]1;e2;|a1;e1;e3;)k1;e1;[+]1,4;)"
    "|(?P<mbconv>(e1;)?d1;(p1;e1;e1;[*]1,4;)?e1;([+]1,[0-9]+;)?)"
    "|(?P<conv>[ek]1;([+]1,2;)?)|(?P<maxpool>m1;)|(?P<pool>p1;(?!.*[*+]))"
)
"""Blocks as sequences of layers: the letter of each, and how many layers before it what it takes is
made. Shortcuts come before or after what they lead around."""


@dataclass(frozen=True)
class NetworkOfBlocks:
    """What was read, and what the file itself counts."""

    blocks: tuple[Convolution, ...]
    macs: int
    params: int  # with batch norms folded into biases
    apart: tuple[str, ...]  # what its layers have otherwise than layers of ours


def read_blocks(model: Path, asked: Asked) -> NetworkOfBlocks:
    """The network of an .onnx file, block by block.

    Raises:
        UsageError: a part of it is no block of a convolutional network; the message names it.
        FileFormatError: it is no such file, or is broken.
        MissingExtra: onnx is not installed.
    """
    try:
        bare = without_weights(model)
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{model} is no ONNX file: {error}") from error
    fed = feeding(model, asked, 1, read_inputs(model, bare))  # which says so where onnx is missing
    if len(fed.feeds) != 1 or len(fed.feeds[0].shape) != len("nchw"):
        raise UsageError(f"{model} fits no space: its input is not one batch of images")
    import onnx

    try:
        loaded = onnx.load_model_from_string(bare)
        set_sizes(loaded, {feed.name: feed.shape for feed in fed.feeds})
        loaded = onnx.shape_inference.infer_shapes(loaded)
    except Exception as error:  # whatever onnx and protocol buffers raise
        raise FileFormatError(f"onnx cannot read {model}: {error!r:.300}") from error
    try:
        read = Layers(loaded.graph, fed.feeds[0].name)
        network = _network(read.layers[1:])
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise FileFormatError(f"{model} has a node that is broken: {error!r:.300}") from error
    except UsageError as error:
        raise UsageError(f"{model} fits no space: {error}") from error
    if not (network.blocks and read.chained):
        raise UsageError(f"{model} fits no space: it is no chain from input to output")
    for each in network.blocks:
        if min(each.height, each.in_channels, each.out_channels, each.kernel, each.stride) < 1:
            raise FileFormatError(f"{model} has a layer without size: {each.key}")
    return network


def _network(layers: Sequence[Layer]) -> NetworkOfBlocks:
    """Raises UsageError: the first layer that does not fit, and how many blocks are before it."""
    blocks: list[Convolution] = []
    notes: dict[str, None] = {}
    text = "".join(f"{each.kind}{','.join(map(str, each.back))};" for each in layers)
    while text:
        match, left = _KINDS.match(text), layers[-text.count(";") :]
        try:
            if match is None:
                # Of a bottleneck, what is odd may be behind its shortcut and first convolution.
                raise _misfit(next((each for each in left[:3] if each.odd), left[0]))
            kind, text = str(match.lastgroup), text[match.end() :]
            if kind == "conv" and any(each.kind == "pool" for each in blocks):
                kind = "mix" if text else "linear"
            part = left[: match.group().count(";")]
            blocks.append(_block(kind, part))
        except UsageError as error:
            raise UsageError(f"after {len(blocks)} blocks, {error}") from error
        notes |= dict.fromkeys(_notes(blocks[-1], part))
    macs = sum(each.macs for each in layers)
    params = sum(each.weights + each.biased * each.out for each in layers)
    return NetworkOfBlocks(tuple(blocks), macs, params, tuple(notes))


def _block(kind: str, layers: Sequence[Layer]) -> Convolution:
    """Raises UsageError: an activation or a sum is where the block has none."""
    first, last, kinds = layers[0], layers[-1], "".join(each.kind for each in layers)
    middle = max(kinds.find("d"), kinds.find("k"), 0)
    squeezed, residual = "*" in kinds, last.kind == "+" and last.back[1] == len(layers)
    if last.kind == "+" and not residual and kind != "bottleneck":
        raise _misfit(last)
    act = (last if kind == "bottleneck" else layers[middle]).act
    for number, each in enumerate(layers):
        has = number in (middle - 1, middle) or (kind == "bottleneck" and each is last)
        wanted = act if has else "none"
        if each.act != wanted and not (squeezed and number in (middle + 2, middle + 4)):
            raise _misfit(each, f"activation {each.act} where a {kind} has {wanted}")
    inside = kind in ("mbconv", "bottleneck")
    end = layers[middle + (5 if squeezed else 1)] if inside else first
    return Convolution(
        kind=kind,
        height=first.height,
        width=first.height,
        in_channels=first.inner,
        mid_channels=layers[middle].out if inside else 0,
        out_channels=end.out,
        kernel=layers[middle].kernel,
        stride=layers[middle].stride,
        act=act,
        se_channels=layers[middle + 2].out if squeezed else 0,
        residual=residual,
    )


def _notes(block: Convolution, layers: Sequence[Layer]) -> Iterator[str]:
    """What the layers of a block have otherwise than ours."""
    first = layers[0]
    for each in layers:
        pads = {*attributes(each.node).get("pads", [0])}
        if each.node.op_type == "Conv" and pads != {each.kernel // 2}:
            yield f"padding other than {each.kernel // 2} of kernels of {each.kernel}"
    if block.kind in ("mix", "linear") and first.biased != (block.kind == "linear"):
        yield f"its {block.kind} layer has {'a' if first.biased else 'no'} bias"
    if block.kind == "mbconv" and first.kind == "e" and first.out == first.inner:
        yield f"an expansion of {first.inner} channels to as many, which ours leave out"
    for reduce, gate in zip(layers, layers[2:], strict=False):
        ours = ("swish", "swish") if block.act == "swish" else ("relu", "h_swish")
        if gate.kind == "*" and (reduce.act, gate.act) != ours:
            kind = "sigmoid" if gate.act == "swish" else "hard sigmoid"
            yield f"squeeze-and-excitation by {reduce.act} and a {kind}, unlike ours"
    strided = block.kind == "bottleneck" and not block.residual and block.stride > 1
    if strided and not any(each.kind == "a" for each in layers):
        yield "strided shortcuts without the average pooling of ours"


def _misfit(layer: Layer, why: str = "") -> UsageError:
    """That no block begins with this layer, or why it does not go on so."""
    if layer.kind == "s":
        why = why or "a stride in a 1x1 convolution, where bottlenecks have it in the 3x3 one"
    elif layer.back != (1,):
        why = why or layer.odd or "a branch that is neither a residual nor a bottleneck's shortcut"
    why = why or layer.odd or "no block of a space begins so"
    node = layer.node
    return UsageError(f"at node {node.name or node.output[0]} ({node.op_type}): {why}")
