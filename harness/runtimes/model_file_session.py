"""Sessions of runtimes that take model files: those converted from networks, or the user's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from harness.progress import Progress, silent
from harness.runtimes.conversion.cache import Converter, convert_all, is_whole
from harness.runtimes.conversion.of_onnx import Shapes, is_onnx
from harness.runtimes.conversion.ranges import range_images_fact
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.own_file_session import OwnFileSession
from harness.runtimes.session import Workload
from harness.transports.transport import ResidentTransport


class ModelFileSession(OwnFileSession):
    """A runtime that takes model files on the device."""

    def __init__(
        self,
        transport: ResidentTransport,
        runtime: Path,
        options: RuntimeOptions,
        converter: Converter,
        own: Sequence[str],
        of_onnx: Callable[[Shapes], Converter] | None = None,
    ) -> None:
        """Files with a suffix of `own` go there as they are. `converter` is for networks of ours,
        `of_onnx` for users' .onnx files, where those are none of its own.
        """
        self.elsewhere = not transport.is_here
        self._converter = converter
        self._of_onnx = of_onnx
        settings = {"precision": options.precision}
        super().__init__(
            transport, runtime, options, own, self._made_request, self.make_files, settings
        )
        self.environment = {**self.environment, **range_images_fact(options)}

    def converts(self, model: Path) -> bool:
        """Whether it is a user's file that the runtime does not take as it is."""
        return self._is_users(model) and not self._is_own(model)

    def file_bytes(self, model: Workload) -> int:
        """The size of what the runtime loads for a file that was loaded, weights included."""
        if self._is_own(model):
            return super().file_bytes(model)
        return self._converter_of(model).path(model).stat().st_size

    def _converter_of(self, model: Workload) -> Converter:
        if self._of_onnx is None or not is_onnx(model):
            return self._converter
        shapes = ((feed.name, feed.shape) for feed in self.feeding(model).feeds)
        return self._of_onnx(tuple(shapes))

    def _made_request(self, workload: Workload) -> dict[str, Any]:
        converter = self._converter_of(workload)
        convert_all(converter, [workload])
        model = self._transport.push(converter.path(workload))
        if not self._is_users(workload):
            return {"model": str(model)}
        return self._fed_request(model, self.feeding(workload))

    def make_files(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        """A user's file is converted when it is loaded: what it is fed with decides how."""
        ours = [each for each in workloads if not self._is_users(each)]
        convert_all(self._converter, ours, on_progress)

    def has_file(self, workload: Workload) -> bool:
        return self._is_users(workload) or is_whole(self._converter.path(workload))

    def send(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        for done, workload in enumerate(workloads, start=1):
            if not self._is_users(workload):
                self._transport.push(self._converter.path(workload))
            on_progress(done, len(workloads))

    def _is_users(self, workload: Workload) -> TypeGuard[Path]:
        return self._is_own(workload) or (self._of_onnx is not None and is_onnx(workload))
