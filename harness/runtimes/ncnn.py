"""ncnn on the CPU, through the resident agent."""

from harness.runtimes.conversion.ncnn import NcnnConverter
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Runtime, thread_clock
from harness.runtimes.session import Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with ncnn.

    Raises:
        MissingExtra: ncnn is not installed.
    """
    check_installed(transport, "ncnn", "ncnn", "ncnn")
    one = options.model_copy(update={"batch": 1})  # its networks have one image
    return ModelFileSession(
        transport, AGENT / "with_ncnn.py", one, NcnnConverter(), (".param",), NcnnConverter
    )


RUNTIME = Runtime(
    name="ncnn",
    open=open_session,
    link="resident",
    precisions=("float32", "float16", "bfloat16"),
    file_suffixes=(".param", ".onnx"),
    clock=thread_clock,  # one thread is the caller's own (measured)
    without_effect=("batch",),
    board_packages=("ncnn",),
    board_rank=7,
)
