"""onnxruntime on the CPU, through the resident agent."""

from importlib.util import find_spec

from harness.errors import MissingExtra
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.resident import model_file_session
from harness.runtimes.session import RuntimeOptions, Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with onnxruntime.

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    if transport.is_here and find_spec("onnxruntime") is None:
        raise MissingExtra("the runtime onnxruntime is not installed: pip install '.[onnx]'")
    return model_file_session(transport, "onnxruntime", options, OnnxConverter(options.batch))
