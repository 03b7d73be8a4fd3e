"""ExecuTorch with XNNPACK on the CPU, through the resident agent."""

from harness.runtimes.conversion.executorch import ExecutorchConverter
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import AGENT, check_installed
from harness.runtimes.runtime import Runtime, thread_clock
from harness.runtimes.session import Session
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Start the agent with ExecuTorch.

    Raises:
        MissingExtra: ExecuTorch is not installed.
    """
    check_installed(transport, "executorch", "executorch", "executorch")
    converter = ExecutorchConverter(options.batch, options.precision, options.range_images)
    return ModelFileSession(
        transport, AGENT / "with_executorch.py", options, converter, RUNTIME.file_suffixes
    )


RUNTIME = Runtime(
    name="executorch",
    open=open_session,
    link="resident",
    precisions=("float32", "int8"),
    file_suffixes=(".pte",),
    clock=thread_clock,  # its pool of one thread is the caller's own (measured)
    board_packages=("executorch",),
    board_rank=5,
)
