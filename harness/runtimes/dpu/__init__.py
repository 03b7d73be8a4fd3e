"""A simulated FPGA: AMD/Xilinx's DPUCZDX8G, by a cost model (no board is reached)."""

from harness.runtimes.dpu.options import DpuOptions
from harness.runtimes.dpu.session import open_session
from harness.runtimes.runtime import Runtime, device_clock

__all__ = ["RUNTIME"]

RUNTIME = Runtime(
    name="dpu",
    open=open_session,
    link="none",
    precisions=("int8",),
    clock=device_clock,
    options=DpuOptions,
    without_effect=("num_threads", "cpus", "batch"),
    simulated_networks=100,  # they cost nothing
    evidence=lambda options: options.of(DpuOptions).evidence,
    identity=lambda options, _environment: {"dpu": options.of(DpuOptions).model_dump()},
)
