"""Sessions of runtimes that take model files: those converted from networks, or the user's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from harness.progress import Progress, silent
from harness.runtimes import model_files
from harness.runtimes.conversion.cache import Converter, convert_all, is_whole
from harness.runtimes.conversion.of_onnx import Shapes, is_onnx
from harness.runtimes.conversion.ranges import range_images_fact
from harness.runtimes.model_inputs.feeding import READ_HERE, Feed, Feeding, feeding
from harness.runtimes.model_inputs.values import values_file
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import ResidentSession
from harness.runtimes.session import Workload
from harness.transports.transport import ResidentTransport


class ModelFileSession(ResidentSession):
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
        self._own = own
        self._of_onnx = of_onnx
        settings = {"precision": options.precision}
        super().__init__(transport, runtime, options, self._request, self.make_files, settings)
        self.environment = {**self.environment, **range_images_fact(options)}

    def feeding(self, model: Path) -> Feeding:
        """What a model file of the user's is fed with.

        Raises:
            TargetFailed: the runtime cannot read it.
            UsageError, FileFormatError: as `model_inputs.feeding.feeding`.
        """
        inputs = None
        if model.suffix.lower() not in READ_HERE:
            inputs = self.inputs(model_files.push(self._transport, model), model)
        return feeding(model, self._options.asked, self._options.batch, inputs)

    def converts(self, model: Path) -> bool:
        """Whether it is a user's file that the runtime does not take as it is."""
        return self._is_users(model) and model.suffix.lower() not in self._own

    def file_bytes(self, model: Workload) -> int:
        """The size of what the runtime loads for a workload that was loaded, weights included."""
        made = self._files_of(model) if self._is_users(model) else [self._converter.path(model)]
        return sum(path.stat().st_size for path in made)

    def _files_of(self, model: Path) -> list[Path]:
        if self._of_onnx is None or not self.converts(model):
            return [model, *model_files.beside(model).values()]
        return [self._of_onnx(_shapes(self.feeding(model))).path(model)]

    def _request(self, workload: Workload) -> dict[str, Any]:
        if not self._is_users(workload):
            convert_all(self._converter, [workload])
            return {"model": str(self._transport.push(self._converter.path(workload)))}
        fed = self.feeding(workload)
        if self._of_onnx is None or not self.converts(workload):
            model = model_files.push(self._transport, workload)
        else:
            converter = self._of_onnx(_shapes(fed))
            convert_all(converter, [workload])
            model = self._transport.push(converter.path(workload))
        feeds = [self._fed(feed) for feed in fed.feeds]
        return {"model": str(model), "feeds": feeds, "signature": fed.signature}

    def _fed(self, feed: Feed) -> dict[str, Any]:
        file = None if feed.values is None else self._transport.push(values_file(feed.values))
        return {
            "name": feed.name,
            "dtype": feed.dtype,
            "shape": feed.shape,
            "file": None if file is None else str(file),
        }

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
        return isinstance(workload, Path) and (
            workload.suffix.lower() in self._own
            or (self._of_onnx is not None and is_onnx(workload))
        )


def _shapes(fed: Feeding) -> Shapes:
    return tuple((feed.name, feed.shape) for feed in fed.feeds)
