"""What int8 networks need of a microcontroller: SRAM by the way that runs them, and flash."""

from collections.abc import Sequence

from harness.memory.arena import rounded_up
from harness.memory.graph import Operator
from harness.memory.in_place import in_place_bytes
from harness.memory.operators import graph_of
from harness.memory.parts import head_of, part_of
from harness.spaces.block import Block

# Bytes of TFLite Micro's own, measured with tflite-micro on a 64-bit computer by adding one
# operator after the other to a file; pointers of a 32-bit chip are half as long. Constants that
# operators share (axes, paddings) are part of the interpreter's.
INTERPRETER = 830
TENSOR, OPERATOR, CHANNEL = 24, 64, 4
KERNELS = {
    "CONV_2D": 108,
    "DEPTHWISE_CONV_2D": 108,
    "ADD": 72,
    "AVERAGE_POOL_2D": 72,
    "MAX_POOL_2D": 72,
    "MEAN": 72,
    "PAD": 64,
    "PADV2": 64,
    "MUL": 52,
    "HARD_SWISH": 32,
    "LOGISTIC": 16,
}

# Bytes of a .tflite file besides its weights, fitted to 19 files; inner tensors have no names.
FILE, FILE_MAP, FILE_CONSTANT = 1288, 112, 96  # an operator belongs to the map that it puts out
QUANTISED_MAP = 12  # scale and zero
QUANTISED_CHANNEL = 28  # a bias, its scale and zero, those of the weights


def head_bytes(blocks: Sequence[Block]) -> int:
    """What TFLite Micro plans for a network's maps: the head of its arena, exactly."""
    return head_of([part_of(block) for block in blocks])


def kept_bytes(block: Block) -> int:
    """What TFLite Micro keeps of a block as long as it lives, in the tail of its arena."""
    return sum(map(_kept, graph_of(block).operators))


def _kept(operator: Operator) -> int:
    multipliers = rounded_up(CHANNEL * operator.channels)
    tensors = 1 + (2 if operator.weights else 0)
    return OPERATOR + KERNELS[operator.kind] + TENSOR * tensors + 2 * multipliers


def arena_of(blocks: Sequence[Block]) -> int:
    """TFLite Micro's whole arena for a network, bytes."""
    return head_bytes(blocks) + INTERPRETER + sum(map(kept_bytes, blocks))


def in_place_of(block: Block) -> int:
    """What a block's maps take where depthwise convolutions work in place, bytes."""
    return in_place_bytes(graph_of(block))


def flash_of(block: Block) -> int:
    """What a block takes of the .tflite file, bytes."""
    found = 0
    for operator in graph_of(block).operators:
        found += operator.weights + QUANTISED_CHANNEL * operator.channels
        found += FILE_MAP + QUANTISED_MAP
        found += 2 * FILE_CONSTANT if operator.weights else 0
    return found
