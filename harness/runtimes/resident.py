"""Sessions through the resident agent, which stays in a process of its own on the device."""

import base64
import itertools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from harness.errors import (
    DeviceError,
    MissingExtra,
    TargetFailed,
    TargetLost,
    TargetStalled,
)
from harness.hints import install
from harness.progress import Progress, silent
from harness.runtimes.agent_file import AGENT as AGENT
from harness.runtimes.agent_file import agent_file
from harness.runtimes.agent_replies import (
    DESCRIBED,
    INFERRED,
    LOADED,
    OBJECT,
    OPENED,
    PLAYED,
    PROFILED,
    USED,
    VISITED,
    Loaded,
)
from harness.runtimes.asking import AgentEnded, ask
from harness.runtimes.board import is_board, read_conditions, read_facts
from harness.runtimes.conversion.cache import named
from harness.runtimes.model_inputs.model_input import ModelInput
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.replies import NoReply, Reply
from harness.runtimes.sensors import Conditions, plausible
from harness.runtimes.session import (
    Energy,
    Meter,
    OpTime,
    Played,
    Samples,
    Scenario,
    Start,
    Throughput,
    Workload,
    seed_of,
)
from harness.spaces.transformer import DECODING
from harness.transports.transport import ResidentTransport

VISIT_WARMUP, LONG_RUN_S = 1, 0.25  # untimed runs; none before runs that take so long
INFER_IMAGES = 64  # in one request, about
PROFILED_RUNS, PROFILED_S = 20, 10.0  # at most, but one run at least
ANSWER_TIMEOUT_S = 60.0  # and what there is to do besides:
OPEN_S, LOAD_S = 60.0, 540.0  # the latter with a first run, of which nobody knows how long it takes
ENERGY_RUNS = 5  # of a window that is shorter than one, and before it
SCENARIO_RUNS = 100  # that LoadGen makes at least, however long they take
PATIENCE = 5  # times as long as a network took when it was loaded may its runs take
MOST_LOADED = 10**9  # parameters of translators that stay loaded, each up to 8 bytes
MOST_RESTARTS, MOST_STALLS = 3, 1  # of the agent on a board, without an answer between them

NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})

Result = TypeVar("Result")


def nothing_to_prepare(_workloads: Sequence[Workload], _on_progress: Progress) -> None:
    """For runtimes that build their networks on the device."""


def check_installed(transport: ResidentTransport, runtime: str, package: str, extra: str) -> None:
    """Raises MissingExtra where the runtime shall run here and its package is not installed."""
    if transport.is_here and find_spec(package) is None:
        raise MissingExtra(f"the runtime {runtime} is not installed: {install(extra)}")


def _params(workload: Workload) -> int:
    """That a translator holds, or a part of one: they have hundreds of MB each. Other networks are
    small enough to stay, and users' files few."""
    if isinstance(workload, Path) or not any(block.kind in DECODING for block in workload):
        return 0
    alone = workload[0].in_turn if len(workload) == 1 else 1
    return alone * sum(block.params for block in workload)


class ResidentSession:
    """A session whose workloads stay loaded in the agent.

    A board may restart, or its link break: then a new agent goes on, and loads again what is asked
    for. Here, on this computer, an agent that ends is an error.
    """

    resident = True
    infers_on = "the device"
    visit_cost_ns = 400_000  # measured on a desktop

    def __init__(
        self,
        transport: ResidentTransport,
        runtime: Path,
        options: RuntimeOptions,
        specify: Callable[[Workload], dict[str, Any]],
        prepare: Callable[[Sequence[Workload], Progress], None] = nothing_to_prepare,
        settings: Mapping[str, Any] = NO_SETTINGS,
        most_loaded: float = MOST_LOADED,
    ) -> None:
        """`runtime` is its file for the device, with a function `start`, as `agent/with_torch.py`;
        it gets the `settings`. `specify` makes its part of a load request: blocks, weights or a
        model file. Translators beyond `most_loaded` parameters are loaded when it is their turn.
        """
        self._transport = transport

        def again(options: RuntimeOptions) -> ResidentSession:
            return ResidentSession(
                transport, runtime, options, specify, prepare, settings, most_loaded
            )

        self._again = again
        self._runtime = runtime
        self._options = options
        self._specify = specify
        self._prepare = prepare
        self._most_loaded = most_loaded
        self._opening = {
            "op": "open",
            "runtime": runtime.stem,
            "threads": options.num_threads,
            "cpus": options.cpus,
            "settings": dict(settings),
        }
        self._ids: dict[Workload, int] = {}
        self._run_ns: dict[Workload, int] = {}
        self._answers: dict[Workload, Loaded] = {}
        self._counter = itertools.count()
        self._lost, self._losses = False, 0  # since the last answer
        self._found = self._start()
        self.environment: Mapping[str, str] = self._found

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self._prepare(workloads, on_progress)

    def load(self, workload: Workload) -> int:
        if workload not in self._run_ns:
            self._persist(lambda: self._loaded(workload))
        return self._run_ns[workload]

    def visit(self, workload: Workload, runs: int) -> Samples:
        is_long = self.load(workload) > LONG_RUN_S * 1e9
        return self._visit(workload, runs, 0 if is_long else VISIT_WARMUP)

    def sustain(self, workload: Workload, seconds: float) -> Samples:
        return self._visit(workload, max(1, round(seconds * 1e9 / self.load(workload))), 0)

    def _visit(self, workload: Workload, runs: int, warmup: int) -> Samples:
        request = {"op": "visit", "warmup": warmup, "runs": runs}
        return self._ask_about(workload, request, VISITED, warmup + runs).samples(runs)

    def start(self, workload: Workload) -> Start:
        with closing(self._again(self._options)) as other:
            other.load(workload)
            return other._answers[workload].start

    def play(self, workload: Workload, scenario: Scenario, seconds: float) -> Played:
        if self._transport.is_here and find_spec("mlperf_loadgen") is None:
            raise MissingExtra(f"MLPerf's LoadGen is not installed: {install('mlperf')}")
        run_ns = self.load(workload)
        request = {"op": "play", "scenario": scenario, "seconds": seconds, "run_ns": run_ns}
        played = self._ask_about(workload, request, PLAYED, SCENARIO_RUNS, PATIENCE * seconds)
        return Played(scenario, played.value, played.valid)

    def throughput(self, workload: Workload, streams: int, seconds: float) -> Throughput:
        """Streams are agents of their own, on all processors that the system gives them."""
        anywhere = self._options.model_copy(update={"cpus": "any"})
        with ExitStack() as stack, ThreadPoolExecutor(streams) as pool:
            others = [stack.enter_context(closing(self._again(anywhere))) for _ in range(streams)]
            for other in others:
                other.load(workload)
            told = list(pool.map(lambda other: other.sustain(workload, seconds), others))
        walls = [samples.values["wall"] for samples in told]
        return Throughput(streams, sum(len(each) * 1e9 / sum(each) for each in walls))

    def inputs(self, model: PurePosixPath, about: Path) -> Sequence[ModelInput]:
        """What a model file on the device takes; `about`: the file, for people.

        Raises:
            TargetFailed: the runtime cannot read it.
        """
        request = {"op": "read", "model": str(model)}
        answer = self._persist(lambda: self._ask(request, DESCRIBED, LOAD_S, about))
        return answer.of(about)

    def energy(self, workload: Workload | None, window_s: float) -> Energy:
        request = {"op": "energy", "window_s": window_s}
        used = self._ask_about(workload, request, USED, ENERGY_RUNS, window_s)
        if bool(used.runs) != (workload is not None):
            raise NoReply(
                f"the device tells the energy of {used.runs} run(s), for which nobody asked: "
                "another program or version answers; start again"
            )
        return used

    def profile_ops(self, workload: Workload) -> Sequence[OpTime]:
        fitting = int(PROFILED_S * 1e9 / self.load(workload))
        runs = max(1, min(PROFILED_RUNS, fitting))
        # Some runtimes load the network once more.
        request = {"op": "profile", "runs": runs}
        answer = self._ask_about(workload, request, PROFILED, runs, LOAD_S)
        return [OpTime(*op) for op in answer.ops]

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        batch = self._options.batch
        step = batch * max(1, INFER_IMAGES // batch)
        short = -len(images) % batch  # the runtime's batch is fixed: fill the last one up
        padded = np.concatenate([images, np.repeat(images[-1:], short, axis=0)])
        logits = [
            self._infer_part(workload, padded[start : start + step])
            for start in range(0, len(padded), step)
        ]
        return np.concatenate(logits)[: len(images)]

    def _infer_part(
        self, workload: Workload, images: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        batches = len(images) // self._options.batch
        request = {
            "op": "infer",
            "images": base64.b64encode(np.ascontiguousarray(images).tobytes()).decode(),
            "batches": batches,
            "shape": [self._options.batch, *images.shape[1:]],
        }
        return self._ask_about(workload, request, INFERRED, batches).array(len(images))

    def unload(self, workload: Workload) -> None:
        self._run_ns.pop(workload, None)
        self._answers.pop(workload, None)

        def once() -> None:
            number = self._ids.pop(workload, None)
            if number is not None:
                self._ask({"op": "unload", "id": number}, OBJECT)

        self._persist(once)

    def conditions(self) -> Conditions:
        found = plausible(self._persist(lambda: self._ask({"op": "conditions"}, OBJECT)))
        if is_board(self.environment):
            found |= read_conditions(self._transport)
            self._persist(lambda: self._ask({"op": "resume"}, OBJECT))  # that was no other program
        return found

    def close(self) -> None:
        self._process.kill()

    def _start(self) -> Mapping[str, str]:
        """Start the agent; what it finds there."""
        agent = str(self._transport.push(agent_file(self._runtime)))
        self._process = self._transport.start([*self._transport.python, "-u", agent])
        try:
            return self._opened()
        except BaseException:
            self.close()
            raise

    def _opened(self) -> Mapping[str, str]:
        """Raises TargetFailed where Python, or the runtime, is not there."""
        hint = f"see python = {list(self._transport.python)} under [ssh] in the device's profile"
        try:
            answer = self._ask(self._opening, OPENED, OPEN_S)
        except (AgentEnded, NoReply) as error:
            if self._transport.is_here:
                raise
            raise TargetFailed(
                f"no Python on the device that runs our agent (3.6 or newer): {error}; {hint}"
            ) from error
        except TargetFailed as error:
            if self._transport.is_here or not re.search("ModuleNotFound|ImportError", str(error)):
                raise
            raise TargetFailed(f"{error}; install it for the device's Python, or {hint}") from error
        self.meter: Meter | None = answer.meter
        self.no_meter = answer.no_meter
        return read_facts(self._transport) | answer.environment

    def _start_again(self) -> None:
        """Raises DeviceError where the device is not what it was."""
        self._ids.clear()
        self._run_ns.clear()
        found = self._start()
        for name in sorted(self._found.keys() | found.keys()):
            before, now = self._found.get(name), found.get(name)
            if now != before:
                raise DeviceError(f"the device came back with {name} = {now}, and it was {before}")
        self._lost = False

    def _persist(self, once: Callable[[], Result]) -> Result:
        """A question to the agent; where that is lost on the way, to a new one."""
        while True:
            try:
                if self._lost:
                    self._start_again()
                result = once()
            except (TargetLost, TargetStalled) as error:
                self._losses += 1
                most = MOST_STALLS if isinstance(error, TargetStalled) else MOST_RESTARTS
                if self._transport.is_here or self._losses > most:
                    raise
                logging.getLogger(__name__).warning("harness: %s; starting it again", error)
                self._lost = True
                self.close()
            else:
                self._losses = 0
                return result

    def _loaded(self, workload: Workload) -> int:
        """Its number in the agent, which loads it where it has not yet, or not any more."""
        if workload not in self._ids:
            self._make_room(workload)
            number = next(self._counter)
            request = {
                "op": "load",
                "id": number,
                "batch": self._options.batch,
                "seed": seed_of(workload),
                "warm": workload not in self._run_ns,
            }
            answer = self._ask(request | self._specify(workload), LOADED, LOAD_S, workload)
            self._ids[workload] = number
            self._run_ns.setdefault(workload, answer.run_ns)
            self._answers.setdefault(workload, answer)
        else:
            self._ids[workload] = self._ids.pop(workload)  # it was used last
        return self._ids[workload]

    def _make_room(self, workload: Workload) -> None:
        """Unload those that were used the longest ago."""
        room = self._most_loaded - _params(workload) - sum(map(_params, self._ids))
        for oldest in list(self._ids):
            if room >= 0:
                return
            room += _params(oldest)
            self._ask({"op": "unload", "id": self._ids.pop(oldest)}, OBJECT)

    def _ask_about(
        self,
        workload: Workload | None,
        request: dict[str, Any],
        reply: TypeAdapter[Reply],
        runs: int,
        more_s: float = 0.0,
    ) -> Reply:
        """An answer for which it has to run a workload, and to do what takes `more_s`."""

        def once() -> Reply:
            if workload is None:
                return self._ask(request | {"id": None}, reply, more_s)
            number = self._loaded(workload)
            runs_s = PATIENCE * runs * self._run_ns[workload] / 1e9
            return self._ask(request | {"id": number}, reply, more_s + runs_s, workload)

        return self._persist(once)

    def _ask(
        self,
        request: dict[str, Any],
        reply: TypeAdapter[Reply],
        more_s: float = 0.0,
        workload: Workload | None = None,
    ) -> Reply:
        about = "" if workload is None else named(workload)
        return ask(self._process, request, reply, ANSWER_TIMEOUT_S + more_s, about)
