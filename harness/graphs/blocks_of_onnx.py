"""The blocks of a network of convolutions, from the nodes of an .onnx file as they stand.

Kernels would not do: onnxruntime's optimiser pads channels to those of its layout.
"""

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from harness.errors import FileFormatError, UsageError
from harness.graphs.onnx_nodes import Nodes, attributes
from harness.graphs.weightless import without_weights
from harness.runtimes.conversion.of_onnx import set_sizes
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.model_inputs.feeding import feeding
from harness.runtimes.model_inputs.onnx_file import read_inputs
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import conv, plain


@dataclass(frozen=True)
class NetworkOfBlocks:
    """What was read, and what the file itself counts."""

    blocks: tuple[Convolution, ...]
    macs: int
    params: int  # with batch norms folded into biases
    apart: tuple[str, ...]  # what its layers have otherwise than layers of ours


class _Conv(NamedTuple):
    """A convolution with what follows it, or a linear layer."""

    node: Any
    inner: int
    out: int
    kernel: int
    stride: int
    groups: int
    biased: bool  # or normalised
    act: str
    end: str  # what it gives

    @property
    def depthwise(self) -> bool:
        return self.groups == self.inner == self.out > 1

    @property
    def plain(self) -> bool:
        """1x1, dense, without stride."""
        return self.kernel == self.stride == self.groups == 1


def read_blocks(model: Path, asked: Asked = NOTHING_ASKED) -> NetworkOfBlocks:
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
        return _Reader(model, loaded.graph).read(fed.feeds[0].name)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise FileFormatError(f"{model} has a node that is broken: {error!r:.300}") from error


class _Reader:
    """Goes from the input to the output, a block at a time."""

    def __init__(self, model: Path, graph: Any) -> None:
        self._model = model
        self._graph = graph
        self._blocks: list[Convolution] = []
        self._apart: dict[str, None] = {}
        self._nodes = Nodes(graph)
        self._users = self._nodes.users

    def read(self, at: str) -> NetworkOfBlocks:
        while self._users[at] and len(self._blocks) < len(self._graph.node):
            block, at = self._block(at)
            sizes = block.height, block.in_channels, block.out_channels, block.kernel, block.stride
            if min(sizes) < 1:
                raise FileFormatError(f"{self._model} has a layer without size: {block.key}")
            self._blocks.append(block)
        if not self._blocks or self._users[at] or self._nodes.ends != {at}:
            raise UsageError(f"{self._model} fits no space: it is no chain from input to output")
        macs, params = self._counted()
        return NetworkOfBlocks(tuple(self._blocks), macs, params, tuple(self._apart))

    def _block(self, at: str) -> tuple[Convolution, str]:
        users = self._users[at]
        size, pooled = self._size(at), any(each.kind == "pool" for each in self._blocks)
        if len(users) == 1 and self._nodes.is_pool(users[0]):
            channels = self._nodes.shape(at)[1]
            return plain("pool", size, channels, channels, "none"), users[0].output[0]
        if len(users) == 1 and users[0].op_type == "MaxPool":
            return self._max_pool(users[0], size)
        layers = [each for each in users if each.op_type in ("Conv", "Gemm", "MatMul")]
        if not layers:
            self._misfit(users[0], "no block of a space begins so")
        # Of two, the other one is a shortcut.
        layers.sort(key=lambda each: [user.op_type for user in self._after(each)] == ["Add"])
        first = self._conv(layers[0])
        if pooled:
            return self._head(first, last=not self._users[first.end])
        if first.depthwise:
            return self._mbconv(at, None, first)
        if first.groups > 1:
            self._misfit(first.node, f"a convolution of {first.groups} groups")
        following = self._users[first.end]
        second = (
            self._conv(following[0]) if [each.op_type for each in following] == ["Conv"] else None
        )
        if second and first.plain and second.depthwise:
            return self._mbconv(at, first, second)
        if second and first.plain and len(users) > 1:
            return self._bottleneck(at, first, second)
        if len(users) > 1 and first.kernel == 1 and first.stride > 1:
            self._misfit(first.node, "the stride of a bottleneck in its first convolution")
        residual, end = self._ended(at, first)
        made = conv(size, first.inner, first.out, first.kernel, first.stride, first.act)
        return replace(made, residual=residual), end

    def _max_pool(self, node: Any, size: int) -> tuple[Convolution, str]:
        told = attributes(node)
        kernel, stride = told["kernel_shape"][0], told.get("strides", [1])[0]
        channels = self._nodes.shape(node.output[0])[1]
        made = plain("maxpool", size, channels, channels, "none")
        return replace(made, kernel=kernel, stride=stride), node.output[0]

    def _head(self, layer: _Conv, *, last: bool) -> tuple[Convolution, str]:
        """What follows the pooling: one layer, or two."""
        kind = "linear" if last else "mix"
        if layer.biased != last:
            self._note(f"its {kind} layer has {'no' if last else 'a'} bias")
        return plain(kind, 1, layer.inner, layer.out, layer.act), layer.end

    def _mbconv(self, at: str, expand: _Conv | None, depthwise: _Conv) -> tuple[Convolution, str]:
        squeezed, end = self._squeeze(depthwise)
        project = self._next(end, depthwise.node)
        if not project.plain or project.act != "none":
            self._misfit(project.node, "no 1x1 convolution without activation ends the bottleneck")
        if expand and expand.act != depthwise.act:
            self._misfit(depthwise.node, f"{depthwise.act} after an expansion with {expand.act}")
        if expand and expand.out == expand.inner:
            self._note(f"an expansion of {expand.inner} channels to as many, which ours leave out")
        residual, end = self._ended(at, project)
        inner = (expand or depthwise).inner
        made = plain("mbconv", self._size(at), inner, project.out, depthwise.act)
        made = replace(made, mid_channels=depthwise.out, se_channels=squeezed, residual=residual)
        return replace(made, kernel=depthwise.kernel, stride=depthwise.stride), end

    def _squeeze(self, layer: _Conv) -> tuple[int, str]:
        """Channels of the squeeze-and-excitation, and what it gives; 0 where there is none."""
        pools = [each for each in self._users[layer.end] if self._nodes.is_pool(each)]
        if len(self._users[layer.end]) != 2 or not pools:
            return 0, layer.end
        reduce = self._next(pools[0].output[0], pools[0])
        expand = self._next(reduce.end, reduce.node)
        gate = self._nodes.gate(expand.end)
        product = gate and self._nodes.product(layer.end, gate[1])
        if gate is None or product is None:
            self._misfit(expand.node, "no squeeze-and-excitation")
        ours = ("swish", "swish") if layer.act == "swish" else ("relu", "h_swish")
        if (reduce.act, gate[0]) != ours:
            kind = "sigmoid" if gate[0] == "swish" else "hard sigmoid"
            self._note(f"squeeze-and-excitation by {reduce.act} and a {kind}, unlike ours")
        return reduce.out, product

    def _bottleneck(self, at: str, reduce: _Conv, middle: _Conv) -> tuple[Convolution, str]:
        if middle.groups > 1:
            self._misfit(middle.node, f"a convolution of {middle.groups} groups")
        expand = self._next(middle.end, middle.node)
        if not expand.plain or expand.act != "none":
            self._misfit(expand.node, "no 1x1 convolution without activation ends the bottleneck")
        residual, end = self._added(at, expand.end)
        if not residual:
            end = self._shortcut(at, expand, middle.stride)
        act, end = self._nodes.act(end)
        if not reduce.act == middle.act == act:
            self._misfit(expand.node, "a bottleneck of several activations")
        made = plain("bottleneck", self._size(at), reduce.inner, expand.out, act)
        made = replace(made, mid_channels=middle.out, residual=residual)
        return replace(made, kernel=middle.kernel, stride=middle.stride), end

    def _shortcut(self, at: str, expand: _Conv, stride: int) -> str:
        """What the sum of a bottleneck and of its shortcut's convolution gives."""
        pools = [each for each in self._users[at] if each.op_type == "AveragePool"]
        start = pools[0].output[0] if pools else at
        sums = {each.output[0] for each in self._users[expand.end] if each.op_type == "Add"}
        beside = [self._conv(each) for each in self._users[start] if each.op_type == "Conv"]
        for layer in beside:
            if sums & {each.output[0] for each in self._users[layer.end]}:
                if stride > 1 and not pools:
                    self._note("strided shortcuts without the average pooling of ours")
                return str(sums.pop())
        return self._misfit(expand.node, "no sum with a shortcut ends the bottleneck")

    def _conv(self, node: Any) -> _Conv:
        """A convolution, or a linear layer, with its batch norm and activation."""
        weight = self._nodes.held.get(next(iter(self._nodes.inputs(node)[1:]), ""))
        sizes = {"Conv": 4, "Gemm": 2, "MatMul": 2}.get(node.op_type)
        if weight is None or len(weight.dims) != sizes:
            self._misfit(node, "no layer of a space")
        told, end = attributes(node), node.output[0]
        if node.op_type == "Conv":
            out, inner, *kernels = weight.dims
            groups, strides = told.get("group", 1), told.get("strides", [1, 1])
            if len({*kernels}) > 1 or len({*strides}) > 1:
                self._misfit(node, "a kernel that is not square")
            if {1, *told.get("dilations", [])} != {1}:
                self._misfit(node, "a dilated convolution")
            if {*told.get("pads", [0])} != {kernels[0] // 2}:
                self._note(f"padding other than {kernels[0] // 2} of kernels of {kernels[0]}")
        else:
            turned = node.op_type == "Gemm" and told.get("transB", 0)
            (out, inner) = weight.dims if turned else reversed(weight.dims)
            groups, kernels, strides = 1, [1], [1]
        biased = len(node.input) > 2
        after = self._users[end]
        if len(after) == 1 and (
            after[0].op_type == "BatchNormalization" or self._nodes.is_bias(after[0])
        ):
            biased, end = True, after[0].output[0]
        act, end = self._nodes.act(end)
        return _Conv(node, inner * groups, out, kernels[0], strides[0], groups, biased, act, end)

    def _next(self, at: str, before: Any) -> _Conv:
        """The only convolution that takes it."""
        users = self._users[at]
        if len(users) != 1:
            self._misfit(before, f"{len(users)} nodes take what it gives")
        return self._conv(users[0])

    def _added(self, at: str, end: str) -> tuple[bool, str]:
        """Whether what the block was given is added, and what it gives."""
        for node in self._users[end]:
            if node.op_type == "Add" and {*self._nodes.inputs(node)} == {at, end}:
                return True, node.output[0]
        return False, end

    def _ended(self, at: str, last: _Conv) -> tuple[bool, str]:
        """The same of a block that has no shortcut but what it was given."""
        residual, end = self._added(at, last.end)
        if not residual and len(self._users[at]) > 1:
            self._misfit(
                last.node, "a branch that is neither a residual nor a bottleneck's shortcut"
            )
        return residual, end

    def _after(self, node: Any) -> list[Any]:
        return self._users[node.output[0]]

    def _size(self, at: str) -> int:
        sizes = {*self._nodes.shape(at)[2:]} or {1}
        if len(sizes) > 1:
            raise UsageError(f"{self._model} fits no space: {at} has maps that are not square")
        return sizes.pop()

    def _counted(self) -> tuple[int, int]:
        """Multiply-accumulates and parameters, node by node."""
        macs = params = 0
        for node in self._graph.node:
            if node.op_type in ("Conv", "Gemm", "MatMul"):
                layer = self._conv(node)
                weights = layer.out * layer.inner // layer.groups * layer.kernel**2
                macs += weights * prod(self._nodes.shape(node.output[0])[2:])
                params += weights + layer.biased * layer.out
        return macs, params

    def _note(self, text: str) -> None:
        self._apart[text] = None

    def _misfit(self, node: Any, why: str) -> NoReturn:
        raise UsageError(
            f"{self._model} fits no space: after {len(self._blocks)} blocks, at node "
            f"{node.name or node.output[0]} ({node.op_type}): {why}"
        )
