"""torch eager on a CPU or an NVIDIA GPU, through the resident agent."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from harness.runtimes.conversion.weights import to_weights
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, ResidentSession, check_installed
from harness.runtimes.runtime import Clock, Runtime, thread_clock
from harness.runtimes.session import Session, Workload
from harness.schema import Section
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

    def specify(workload: Workload) -> dict[str, Any]:
        if not isinstance(workload, Path):
            return {"blocks": [block.spec for block in workload]}
        weights = to_weights(workload)
        return {
            "blocks": [block.spec for block in weights.blocks],
            "weights": {"path": str(transport.push(weights.path)), "tensors": weights.tensors},
        }

    settings = options.of(TorchOptions).model_dump()
    runtime = AGENT / "with_torch.py"  # large networks share their random weights there
    return ResidentSession(
        transport, runtime, options, specify, settings=settings, most_loaded=math.inf
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
    clock=_clock,
    options=TorchOptions,
    profiles_operators=True,
    on_gpu=_on_gpu,
    identity=_identity,
    board_packages=("torch",),
    board_rank=3,
)
