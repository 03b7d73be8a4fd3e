"""Which board, and what is on it."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Address:
    """The section `[ssh]` of a profile."""

    host: str  # a Host of ~/.ssh/config, or [USER@]NAME
    port: int | None = None
    python: tuple[str, ...] = ("python3",)
    folder: str = ".cache/harness"  # of our files there; relative to the home folder
    wait_s: float = 0.0  # for a board that went away

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host} (port {self.port})"

    def command(self, program: str) -> str:
        """What a user types to have `ssh` or `ssh-copy-id` reach it."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return shlex.join([program, *port, self.host])
