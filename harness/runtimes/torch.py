"""torch eager on a CPU or an NVIDIA GPU, through the resident agent."""

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import MissingExtra
from harness.hints import install
from harness.runtimes.conversion.weights import to_weights
from harness.runtimes.resident import ResidentSession
from harness.runtimes.session import RuntimeOptions, Session, Workload
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with torch.

    Raises:
        MissingExtra: torch is not installed.
    """
    if transport.is_here and find_spec("torch") is None:
        raise MissingExtra(f"the runtime torch is not installed: {install('train')}")

    def specify(workload: Workload) -> dict[str, Any]:
        if not isinstance(workload, Path):
            return {"blocks": [asdict(block) for block in workload]}
        weights = to_weights(workload)
        return {
            "blocks": [asdict(block) for block in weights.blocks],
            "weights": {"path": str(transport.push(weights.path)), "tensors": weights.tensors},
        }

    runtime = "torch-cuda" if options.torch.device == "cuda" else "torch"
    return ResidentSession(transport, runtime, options, specify)
