"""MNN on the CPU, through the resident agent."""

from functools import partial

from harness.runtimes.conversion.mnn import MnnConverter
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Runtime, thread_clock
from harness.runtimes.session import Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with MNN.

    Raises:
        MissingExtra: MNN is not installed.
    """
    check_installed(transport, "mnn", "MNN", "mnn")
    converter = MnnConverter(options.batch)
    return ModelFileSession(
        transport,
        AGENT / "with_mnn.py",
        options,
        converter,
        (".mnn",),
        partial(MnnConverter, options.batch),
    )


RUNTIME = Runtime(
    name="mnn",
    open=open_session,
    link="resident",
    precisions=("float32",),
    file_suffixes=(".mnn", ".onnx"),
    profiles_operators=True,
    clock=thread_clock,  # one thread is the caller's own (measured)
    board_packages=("MNN",),
    board_rank=6,
)
