"""Sessions through the resident agent, which stays in a process of its own on the device."""

import base64
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import TargetFailed, TargetLost
from harness.progress import Progress, silent
from harness.runtimes.conversion.cache import LAYERS, Converter, convert_all
from harness.runtimes.session import RuntimeOptions, Samples, Workload, seed_of
from harness.transports.transport import ResidentTransport

AGENT = Path(__file__).with_name("agent.py")
# Without these glibc gives memory back between runs: one block took 6.3 ms alone and 1.8 ms
# inside a network.
MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
VISIT_WARMUP = 1  # untimed runs
INFER_BATCHES = 64  # in one request
OPEN_TIMEOUT_S, ANSWER_TIMEOUT_S = 120.0, 60.0


def nothing_to_prepare(_workloads: Sequence[Workload], _on_progress: Progress) -> None:
    """For runtimes that build their networks on the device."""


class ResidentSession:
    """A session whose workloads stay loaded in the agent."""

    resident = True
    infers_on = "the device"
    visit_cost_ns = 400_000  # measured on a desktop

    def __init__(
        self,
        transport: ResidentTransport,
        runtime: str,
        options: RuntimeOptions,
        specify: Callable[[Workload], dict[str, Any]],
        prepare: Callable[[Sequence[Workload], Progress], None] = nothing_to_prepare,
    ) -> None:
        """`specify` makes the runtime's part of a load request: blocks, weights or a model file."""
        self._options = options
        self._specify = specify
        self._prepare = prepare
        self._ids: dict[Workload, int] = {}
        self._run_ns: dict[Workload, int] = {}
        self._counter = itertools.count()
        generous = [f"{name}={1 << 30}" for name in MALLOC]
        agent = str(transport.push(AGENT))
        self._process = transport.start(["env", *generous, transport.python, "-u", agent])
        try:
            request = {
                "op": "open",
                "runtime": runtime,
                "threads": options.num_threads,
                "cpus": options.cpus,
                "layers": str(transport.push(LAYERS)),
            }
            self.environment: Mapping[str, str] = self._ask(request, OPEN_TIMEOUT_S)["environment"]
        except BaseException:
            self.close()
            raise

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self._prepare(workloads, on_progress)

    def load(self, workload: Workload) -> int:
        if workload in self._ids:
            return self._run_ns[workload]
        number = next(self._counter)
        request = {
            "op": "load",
            "id": number,
            "batch": self._options.batch,
            "seed": seed_of(workload),
        }
        answer = self._ask(request | self._specify(workload))
        self._ids[workload] = number
        self._run_ns[workload] = answer["run_ns"]
        return self._run_ns[workload]

    def visit(self, workload: Workload, runs: int) -> Samples:
        self.load(workload)
        request = {"op": "visit", "id": self._ids[workload], "warmup": VISIT_WARMUP, "runs": runs}
        answer = self._ask(request)
        thread_ns = answer["thread_ns"]
        thread = tuple(thread_ns) if thread_ns is not None else None
        return Samples(answer["at_ns"], tuple(answer["wall_ns"]), thread)

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.load(workload)
        batch = self._options.batch
        short = -len(images) % batch  # the runtime's batch is fixed: fill the last one up
        padded = np.concatenate([images, np.repeat(images[-1:], short, axis=0)])
        logits = [
            self._infer_part(workload, padded[start : start + INFER_BATCHES * batch])
            for start in range(0, len(padded), INFER_BATCHES * batch)
        ]
        return np.concatenate(logits)[: len(images)]

    def _infer_part(
        self, workload: Workload, images: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        request = {
            "op": "infer",
            "id": self._ids[workload],
            "images": base64.b64encode(np.ascontiguousarray(images).tobytes()).decode(),
            "batches": len(images) // self._options.batch,
            "shape": [self._options.batch, *images.shape[1:]],
        }
        logits = base64.b64decode(self._ask(request)["logits"])
        return np.frombuffer(logits, dtype=np.float32).reshape(len(images), -1)

    def unload(self, workload: Workload) -> None:
        number = self._ids.pop(workload, None)
        if number is not None:
            self._ask({"op": "unload", "id": number})

    def conditions(self) -> dict[str, float | str | None]:
        return self._ask({"op": "conditions"})

    def close(self) -> None:
        self._process.kill()

    def _ask(self, request: dict[str, Any], timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        self._process.send(json.dumps(request))
        line = self._process.receive(timeout_s)
        if line is None:
            raise TargetLost(f"the agent ended: {self._process.stderr_tail()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TargetFailed(f"the device could not {request['op']}: {answer['error']}")
        return answer


def model_file_session(
    transport: ResidentTransport, runtime: str, options: RuntimeOptions, converter: Converter
) -> ResidentSession:
    """A session of a runtime that takes model files: converted ones, or the user's own."""

    def given(workload: Workload) -> bool:
        return isinstance(workload, Path) and workload.suffix == converter.suffix

    def specify(workload: Workload) -> dict[str, Any]:
        if isinstance(workload, Path) and given(workload):
            return {"model": str(transport.push(workload))}
        convert_all(converter, [workload])
        return {"model": str(transport.push(converter.path(workload)))}

    def prepare(workloads: Sequence[Workload], on_progress: Progress) -> None:
        convert_all(converter, [each for each in workloads if not given(each)], on_progress)

    return ResidentSession(transport, runtime, options, specify, prepare)
