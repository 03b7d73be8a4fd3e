"""Networks drawn layer by layer, as figure 11 of the OFA paper has them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reports.style import FIXED, GRID, INK, KERNELS, as_csv, drawing, save
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution
from harness.spaces.space import Space
from harness.spaces.transformer import DecoderLayer, EncoderLayer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Look:
    """What is drawn of a block."""

    choice: int  # its kernel, or heads of attention
    width: int  # the most channels inside
    out: int  # channels
    size: int  # of the input: height, pixels; or tokens
    stride: int
    expand: float | None  # inner over input channels; None where there is nothing to choose
    unit: str = ""  # of the size

    @property
    def label(self) -> str:
        """What was chosen; the kernel is its colour."""
        heads = "" if self.unit else f"h{self.choice} "
        return f"{heads}x{self.expand:.2g}"

    @classmethod
    def of(cls, block: Block) -> "Look":
        if isinstance(block, Convolution):
            inside, out = block.mid_channels, block.out_channels
            expand = None if block.stage is None else inside / block.in_channels
            wide = max(inside, out)
            return cls(block.kernel, wide, out, block.height, block.stride, expand, "px")
        (*_, size, embed), out = block.input_shape, block.output_shape[-1]
        if isinstance(block, EncoderLayer | DecoderLayer):
            return cls(block.heads, max(block.ffn, embed), out, size, 1, block.ffn / embed)
        return cls(1, embed, out, size, 1, None)


@dataclass(frozen=True)
class Layer:
    """What stands at a place of a network, or would if the network were deeper."""

    stage: int | None  # None for stem and head
    block: Block | None  # None where it is left out
    latency_ms: float | None = None  # its part of the network, where a table tells

    @property
    def look(self) -> Look | None:
        return None if self.block is None else Look.of(self.block)


@dataclass(frozen=True)
class Drawn:
    """A network with a name."""

    title: str
    layers: tuple[Layer, ...]


def layers(space: Space, arch: Arch, latencies_ms: Sequence[float] = ()) -> tuple[Layer, ...]:
    """Every place of the space's deepest network; `latencies_ms`: of the blocks, in order."""
    active = list(space.active(arch))
    parts = dict(zip(active, latencies_ms, strict=False))
    return tuple(
        Layer(place.stage, space.block_of(index, arch), parts.get(index))
        if index in active
        else Layer(place.stage, None)
        for index, place in enumerate(space.places)
    )


def kernels(networks: Iterable[Sequence[Layer]]) -> list[int]:
    """Sizes that occur in stages, ascending."""
    return sorted(
        {
            layer.block.kernel
            for network in networks
            for layer in network
            if isinstance(layer.block, Convolution) and layer.stage is not None
        }
    )


def save_architectures(drawn: Sequence[Drawn], salt: str, folder: Path) -> list[Path]:
    """`architectures.png`, `.svg`, `.pdf` and `.csv`; the files written."""
    from matplotlib.patches import Patch

    columns = max(len(network.layers) for network in drawn)
    size = (max(6.0, 0.42 * columns + 0.6), 0.5 + 1.75 * len(drawn))
    sizes = kernels(network.layers for network in drawn)
    with drawing(salt, font_size=8) as plt:
        figure, rows = plt.subplots(
            len(drawn), 1, figsize=size, squeeze=False, layout="constrained"
        )
        for (axes,), network in zip(rows, drawn, strict=True):
            _draw(axes, network, columns)
        handles = [Patch(color=colour_of(k), label=f"{k}x{k}") for k in sizes]
        if handles:
            legend = "kernel; height: inner channels (root); x: inner over input channels"
            figure.legend(
                handles=handles,
                title=legend,
                loc="outside lower center",
                ncols=len(handles),
                frameon=False,
            )
        names = ("network", "place", "stage", "block", "kernel", "expand", "latency_ms")
        rows_of_csv = [
            (
                network.title,
                place,
                layer.stage,
                layer.block.key if layer.block else "",
                layer.look.choice if layer.look else "",
                layer.look.expand if layer.look else None,
                layer.latency_ms,
            )
            for network in drawn
            for place, layer in enumerate(network.layers)
        ]
        return save(figure, folder, "architectures", as_csv(names, rows_of_csv))


def colour_of(kernel: int) -> str:
    return KERNELS.get(kernel, FIXED)


def _draw(axes: "Axes", network: Drawn, columns: int) -> None:
    from matplotlib.patches import Rectangle

    tallest = max(layer.look.width for layer in network.layers if layer.look)
    stage: int | None = -1
    for place, layer in enumerate(network.layers):
        if layer.stage != stage and place:
            axes.axvline(place - 0.5, color=GRID, linewidth=0.8, zorder=0)
        stage = layer.stage
        look = layer.look
        if look is None:
            box = Rectangle((place - 0.4, 0), 0.8, 0.12, fill=False, edgecolor=FIXED, linestyle=":")
            axes.add_patch(box)
            continue
        height = math.sqrt(look.width / tallest)
        colour = colour_of(look.choice) if layer.stage is not None else FIXED
        axes.add_patch(Rectangle((place - 0.4, 0), 0.8, height, color=colour))
        if look.expand is not None:
            axes.annotate(
                look.label,
                (place, height),
                (0, 1),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=INK,
            )
        axes.annotate(
            f"{look.out}\n{look.size}{look.unit}",
            (place, 0),
            (0, -2),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=6,
            color=INK,
        )
    axes.set_xlim(-0.7, columns - 0.3)
    axes.set_ylim(-0.28, 1.18)
    axes.set_title(network.title, loc="left", color=INK, fontsize=8)
    axes.axis("off")
