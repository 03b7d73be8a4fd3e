"""What blocks ask of a device, and what is believed of every device before any is measured."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import Infeasible
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution, convolutions
from harness.spaces.space import Space
from harness.spaces.transformer import DecoderLayer, Transformer, Vocabulary

Floats = npt.NDArray[np.float64]


def demands(any_block: Block) -> Floats:
    """What a convolution's block asks of a device, for one image, in `ASSUMED`'s order, [9].

    Raises:
        Infeasible: it is of another family.
    """
    (block,) = convolutions([any_block])
    if block.kind in ("bottleneck", "maxpool"):
        return _resnet_demands(block)
    inner = block.kind == "mbconv"
    expands = inner and block.mid_channels != block.in_channels
    out_area = block.out_height * block.out_width
    depthwise = out_area * block.mid_channels * block.kernel**2
    out = out_area * block.out_channels
    middle = out_area * block.mid_channels
    expanded = expands * block.height * block.width * block.mid_channels
    squeezed = block.se_channels > 0
    swished = block.act == "h_swish"
    # Reads and writes of an element: its convolution and the next one 2, batch norm 2, relu 2 or
    # h_swish 9, the pooling and scaling of squeeze-and-excitation 3, an addition 3.
    activation = 4 + (9 if swished else 2)
    moved = activation * (expanded + middle) + 3 * squeezed * middle
    moved += out * (4 + 3 * block.residual if inner else activation)
    launched = [1 + inner + expands, swished * (1 + expands), squeezed]
    kernels = [block.kernel <= 3, block.kernel == 5, block.kernel >= 7]
    by_kernel = [depthwise * here for here in kernels]
    return np.array([*launched, block.macs - depthwise, *by_kernel, moved, block.params], float)


def _resnet_demands(block: Convolution) -> Floats:
    """The same of a ResNet's blocks; nobody has compared these with measured ResNets yet."""
    out_area = block.out_height * block.out_width
    out = out_area * block.out_channels
    if block.kind == "maxpool":
        return np.array([1, 0, 0, 0, 0, 0, 0, out * (block.kernel**2 + 1), 0], float)
    shortcut = not block.residual
    inner = (block.height * block.width + out_area) * block.mid_channels
    moved = 6 * inner + out * (4 + 5 + 4 * shortcut)
    return np.array([3 + shortcut, 0, 0, block.macs, 0, 0, 0, moved, block.params], float)


@dataclass(frozen=True)
class Assumptions:
    """What is believed of every device; `benchmarks/gpu_few_shot.py --ablation` tells why."""

    # What a block asks for: so many demands of launching, and of work.
    demands: Callable[[Block], Floats] = demands
    # In kernels, as PyTorch launches them: a convolution with its batch norm and activation; what
    # h_swish adds; squeeze-and-excitation.
    launch: tuple[float, ...] = (3, 3, 9)
    # In times of moving one float32: a dense MAC; a depthwise MAC with kernel 3, 5, 7; a float32
    # moved; a parameter (it stands for small late layers, which leave much of a GPU idle). A V100
    # could do 31 MACs in that time (14 TFLOP/s, 900 GB/s). 1/4 and 1/2 are rounded from fits to the
    # GPUs of HELP; with 50 networks, starting all six alike is nearly as good.
    work: tuple[float, ...] = (1 / 24, 1 / 4, 1 / 4, 1 / 4, 1, 1 / 2)
    cost_sd: float = 0.5  # of the logarithm of each of these, device by device
    # p in (launch^p + work^p)^(1/p): 1 adds the two, as on a CPU, inf takes the longer, as on a
    # GPU. That which predicts networks left out better is taken.
    sharpness: tuple[float, ...] = (1, 8)
    tail: float = 2  # degrees of freedom of the errors; few, as some measurements are just slow


ASSUMED = Assumptions()
"""Of convolutions."""


_ENCODER_KERNELS, _STEP_KERNELS = 10, 24  # of a layer; of a decoder's, at every step
_WORD_KERNELS = 8  # of a step, whatever the decoder's depth: embedding, scores, the next word
_JOIN_KERNELS = 0.6  # of a step, for each layer of the encoder that is attended to
_OTHER_KERNELS = 3


def transformer_demands(block: Block) -> Floats:
    """What a transformer's block asks of a device for one input, in the order of `TRANSFORMERS`.

    Steps of a decoder read a weight, or a key or value that is kept, for every MAC.

    Raises:
        Infeasible: it is of another family.
    """
    if isinstance(block, DecoderLayer):
        joined = _JOIN_KERNELS * block.steps * block.cross_layers
        launched = [0, _STEP_KERNELS * block.steps, 0, joined]
        worked = [0, block.source_macs, block.macs - block.source_macs, 0]
    elif isinstance(block, Vocabulary):
        launched, worked = [0, 0, _WORD_KERNELS * block.steps, 0], [0, 0, 0, block.macs]
    elif isinstance(block, Transformer):
        kernels = _OTHER_KERNELS if block.stage is None else _ENCODER_KERNELS
        launched, worked = [kernels, 0, 0, 0], [block.macs, 0, 0, 0]
    else:
        raise Infeasible(f"{block.key} is no block of a transformer")
    return np.array([*launched, *worked], float)


TRANSFORMERS = Assumptions(
    demands=transformer_demands,
    # Kernels of encoders, of decoder layers, of steps, of joining what is attended to.
    launch=(1, 1, 1, 1),
    # Of encoders, of the source's keys and values, of steps, of scores of words.
    work=(1 / 24, 1 / 24, 1 / 4, 1 / 4),
    # Of five devices of HAT none launches while it works; `benchmarks/hat_latency.py`.
    sharpness=(1,),
)


def assumed_of(space: Space) -> Assumptions:
    """What is believed of the space's blocks."""
    return assumed_for(next(space.blocks_at(0)))


def assumed_for(block: Block) -> Assumptions:
    """What is believed of blocks of its family."""
    return TRANSFORMERS if isinstance(block, Transformer) else ASSUMED
