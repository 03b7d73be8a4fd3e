"""onnxruntime on the CPU, through the resident agent."""

import re

from harness.runtimes.conversion.onnx import OPSET, OnnxConverter
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Runtime, thread_clock
from harness.runtimes.session import Session
from harness.transports.transport import ResidentTransport

# By onnxruntime's minor version (its docs/Versioning.md); JetPack 4 has 1.10 at most.
OPSETS = {5: 12, 6: 13, 7: 13, 8: 14, 9: 15, 10: 15, 11: 16}
ASK_TIMEOUT_S = 60.0


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with onnxruntime.

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    check_installed(transport, "onnxruntime", "onnxruntime", "onnx")
    opset = OPSET if transport.is_here else opset_there(transport)
    return ModelFileSession(
        transport,
        AGENT / "with_onnxruntime.py",
        options,
        OnnxConverter(options.batch, opset),
        RUNTIME.file_suffixes,
    )


def opset_there(transport: ResidentTransport) -> int:
    """The newest ONNX operators that a board's onnxruntime and ours have in common."""
    argv = [*transport.python, "-c", "import onnxruntime; print(onnxruntime.__version__)"]
    output = transport.run(argv, idle_timeout_s=ASK_TIMEOUT_S, deadline_s=ASK_TIMEOUT_S).text
    found = re.match(r"1\.(\d{1,4})\.", output)
    # Without an answer the agent will say what is wrong.
    return OPSETS.get(int(found[1]), OPSET) if found else OPSET


RUNTIME = Runtime(
    name="onnxruntime",
    open=open_session,
    link="resident",
    precisions=("float32",),
    file_suffixes=(".onnx",),
    clock=thread_clock,
    profiles_operators=True,
    profiles_nodes=True,
    board_packages=("onnxruntime",),
    board_rank=1,
)
