"""onnxruntime on the CPU, through the resident agent."""

from importlib.util import find_spec
from typing import Any

from harness.errors import MissingExtra
from harness.runtimes.convert import to_onnx
from harness.runtimes.resident import ResidentSession, seed_of
from harness.runtimes.session import RuntimeOptions, Session, Workload
from harness.transports.transport import Transport


def open_session(transport: Transport, options: RuntimeOptions) -> Session:
    """Start the agent with onnxruntime.

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    if find_spec("onnxruntime") is None:
        raise MissingExtra("the runtime onnxruntime is not installed: pip install '.[onnx]'")

    def specify(workload: Workload) -> dict[str, Any]:
        model = to_onnx(workload, options.batch, seed_of(workload))
        return {"model": str(transport.push(model))}

    return ResidentSession(transport, "onnxruntime", options, specify)
