"""Sessions of runtimes that take model files of users as they are."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from harness.progress import Progress
from harness.runtimes import model_files
from harness.runtimes.model_inputs.feeding import READ_HERE, Feed, Feeding, feeding
from harness.runtimes.model_inputs.values import values_file
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import (
    MOST_LOADED,
    NO_SETTINGS,
    ResidentSession,
    nothing_to_prepare,
)
from harness.runtimes.session import Workload
from harness.transports.transport import ResidentTransport


class OwnFileSession(ResidentSession):
    """A runtime that takes model files of users, besides workloads of ours."""

    def __init__(
        self,
        transport: ResidentTransport,
        runtime: Path,
        options: RuntimeOptions,
        own: Sequence[str],
        specify: Callable[[Workload], dict[str, Any]],
        prepare: Callable[[Sequence[Workload], Progress], None] = nothing_to_prepare,
        settings: Mapping[str, Any] = NO_SETTINGS,
        most_loaded: float = MOST_LOADED,
    ) -> None:
        """Files with a suffix of `own` go there as they are; `specify` is for all else."""
        self._own = own
        self._specify_ours = specify
        super().__init__(transport, runtime, options, self._request, prepare, settings, most_loaded)

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

    def file_bytes(self, model: Workload) -> int:
        """The size of what the runtime loads for a file that was loaded, weights included."""
        assert isinstance(model, Path)
        return sum(path.stat().st_size for path in (model, *model_files.beside(model).values()))

    def _request(self, workload: Workload) -> dict[str, Any]:
        if not self._is_own(workload):
            return self._specify_ours(workload)
        return self._fed_request(
            model_files.push(self._transport, workload), self.feeding(workload)
        )

    def _fed_request(self, model: object, fed: Feeding) -> dict[str, Any]:
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

    def _is_own(self, workload: Workload) -> TypeGuard[Path]:
        return isinstance(workload, Path) and workload.suffix.lower() in self._own
