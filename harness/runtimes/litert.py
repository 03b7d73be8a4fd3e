"""LiteRT (TensorFlow Lite) with XNNPACK on the CPU, through the resident agent."""

from importlib.util import find_spec

from harness.errors import MissingExtra
from harness.hints import install
from harness.runtimes.conversion.choice import range_images_fact, tflite_converter
from harness.runtimes.resident import model_file_session
from harness.runtimes.session import RuntimeOptions, Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with LiteRT.

    Raises:
        MissingExtra: LiteRT is not installed.
    """
    if transport.is_here and find_spec("ai_edge_litert") is None:
        raise MissingExtra(f"the runtime litert is not installed: {install('litert')}")
    session = model_file_session(transport, "litert", options, tflite_converter(options))
    session.environment = {**session.environment, **range_images_fact(options)}
    return session
