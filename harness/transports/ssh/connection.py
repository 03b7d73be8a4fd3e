"""Connecting to a board as `ssh` would; what hinders it is an error with what to do about it."""

import shlex
import socket
from pathlib import Path
from typing import Any

import asyncssh

from harness.errors import DeviceError, DeviceNotFound, DeviceOffline, DeviceUnauthorized
from harness.transports.ssh.address import Address

CONNECT_TIMEOUT_S = 15.0
KEEPALIVE_S, KEEPALIVES = 4.0, 2  # unanswered ones: a frozen board is given up after 12 s
DEFAULT_PORT = 22
KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


async def connect(address: Address) -> asyncssh.SSHClientConnection:
    """A connection by ~/.ssh/config, keys and the agent; host keys are always checked.

    Raises:
        DeviceNotFound: no computer has that name.
        DeviceOffline: it does not answer.
        DeviceUnauthorized: it takes none of our keys, or its own is not known, or has changed.
        DeviceError: the user's configuration cannot be used.
    """
    user, _, host = address.host.rpartition("@")
    given: dict[str, Any] = {"username": user} if user else {}
    if address.port is not None:
        given["port"] = address.port
    host_keys = _HostKeys(address)
    try:
        options = await asyncssh.SSHClientConnectionOptions.construct(
            host=host,
            connect_timeout=CONNECT_TIMEOUT_S,
            keepalive_interval=KEEPALIVE_S,
            keepalive_count_max=KEEPALIVES,
            **given,
        )
        paths = [Path(each).expanduser() for each in options.known_hosts or KNOWN_HOSTS]
        # Never None, which asyncssh takes for "trust everybody".
        host_keys.known_hosts = [str(path) for path in paths if path.is_file()] or b""
        return await asyncssh.connect(
            host,
            options=options,
            client_factory=lambda: host_keys,
            known_hosts=host_keys.known_hosts,
            **given,
        )
    except (asyncssh.Error, OSError, ValueError) as error:
        raise (host_keys.refused or _explained(address, error)) from error


class _HostKeys(asyncssh.SSHClient):
    """Turns away boards whose key is not known, and keeps what to say about it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.known_hosts: list[str] | bytes = b""
        self.refused: DeviceUnauthorized | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        own_port = None if port == DEFAULT_PORT else port
        known, *_ = asyncssh.match_known_hosts(self.known_hosts, host, addr, own_port)
        name = host if own_port is None else f"[{host}]:{port}"
        if known:
            self.refused = DeviceUnauthorized(
                f"{self._address} shows another host key ({key.get_fingerprint()}) than the one "
                f"that is known: it was installed anew, or another computer answers there; if "
                f"that is right, forget the old key: {shlex.join(['ssh-keygen', '-R', name])}"
            )
        else:
            self.refused = DeviceUnauthorized(
                f"the host key of {self._address} is not known yet: {key.get_fingerprint()}; if "
                f"that is the board's, accept it once by hand: {self._address.command('ssh')}"
            )
        return False


def _explained(address: Address, error: Exception) -> DeviceError:
    """Our own error for what kept us from a board."""
    text = str(error) or type(error).__name__
    if isinstance(error, asyncssh.PermissionDenied):
        return DeviceUnauthorized(
            f"{address} takes none of our keys; give it one: {address.command('ssh-copy-id')}"
        )
    if isinstance(error, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return DeviceUnauthorized(f"a key for {address} cannot be used: {text}; try ssh-add")
    if isinstance(error, asyncssh.HostKeyNotVerifiable):  # of a computer on the way
        return DeviceUnauthorized(f"{text}; accept it by hand: {address.command('ssh')}")
    if isinstance(error, socket.gaierror):
        return DeviceNotFound(
            f"no computer is called {address}: {error.strerror}; see host under [ssh] in the "
            "profile, and ~/.ssh/config"
        )
    if isinstance(error, TimeoutError):
        text = f"nothing within {CONNECT_TIMEOUT_S:g} s"
    if isinstance(error, asyncssh.Error | OSError):
        return DeviceOffline(f"{address} does not answer: {text}; is it on, with an SSH server?")
    return DeviceError(f"cannot connect to {address}: {text}; see ~/.ssh/config")
