"""The DPUCZDX8G of AMD/Xilinx as numbers: its sizes (PG338, table "DPUCZDX8G Architectures"), its
buffers, its memory, and the three constants that are fitted to measurements.

A feature map lies in the banks as words: a word has `pixel_parallel` rows by `channel_parallel`
channels of one column, a bank group 2048 of them. There are two groups of features, between which
layers alternate, and one of weights.
"""

from dataclasses import dataclass
from math import ceil

from harness.runtimes.dpu.options import DpuOptions

BANK_DEPTH = 2048  # words
MOST_CHANNELS = 256  # times channel_parallel (UG1414, "Currently Supported Operators")
WEIGHT_BYTES_PER_CYCLE = 8  # of the powers of two the one that fits; no data sheet tells it


@dataclass(frozen=True)
class Architecture:
    """One of the sizes that the core is configured to."""

    pixel_parallel: int  # rows of the map that the convolution array computes at once
    channel_parallel: int  # input, and output, channels at once
    alu_rows: int  # rows at once of depthwise convolution, pooling and element-wise operators

    @property
    def peak_ops_per_cycle(self) -> int:
        return 2 * self.pixel_parallel * self.channel_parallel**2


ARCHITECTURES = {
    "B512": Architecture(4, 8, 2),
    "B800": Architecture(4, 10, 2),
    "B1024": Architecture(8, 8, 4),
    "B1152": Architecture(4, 12, 2),
    "B1600": Architecture(8, 10, 4),
    "B2304": Architecture(8, 12, 4),
    "B3136": Architecture(8, 14, 4),
    "B4096": Architecture(8, 16, 4),
}


@dataclass(frozen=True, slots=True)
class Map:
    """A feature map, int8."""

    channels: int
    height: int
    width: int

    @property
    def bytes(self) -> int:
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Constants:
    """What only a measurement tells."""

    vector_ns: float  # to fetch the weights of one output channel, besides moving their bytes
    ddr_share: float  # of the DDR's bandwidth that feature maps move with
    pass_cycles: float  # of an h_swish (hard sigmoid, multiplication) a step of the ALU


@dataclass(frozen=True)
class Dpu:
    """One core at a clock, with its memory. Times are in cycles of the core."""

    architecture: Architecture
    clock_mhz: float
    ddr_gb_s: float  # peak of the memory
    constants: Constants
    bank_depth: int = BANK_DEPTH

    @classmethod
    def of(cls, options: DpuOptions) -> "Dpu":
        constants = Constants(options.vector_ns, options.ddr_share, options.pass_cycles)
        size = ARCHITECTURES[options.architecture]
        return cls(size, options.clock_mhz, options.ddr_gb_s, constants)

    def nanoseconds(self, cycles: float) -> int:
        return round(cycles * 1e3 / self.clock_mhz)

    @property
    def peak_gops(self) -> float:
        """Operations a second of the convolution array, a multiply-accumulate counting two."""
        return self.architecture.peak_ops_per_cycle * self.clock_mhz / 1e3

    @property
    def weight_buffer_bytes(self) -> int:
        return self.architecture.channel_parallel**2 * self.bank_depth

    def channel_words(self, channels: int) -> int:
        return ceil(channels / self.architecture.channel_parallel)

    def words(self, features: Map) -> int:
        """Of a bank group that the map takes."""
        rows = ceil(features.height / self.architecture.pixel_parallel)
        return rows * features.width * self.channel_words(features.channels)

    def fits(self, features: Map) -> bool:
        """Whether one bank group holds the whole map."""
        return self.words(features) <= self.bank_depth

    def convolution(self, inputs: Map, outputs: Map, kernel: int) -> int:
        """Cycles of the convolution array."""
        rows = ceil(outputs.height / self.architecture.pixel_parallel)
        channels = self.channel_words(inputs.channels) * self.channel_words(outputs.channels)
        return channels * rows * outputs.width * kernel**2

    def alu_steps(self, features: Map) -> int:
        """Steps of the depthwise and element-wise engine over a map; a depthwise convolution takes
        kernel x kernel cycles each."""
        rows = ceil(features.height / self.architecture.alu_rows)
        return self.channel_words(features.channels) * rows * features.width

    def swish(self, features: Map) -> float:
        """Cycles of an h_swish over a map."""
        return self.constants.pass_cycles * self.alu_steps(features)

    def weights(self, vectors: int, vector_bytes: int) -> float:
        """Cycles of the load engine for the weights of `vectors` output channels."""
        latency = self.constants.vector_ns * self.clock_mhz / 1e3
        bytes_per_cycle = min(WEIGHT_BYTES_PER_CYCLE, self.ddr_gb_s * 1e3 / self.clock_mhz)
        return vectors * (latency + vector_bytes / bytes_per_cycle)

    def transfer(self, size_bytes: float) -> float:
        """Cycles to load or save so much of a feature map."""
        bytes_per_cycle = self.constants.ddr_share * self.ddr_gb_s * 1e3 / self.clock_mhz
        return size_bytes / bytes_per_cycle
