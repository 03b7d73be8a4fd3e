"""The fake phone against the hosts it is made for: Google's adb client and the direct one."""

import io
import os
import random
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.real.fake_adbd import (
    LEGACY_MAXDATA,
    LEGACY_VERSION,
    TMP,
    VERSION,
    Behaviour,
    FakePhone,
    Fault,
)
from tests.real.real_adbd import unpacked

adb_device = pytest.importorskip("adb_shell.adb_device")
exceptions = pytest.importorskip("adb_shell.exceptions")
keygen = pytest.importorskip("adb_shell.auth.keygen")
sign_cryptography = pytest.importorskip("adb_shell.auth.sign_cryptography")
sign_pythonrsa = pytest.importorskip("adb_shell.auth.sign_pythonrsa")

MIB = 1 << 20
CNXN = int.from_bytes(b"CNXN", "little")
LEGACY = Behaviour(version=LEGACY_VERSION, maxdata=LEGACY_MAXDATA, features=("cmd",))


def random_bytes(size: int) -> bytes:
    return random.Random(5).randbytes(size)


@dataclass(frozen=True)
class GooglesAdb:
    """Google's client with a server, a port and keys of its own; not the one beside us.

    Versions differ in the stream that they complain on: exit status and both of them count.
    """

    command: list[str]
    environment: dict[str, str]
    public_key: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.command, *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def connect(self, phone: FakePhone) -> Callable[..., subprocess.CompletedProcess[str]]:
        serial = f"127.0.0.1:{phone.port}"
        assert "connected to" in self.run("connect", serial).stdout
        return lambda *arguments: self.run("-s", serial, *arguments)

    def state(self, phone: FakePhone) -> str:
        lines = self.run("devices").stdout.splitlines()
        states = dict(line.split("\t") for line in lines if "\t" in line)
        return states.get(f"127.0.0.1:{phone.port}", "absent")


def said_by(ended: subprocess.CompletedProcess[str]) -> str:
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GooglesAdb]:
    home = tmp_path_factory.mktemp("home")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "TERM": "xterm",
        "HOME": str(home),
        "ANDROID_ADB_SERVER_PORT": str(port),
        "ADB_USB": "0",
        "ADB_MDNS": "0",
        "ADB_LOCAL_TRANSPORT_MAX_PORT": "5554",  # it looks for no emulator or daemon of others
    }
    adb = unpacked("adb")
    log = home / "server.log"
    with log.open("wb") as output:
        command = [*adb, "nodaemon", "server"]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_for(lambda: listens(port), log.read_text)
        yield GooglesAdb(adb, environment, home / ".android" / "adbkey.pub")
    finally:
        server.kill()
        server.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], story: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, story()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "adbkey"
    keygen.keygen(str(path))
    return path


def direct(phone: FakePhone, timeout_s: float = 10) -> Any:  # the library has no types
    return adb_device.AdbDeviceTcp("127.0.0.1", phone.port, default_transport_timeout_s=timeout_s)


def without_delay(device: Any) -> None:
    """The library sends header and data apart, which costs 40 ms a message otherwise."""
    connection = device._io_manager._transport._connection
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@pytest.fixture
def devices() -> Iterator[list[Any]]:
    """Direct connections, closed at the end, whatever happened to them."""
    opened: list[Any] = []
    yield opened
    for device in opened:
        device.close()


# Google's client


@pytest.mark.parametrize("behaviour", [Behaviour(), LEGACY], ids=["recent", "legacy"])
def test_googles_client_pushes_and_pulls_through_the_fake_phone(
    adb: GooglesAdb, tmp_path: Path, behaviour: Behaviour
) -> None:
    data = random_bytes(3 * MIB)
    (tmp_path / "sent").write_bytes(data)
    with FakePhone(tmp_path / "phone", behaviour) as phone:
        run = adb.connect(phone)
        pushed = run("push", str(tmp_path / "sent"), f"{TMP}/new/model.tflite")
        assert pushed.returncode == 0, pushed
        assert (phone.tmp / "new" / "model.tflite").read_bytes() == data
        pulled = run("pull", f"{TMP}/new/model.tflite", str(tmp_path / "got"))
        assert pulled.returncode == 0, pulled
        assert (tmp_path / "got").read_bytes() == data
        listed = run("ls", f"{TMP}/new")
        assert "model.tflite" in listed.stdout
        assert phone.violations == []


def test_googles_client_pulls_a_folder_from_the_fake_phone(adb: GooglesAdb, tmp_path: Path) -> None:
    with FakePhone(tmp_path / "phone") as phone:
        (phone.tmp / "results" / "deep").mkdir(parents=True)
        (phone.tmp / "results" / "deep" / "one.txt").write_text("one")
        pulled = adb.connect(phone)("pull", f"{TMP}/results", str(tmp_path / "got"))
        assert pulled.returncode == 0, pulled
        assert (tmp_path / "got" / "deep" / "one.txt").read_text() == "one"


def test_googles_client_gets_exit_status_and_stderr_from_the_fake_phone(
    adb: GooglesAdb, tmp_path: Path
) -> None:
    with FakePhone(tmp_path) as phone:
        ran = adb.connect(phone)("shell", "echo out; echo err >&2; exit 4")
        assert (ran.returncode, ran.stdout, ran.stderr) == (4, "out\n", "err\n")


def test_googles_client_gets_no_exit_status_from_a_fake_phone_without_shell_v2(
    adb: GooglesAdb, tmp_path: Path
) -> None:
    with FakePhone(tmp_path, LEGACY) as phone:
        ran = adb.connect(phone)("shell", "echo out; echo err >&2; exit 4")
        assert (ran.returncode, ran.stdout) == (0, "out\nerr\n")


def test_scripts_of_the_test_answer_on_the_fake_phone(adb: GooglesAdb, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "getprop"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho "value of $1"\n')
    script.chmod(0o755)
    with FakePhone(tmp_path / "phone", path_first=script.parent) as phone:
        (phone.tmp / "pushed").write_text("seen by the shell")
        run = adb.connect(phone)
        assert run("shell", "getprop ro.product.model").stdout == "value of ro.product.model\n"
        assert run("shell", f"cat {TMP}/pushed").stdout == "seen by the shell"
        assert "model:Fake_1" in adb.run("devices", "-l").stdout


def test_googles_client_shows_a_fake_phone_with_an_open_dialog_as_unauthorized(
    adb: GooglesAdb, tmp_path: Path
) -> None:
    with FakePhone(tmp_path, Behaviour(authentication="dialog")) as phone:
        adb.run("connect", f"127.0.0.1:{phone.port}")
        assert phone.dialog_shown.wait(5)
        wait_for(lambda: adb.state(phone) == "unauthorized")


def test_googles_client_is_let_in_when_the_user_of_the_fake_phone_accepts(
    adb: GooglesAdb, tmp_path: Path
) -> None:
    behaviour = Behaviour(authentication="accepted", accept_after_s=0.2)
    with FakePhone(tmp_path, behaviour) as phone:
        adb.run("connect", f"127.0.0.1:{phone.port}")
        wait_for(lambda: adb.state(phone) == "device")
        assert phone.dialog_shown.is_set()


def test_googles_client_with_a_known_key_needs_no_dialog_on_the_fake_phone(
    adb: GooglesAdb, tmp_path: Path
) -> None:
    keys = (adb.public_key.read_bytes(),)
    behaviour = Behaviour(authentication="dialog", accepted_keys=keys)
    with FakePhone(tmp_path, behaviour) as phone:
        assert adb.connect(phone)("shell", "echo in").stdout == "in\n"
        assert not phone.dialog_shown.is_set()


@pytest.mark.parametrize("said", ["at_once", "after_done"])
def test_googles_client_says_that_the_disk_of_the_fake_phone_is_full(
    adb: GooglesAdb, tmp_path: Path, said: Any
) -> None:
    (tmp_path / "sent").write_bytes(bytes(MIB))
    behaviour = Behaviour(disk_space=MIB // 2, failure_said=said)
    with FakePhone(tmp_path / "phone", behaviour) as phone:
        pushed = adb.connect(phone)("push", str(tmp_path / "sent"), f"{TMP}/model")
        assert pushed.returncode != 0
        assert "No space left on device" in said_by(pushed)
        assert list(phone.tmp.iterdir()) == []


def test_the_fake_phone_refuses_files_outside_of_its_scratch_folder(
    adb: GooglesAdb, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(b"x")
    with FakePhone(tmp_path / "phone") as phone:
        pushed = adb.connect(phone)("push", str(tmp_path / "sent"), f"{TMP}/../../../escaped")
        assert pushed.returncode != 0
        assert "Permission denied" in said_by(pushed)


# The direct client


@pytest.mark.parametrize("signer", ["cryptography", "rsa"])
def test_the_direct_client_works_through_the_fake_phone_with_authentication(
    tmp_path: Path, key: Path, devices: list[Any], signer: str
) -> None:
    if signer == "cryptography":
        keys = [sign_cryptography.CryptographySigner(str(key))]
    else:
        keys = [sign_pythonrsa.PythonRSASigner.FromRSAKeyPath(str(key))]
    data = random_bytes(3 * MIB)
    # Small packets, since the library's own transport does not notice a short send.
    behaviour = Behaviour(authentication="accepted", maxdata=MIB // 8)
    with FakePhone(tmp_path, behaviour) as phone:
        devices.append(device := direct(phone))
        assert device.connect(rsa_keys=keys)
        assert phone.dialog_shown.is_set()
        assert device.shell("echo out; echo err >&2") == "out\nerr\n"
        device.push(io.BytesIO(data), f"{TMP}/model", mtime=1_000_000_000)
        device.pull(f"{TMP}/model", got := io.BytesIO())
        assert got.getvalue() == data
        assert device.stat(f"{TMP}/model") == (0o100777, len(data), 1_000_000_000)
        assert [bytes(file.filename) for file in device.list(TMP)] == [b"model"]
        phone.dialog_shown.clear()
        assert device.connect(rsa_keys=keys)
        assert not phone.dialog_shown.is_set()
        assert phone.violations == []


def test_the_direct_client_works_through_a_legacy_fake_phone(
    tmp_path: Path, devices: list[Any]
) -> None:
    data = random_bytes(40_000)
    with FakePhone(tmp_path, LEGACY) as phone:
        devices.append(device := direct(phone))
        device.connect()
        without_delay(device)
        device.push(io.BytesIO(data), f"{TMP}/model")
        device.pull(f"{TMP}/model", got := io.BytesIO())
        assert got.getvalue() == data
        assert max(message.size for message in phone.messages + phone.answers) == LEGACY_MAXDATA


def test_the_shell_of_the_fake_phone_is_binary_safe_in_both_directions(
    tmp_path: Path, devices: list[Any]
) -> None:
    data = random_bytes(200_000)
    with FakePhone(tmp_path) as phone:
        devices.append(device := direct(phone))
        device.connect()
        stream = device._open(b"shell,v2,raw:cat; exit 4", None, 10, None)
        stdin = struct.pack("<BI", 0, len(data)) + data + struct.pack("<BI", 4, 0)
        message = adb_device.AdbMessage(b"WRTE", stream.local_id, stream.remote_id, stdin)
        device._io_manager.send(message, stream)
        output = frames(b"".join(device._read_until_close(stream)))
        assert output == {1: data, 3: b"\4"}


def frames(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data:
        kind, size = struct.unpack("<BI", data[:5])
        found[kind] = found.get(kind, b"") + data[5 : 5 + size]
        data = data[5 + size :]
    return found


# Misbehaviour


def raw_host(phone: FakePhone) -> socket.socket:
    return socket.create_connection(("127.0.0.1", phone.port), timeout=10)


def pushed(phone: FakePhone, timeout_s: float = 10) -> None:
    """A push over a connection of its own, by the direct client."""
    device = direct(phone, timeout_s)
    try:
        device.connect(read_timeout_s=timeout_s)
        without_delay(device)
        device.push(io.BytesIO(bytes(10_000)), f"{TMP}/model", read_timeout_s=timeout_s)
    finally:
        device.close()


def test_the_fake_phone_loses_its_link_at_each_message_of_a_push(tmp_path: Path) -> None:
    small = Behaviour(maxdata=8192)
    with FakePhone(tmp_path / "healthy", small) as phone:
        pushed(phone)
    commands = [message.command for message in phone.messages]
    assert commands == ["CNXN", "OPEN", "WRTE", "WRTE", "OKAY", "CLSE"]
    for at in range(1, len(commands) + 1):
        behaviour = replace(small, fault=Fault("reset", at))
        with FakePhone(tmp_path / str(at), behaviour) as phone:
            with pytest.raises(ConnectionError):
                pushed(phone)
            assert phone.fault_happened.is_set()
            pushed(phone)
            assert (phone.tmp / "model").read_bytes() == bytes(10_000)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("close", exceptions.AdbTimeoutError), ("stall", exceptions.TcpTimeoutException)],
)
def test_the_fake_phone_closes_its_link_or_falls_silent(
    tmp_path: Path, kind: Any, error: type[Exception]
) -> None:
    fault = Fault(kind, command="OKAY", service="sync:")
    with FakePhone(tmp_path, Behaviour(fault=fault)) as phone:
        with pytest.raises(error):
            pushed(phone, timeout_s=0.5)
        assert phone.fault_happened.is_set()
        pushed(phone)


def test_a_fault_of_the_fake_phone_can_be_counted_in_one_kind_of_stream_and_stay(
    tmp_path: Path, devices: list[Any]
) -> None:
    fault = Fault("reset", 2, command="WRTE", service="sync:", every_connection=True)
    with FakePhone(tmp_path, Behaviour(maxdata=8192, fault=fault)) as phone:
        devices.append(device := direct(phone))
        for _ in range(2):
            device.connect()
            assert device.shell("echo alive") == "alive\n"
            with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
                device.push(io.BytesIO(bytes(10_000)), f"{TMP}/model")
        assert phone.connections == 2
        wait_for(lambda: list(phone.tmp.iterdir()) == [])


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("garbage", exceptions.InvalidCommandError),
        ("absurd_length", exceptions.TcpTimeoutException),
        ("bad_checksum", exceptions.InvalidChecksumError),
    ],
)
def test_the_direct_client_refuses_an_answer_that_the_fake_phone_spoiled(
    tmp_path: Path, kind: Any, error: type[Exception]
) -> None:
    fault = Fault(kind, command="WRTE", service="sync:")
    with FakePhone(tmp_path, Behaviour(fault=fault)) as phone, pytest.raises(error):
        pushed(phone, timeout_s=0.5)


def test_the_fake_phone_sends_bad_magic_which_no_client_complains_about(tmp_path: Path) -> None:
    with FakePhone(tmp_path, Behaviour(fault=Fault("bad_magic"))) as phone, raw_host(phone) as host:
        host.sendall(struct.pack("<6I", CNXN, LEGACY_VERSION, MIB, 0, 0, CNXN ^ 0xFFFFFFFF))
        command, *_, magic = struct.unpack("<6I", host.recv(24, socket.MSG_WAITALL))
        assert command == magic == CNXN


def test_the_fake_phone_can_refuse_all_services(adb: GooglesAdb, tmp_path: Path) -> None:
    with FakePhone(tmp_path, Behaviour(refuse_services=True)) as phone:
        ran = adb.connect(phone)("shell", "echo out")
        assert ran.returncode != 0
        assert "closed" in said_by(ran)


def test_the_fake_phone_drops_a_host_that_breaks_the_protocol(tmp_path: Path) -> None:
    with FakePhone(tmp_path) as phone, raw_host(phone) as host:
        host.sendall(struct.pack("<6I", CNXN, VERSION, MIB, 3, 7, CNXN ^ 0xFFFFFFFF) + b"abc")
        assert host.recv(1) == b""
        assert phone.violations == ["bad checksum in CNXN"]


@pytest.mark.parametrize(("kills", "survives"), [("group", False), ("shell", True)])
def test_a_link_that_is_cut_ends_the_command_on_the_fake_phone(
    tmp_path: Path, devices: list[Any], kills: Any, survives: bool
) -> None:
    with FakePhone(tmp_path, Behaviour(cut_shell_kills=kills)) as phone:
        devices.append(device := direct(phone))
        device.connect()
        device._open(
            f"shell,v2,raw:echo $$ > {TMP}/shell; sleep 60 & echo $! > {TMP}/child; wait".encode(),
            None,
            10,
            None,
        )
        shell, child = phone.tmp / "shell", phone.tmp / "child"
        wait_for(lambda: child.exists() and child.read_text().endswith("\n"))
        device.close()
        wait_for(lambda: not runs(shell))
        wait_for(lambda: runs(child) == survives)
    wait_for(lambda: not runs(child))


def runs(pid_file: Path) -> bool:
    try:
        state = Path("/proc", pid_file.read_text().strip(), "stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
