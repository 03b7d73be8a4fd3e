"""A simulated FPGA: AMD/Xilinx's DPUCZDX8G, by a cost model (no board is reached)."""

from harness.runtimes.dpu.session import open_session

__all__ = ["open_session"]
