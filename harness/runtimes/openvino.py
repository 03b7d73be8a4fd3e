"""OpenVINO on the CPU, through the resident agent; it reads .onnx files as they are."""

from harness.runtimes.conversion.cache import Converter
from harness.runtimes.conversion.openvino import FloatConverter, OpenvinoConverter
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Runtime, thread_clock
from harness.runtimes.session import Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with OpenVINO.

    Raises:
        MissingExtra: OpenVINO is not installed.
    """
    check_installed(transport, "openvino", "openvino", "openvino")
    converter: Converter = FloatConverter(options.batch)
    if options.precision == "int8":
        converter = OpenvinoConverter(options.batch, options.range_images)
    return ModelFileSession(
        transport,
        AGENT / "with_openvino.py",
        options,
        converter,
        RUNTIME.file_suffixes,
    )


RUNTIME = Runtime(
    name="openvino",
    open=open_session,
    link="resident",
    precisions=("float32", "bfloat16", "int8"),
    file_suffixes=(".onnx", ".xml", ".openvino"),
    clock=thread_clock,  # one thread is the caller's own: OpenVINO starts no other (measured)
    profiles_operators=True,
    profiles_nodes=True,
    board_packages=("openvino",),
    board_rank=4,
)
