"""LiteRT (TensorFlow Lite) with XNNPACK on the CPU, through the resident agent."""

from harness.runtimes.conversion.choice import tflite_converter, tflite_steps
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Runtime, thread_clock
from harness.runtimes.session import Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with LiteRT.

    Raises:
        MissingExtra: LiteRT is not installed.
    """
    check_installed(transport, "litert", "ai_edge_litert", "litert")
    converter = tflite_converter(options)
    return ModelFileSession(transport, AGENT / "with_litert.py", options, converter, (".tflite",))


RUNTIME = Runtime(
    name="litert",
    open=open_session,
    link="resident",
    precisions=("float32", "float16", "int8"),
    file_suffixes=(".tflite",),
    clock=thread_clock,
    steps=tflite_steps,
    board_packages=("ai_edge_litert", "tflite_runtime"),
    board_rank=2,
)
