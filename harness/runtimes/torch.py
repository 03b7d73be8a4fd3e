"""torch eager on a CPU or an NVIDIA GPU, through the resident agent."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from harness.progress import Progress
from harness.runtimes.conversion.cache import convert_all, converted
from harness.runtimes.conversion.kernel_torch import SUFFIX, KernelConverter
from harness.runtimes.conversion.weights import to_weights
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.own_file_session import OwnFileSession
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Clock, Runtime, thread_clock
from harness.runtimes.session import Session, Workload
from harness.schema import Section
from harness.spaces.kernel import is_kernel
from harness.transports.transport import ResidentTransport


class TorchOptions(Section):
    """`[torch]`: how torch runs networks."""

    device: Literal["cpu", "cuda"] = "cpu"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    autocast: Literal["off", "float16", "bfloat16"] = "off"
    cuda_graphs: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.device == "cpu" and self.cuda_graphs:
            raise ValueError("cuda_graphs needs device = 'cuda'")
        return self


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with torch.

    Raises:
        MissingExtra: torch is not installed.
    """
    check_installed(transport, "torch", "torch", "train")
    kernels = KernelConverter()

    def prepare(workloads: Sequence[Workload], on_progress: Progress) -> None:
        convert_all(kernels, [each for each in workloads if is_kernel(each)], on_progress)

    def specify(workload: Workload) -> dict[str, Any]:
        if is_kernel(workload):
            return {"model": str(transport.push(converted(kernels, workload)))}
        if not isinstance(workload, Path):
            return {"blocks": [block.spec for block in workload]}
        if workload.suffix == SUFFIX:
            return {"model": str(transport.push(workload))}
        weights = to_weights(workload)
        return {
            "blocks": [block.spec for block in weights.blocks],
            "weights": {"path": str(transport.push(weights.path)), "tensors": weights.tensors},
        }

    return OwnFileSession(
        transport,
        AGENT / "with_torch.py",
        options,
        RUNTIME.file_suffixes,
        specify,
        prepare,
        options.of(TorchOptions).model_dump(),
        most_loaded=math.inf,  # large networks share their random weights there
    )


def _on_gpu(options: RuntimeOptions) -> bool:
    return options.of(TorchOptions).device == "cuda"


def _clock(options: RuntimeOptions) -> Clock:
    return "device" if _on_gpu(options) else thread_clock(options)


def _identity(options: RuntimeOptions, _environment: Mapping[str, str]) -> dict[str, Any]:
    own = options.of(TorchOptions)
    return {} if own == TorchOptions() else {"torch": own.model_dump()}


RUNTIME = Runtime(
    name="torch",
    open=open_session,
    link="resident",
    precisions=("float32",),
    file_suffixes=(".pt2",),
    clock=_clock,
    options=TorchOptions,
    profiles_operators=True,
    on_gpu=_on_gpu,
    identity=_identity,
    board_packages=("torch",),
    board_rank=3,
)
