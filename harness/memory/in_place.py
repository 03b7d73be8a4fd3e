"""The least memory that maps take where depthwise convolutions write over what they read.

TinyEngine's way (Lin et al., MCUNet, NeurIPS 2020, section 3.2): a depthwise convolution needs each
channel of its input once, and padding is part of the operator behind it.
"""

from harness.memory.graph import Graph


def in_place_bytes(graph: Graph) -> int:
    """The most that is alive at once, bytes; without buffers of a channel's or a kernel's size."""
    home = list(range(len(graph.sizes_bytes)))  # the map in whose place each one lies
    last = _last_reads(graph)
    for time, operator in enumerate(graph.operators):
        if operator.kind == "PAD" or (
            operator.kind == "DEPTHWISE_CONV_2D"
            and last[operator.inputs[0]] == time
            and graph.sizes_bytes[operator.outputs[0]] <= graph.sizes_bytes[operator.inputs[0]]
        ):
            home[operator.outputs[0]] = home[operator.inputs[0]]
    for each, place in enumerate(home):
        last[place] = max(last[place], last[each])
    alive, most = set(graph.inputs), 0
    for time, operator in enumerate(graph.operators):
        touched = (*operator.inputs, *operator.outputs)
        alive |= {home[each] for each in touched}
        most = max(most, sum(graph.sizes_bytes[each] for each in alive))
        alive = {each for each in alive if last[each] > time}
    return most


def _last_reads(graph: Graph) -> list[int]:
    """Which operator reads each map last; outputs of the network stay."""
    last = [-1] * len(graph.sizes_bytes)
    for time, operator in enumerate(graph.operators):
        for each in operator.inputs:
            last[each] = time
    for each in graph.outputs:
        last[each] = len(graph.operators)
    return last
