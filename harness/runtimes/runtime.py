"""What a runtime says of itself: the house knows of it only this.

A new one is one file of this folder that defines `RUNTIME`, or a package of somebody else's with an
entry point `harness.runtimes`; `docs/adding-a-runtime.md` shows one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.registry import Registry
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Session
from harness.schema import Section

Clock = Literal["wall", "thread", "device"]


def wall_clock(_options: RuntimeOptions) -> Clock:
    return "wall"


def device_clock(_options: RuntimeOptions) -> Clock:
    return "device"


def thread_clock(options: RuntimeOptions) -> Clock:
    """CPU time of the one thread that everything runs in, without the time that other programs are
    given. Not for a runtime with a pool of threads of its own, whose work it would not see."""
    return "thread" if options.num_threads == 1 else "wall"


def nowhere(_options: RuntimeOptions) -> bool:
    return False


def no_steps(_options: RuntimeOptions) -> Iterator[tuple[str, str]]:
    return iter(())


def _nothing(_options: RuntimeOptions, _environment: Mapping[str, str]) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One way of executing networks on devices."""

    name: str
    open: Callable[[Any, RuntimeOptions], Session]
    """A session over a transport."""
    link: str
    """Which transports that is: those whose `link` is the same."""
    precisions: tuple[str, ...]
    file_suffixes: tuple[str, ...] = ()
    """Of users' model files that it takes, besides network files (.pt)."""
    clock: Callable[[RuntimeOptions], Clock] = wall_clock
    """Which of its clocks latencies are read from."""
    options: type[Section] = Section
    """What a profile may say under the runtime's name."""
    without_effect: tuple[str, ...] = ()
    """Keys of `[runtime_options]` that it ignores: a profile that sets them is refused."""
    knows_core_sizes: bool = False
    """Whether `cpus` may be "big" or "little"."""
    profiles_operators: bool = False
    profiles_nodes: bool = False  # each operator of a model file by its name, too
    """Whether its sessions have `profile_ops`."""
    on_gpu: Callable[[RuntimeOptions], bool] = nowhere
    """Whether networks run on an NVIDIA GPU."""
    evidence: Callable[[RuntimeOptions], str] | None = None
    """Of a simulation: what stands behind its numbers."""
    simulated_networks: int | None = None
    """Of a simulation: how many whole networks its tables are calibrated by."""
    identity: Callable[[RuntimeOptions, Mapping[str, str]], dict[str, Any]] = _nothing
    """What of its own settings and of the session's environment must be equal to compare times."""
    steps: Callable[[RuntimeOptions], Iterator[tuple[str, str]]] = no_steps
    """Of `harness devices check`, besides those of every device: what was looked at and found."""
    board_packages: tuple[str, ...] = ()
    """Python packages, one of which it needs on a board; none: no board is set up for it."""
    board_rank: int = 9
    """Which is taken where a board has several: the lowest. A GPU comes first."""

    @property
    def takes(self) -> str:
        """Model files that it runs, in words."""
        own = ", ".join(self.file_suffixes)
        return f"{own} and network files (.pt)" if own else "network files (.pt)"


RUNTIMES = Registry("harness.runtimes", "RUNTIME", Runtime)
