"""Bad days of a link to a phone: each ends in time, in its own error, or is put right."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from harness.errors import (
    DeviceError,
    DeviceFull,
    DeviceNotFound,
    DeviceOffline,
    DeviceUnauthorized,
    TargetFailed,
    TargetLost,
    TargetStalled,
    UsageError,
)
from harness.transports import retries
from harness.transports.adb import backends, choice, direct, keys, transport
from harness.transports.adb.choice import Wanted
from harness.transports.adb.server import Server
from harness.transports.adb.transport import AdbTransport
from tests.real.fake_adbd import TMP, AnswerFault, Behaviour, FakePhone, Fault, LinkFault

PATIENT_S, IMPATIENT_S = 30.0, 0.0
SCRIPTS = Path(__file__).with_name("phone")
CONTENT = os.urandom(1_200_000)  # two packets


@pytest.fixture(autouse=True)
def _short_time_outs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second where the product waits for ten to sixty."""
    monkeypatch.setattr(direct, "CONNECT_TIMEOUT_S", 1.0)
    monkeypatch.setattr(transport, "ASK_TIMEOUT_S", 1.0)
    monkeypatch.setattr(choice, "ASK_TIMEOUT_S", 1.0)
    monkeypatch.setattr(transport, "FILE_IDLE_S", 1.0)
    monkeypatch.setattr(retries, "AGAIN_EVERY_S", 0.1)
    monkeypatch.setattr(backends, "DIALOG_S", 1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(CONTENT)
    return path


def fake(root: Path, **behaviour: object) -> FakePhone:
    (root / "phone").mkdir(exist_ok=True)
    return FakePhone(root / "phone", Behaviour(**behaviour), path_first=SCRIPTS)  # type: ignore[arg-type]


def serial(phone: FakePhone) -> str:
    return f"127.0.0.1:{phone.port}"


def opened(phone: FakePhone, wait_s: float = IMPATIENT_S, backend: str = "direct") -> AdbTransport:
    return AdbTransport(Wanted({}, serial(phone), backend), wait_s)


def pushed(phone: FakePhone, file: Path, wait_s: float) -> None:
    link = opened(phone, wait_s)
    try:
        remote = link.push(file)
        assert phone.path(str(remote)).read_bytes() == CONTENT
    finally:
        link.close()


def messages_of_a_push(tmp_path: Path, file: Path) -> int:
    with fake(tmp_path) as phone:
        pushed(phone, file, IMPATIENT_S)
        assert not phone.violations
        count = len(phone.messages)
    shutil.rmtree(tmp_path / "phone")
    return count


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_a_link_dropped_at_any_message_of_a_push_is_made_anew(
    tmp_path: Path, file: Path, kind: LinkFault
) -> None:
    total, struck = messages_of_a_push(tmp_path, file), 0
    for at in range(1, total + 1):
        with fake(tmp_path, fault=Fault(kind, at)) as phone:
            started = time.monotonic()
            try:
                pushed(phone, file, PATIENT_S)
            except DeviceError:  # the first connection is not repeated: nothing is known yet
                assert not any(each.service.startswith("sync:") for each in phone.messages)
            struck += phone.fault_happened.is_set()
            assert time.monotonic() - started < 20
        shutil.rmtree(tmp_path / "phone")
    assert struck >= total - 3  # how much fits into a message differs from push to push


@pytest.mark.parametrize("kind", ["close", "stall"])
def test_a_link_that_keeps_breaking_is_an_error_in_time(
    tmp_path: Path, file: Path, kind: LinkFault
) -> None:
    tried = range(1, messages_of_a_push(tmp_path, file) + 1, 2)
    failures = 0
    for at in tried:
        fault = Fault(kind, at, every_connection=True)
        with fake(tmp_path, fault=fault) as phone:
            started = time.monotonic()
            try:
                pushed(phone, file, 0.2)  # what arrives is whole, or
            except (TargetLost, TargetStalled, DeviceOffline):
                failures += 1
                arrived = [path.read_bytes() for path in phone.path(TMP).rglob("*.tflite")]
                assert arrived in ([], [CONTENT])
            assert time.monotonic() - started < 20
        shutil.rmtree(tmp_path / "phone")
    assert failures >= len(tried) - 3  # faults after the file was whole do no harm


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("garbage", 0x01000001),
        ("absurd_length", 0x01000001),
        ("bad_magic", 0x01000001),
        ("bad_checksum", 0x01000000),  # recent daemons and clients leave checksums out
    ],
)
def test_a_daemon_that_answers_garbage_is_an_error_in_time(
    tmp_path: Path, file: Path, kind: AnswerFault, version: int
) -> None:
    with fake(tmp_path) as phone:
        pushed(phone, file, IMPATIENT_S)
        answers = len(phone.answers)
    failures = 0
    for at in range(1, answers + 1):
        shutil.rmtree(tmp_path / "phone")
        fault = Fault(kind, at, every_connection=True)
        with fake(tmp_path, fault=fault, version=version) as phone:
            started = time.monotonic()
            try:
                pushed(phone, file, IMPATIENT_S)
            except (TargetLost, TargetStalled, DeviceOffline):
                failures += 1
            assert time.monotonic() - started < 20
    # messages without content have no checksum; faults after the file was whole do no harm
    assert failures >= (3 if kind == "bad_checksum" else answers // 2)


@pytest.mark.parametrize("maxdata", [4096, 1 << 20])
@pytest.mark.parametrize("version", [0x01000000, 0x01000001])
def test_old_daemons_are_spoken_to_as_they_want(
    tmp_path: Path, file: Path, version: int, maxdata: int
) -> None:
    with fake(tmp_path, version=version, maxdata=maxdata) as phone:
        pushed(phone, file, IMPATIENT_S)
        assert not phone.violations


def test_a_dialog_that_is_accepted_opens_the_phone(tmp_path: Path, file: Path) -> None:
    with fake(tmp_path, authentication="accepted", accept_after_s=0.3) as phone:
        pushed(phone, file, IMPATIENT_S)
        assert phone.dialog_shown.is_set()


@pytest.mark.parametrize("backend", ["direct", "server"])
def test_a_dialog_that_nobody_accepts_says_what_to_do(tmp_path: Path, backend: str) -> None:
    with fake(tmp_path, authentication="dialog") as phone:
        started = time.monotonic()
        with pytest.raises(DeviceUnauthorized, match="accept the dialog 'Allow USB debugging'"):
            opened(phone, backend=backend)
        assert time.monotonic() - started < 15


def test_a_key_that_the_phone_knows_needs_no_dialog(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ANDROID_USER_HOME", str(home))
    keys.make_key(home / "adbkey")
    public = (home / "adbkey.pub").read_bytes()
    with fake(tmp_path, authentication="dialog", accepted_keys=(public,)) as phone:
        pushed(phone, file, IMPATIENT_S)
        assert not phone.dialog_shown.is_set()


def test_our_key_can_be_read_by_its_owner_alone_and_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "adbkey"
    keys.make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    content = path.read_bytes()
    keys.make_key(path)
    assert path.read_bytes() == content
    assert sorted(each.name for each in path.parent.iterdir()) == ["adbkey", "adbkey.pub"]


@pytest.mark.parametrize("said", ["at_once", "after_done"])
def test_a_full_phone_says_so_and_nothing_half_is_left(
    tmp_path: Path, file: Path, said: str
) -> None:
    with fake(tmp_path, disk_space=1_000_000, failure_said=said) as phone:
        link = opened(phone, PATIENT_S)
        with pytest.raises(DeviceFull, match="free some space"):
            link.push(file)
        left = [path for path in phone.path(TMP).rglob("*") if path.is_file()]
        assert not left
        small = tmp_path / "small"
        small.write_bytes(b"fits")
        link.push(small)
        link.close()


def trickle(server: socket.socket, greeting: list[bytes], again: bytes) -> None:
    """A daemon that greets, then sends something now and then, whatever it is asked."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        for each in greeting:
            connection.sendall(each)
        connection.settimeout(0.1)
        for _ in range(100):
            with suppress(TimeoutError):
                if not connection.recv(1 << 16):
                    return
            connection.sendall(again)


def message(command: bytes, arg0: int, arg1: int, data: bytes = b"") -> bytes:
    (number,) = struct.unpack("<I", command)
    total = sum(data)
    return direct.MESSAGE.pack(command, arg0, arg1, len(data), total, number ^ 0xFFFFFFFF) + data


BANNER = message(b"CNXN", direct.VERSION, 1 << 20, b"device::features=shell_v2")


@pytest.mark.parametrize(
    ("greeting", "again"),
    [
        ([BANNER], message(b"OKAY", 77, 77)),  # of a stream that nobody has
        ([BANNER], b"\0"),  # a message that never ends
        ([], message(b"CLSE", 1, 1)),  # never a greeting
        ([message(b"AUTH", direct.TOKEN, 0, b"short")], b""),
        ([message(b"AUTH", 9, 0, bytes(20))], b""),
        ([message(b"STLS", 0, 0)], b""),
    ],
)
def test_a_daemon_that_keeps_talking_nonsense_is_an_error_in_time(
    greeting: list[bytes], again: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server, greeting, again), daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(DeviceError):
            AdbTransport(Wanted({}, f"127.0.0.1:{server.getsockname()[1]}", "direct"))
        assert time.monotonic() - started < 6
        thread.join()


def test_what_an_earlier_session_left_does_not_spoil_the_greeting() -> None:
    left = [message(b"CLSE", 5, 5), message(b"WRTE", 5, 5, b"old"), message(b"OKAY", 5, 5)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server, [*left, BANNER], b""), daemon=True)
        thread.start()
        wire = direct.TcpWire(f"127.0.0.1:{server.getsockname()[1]}")
        link = direct.DirectLink(wire, [], "x", 1.0)
        assert "shell_v2" in link.features
        link.close()
        thread.join()


def test_a_phone_that_is_still_starting_is_not_measured(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    properties = scripts / "properties"
    properties.write_text(properties.read_text().replace("boot_completed=1", "boot_completed="))
    (tmp_path / "phone").mkdir()
    with (
        FakePhone(tmp_path / "phone", Behaviour(), path_first=scripts) as phone,
        pytest.raises(DeviceOffline, match="still starting"),
    ):
        opened(phone)


def test_a_server_that_is_killed_again_and_again_only_costs_time(
    tmp_path: Path, file: Path
) -> None:
    import adbutils

    with fake(tmp_path) as phone:
        kill = [adbutils.adb_path(), "kill-server"]
        link = opened(phone, PATIENT_S, "server")
        for number in range(12):
            if number % 4 == 0:
                subprocess.run(kill, check=True, capture_output=True)
            assert link.run(["echo", "on"], idle_timeout_s=9, deadline_s=9).stdout == b"on\n"
        killer = threading.Timer(0.05, subprocess.run, [kill], {"capture_output": True})
        killer.start()
        for number in range(30):
            assert link.run(["echo", str(number)], idle_timeout_s=9, deadline_s=9).status == 0
        killer.join()
        remote = link.push(file)
        assert phone.path(str(remote)).read_bytes() == CONTENT
        link.close()


@pytest.mark.parametrize("stream", [1, 2])
def test_an_adb_that_cannot_start_its_server_is_quoted_whichever_stream_it_complains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: int
) -> None:
    adb = tmp_path / "adb"
    adb.write_text(f"#!/bin/sh\necho 'ADB server did not ACK' >&{stream}\nexit 1\n")
    adb.chmod(0o755)
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(adb))
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(taken.getsockname()[1]))
        with pytest.raises(DeviceOffline, match=r"start-server` ended with 1: ADB server did not"):
            backends.backend_named("server").attached()


def test_files_that_somebody_deleted_are_sent_again(tmp_path: Path, file: Path) -> None:
    with fake(tmp_path) as phone:
        link = opened(phone)
        remote = phone.path(str(link.push(file)))
        remote.unlink()
        link.forget()
        link.push(file)
        assert remote.read_bytes() == CONTENT
        link.close()


def test_room_is_checked_before_anything_is_sent(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake(tmp_path) as phone:
        link = opened(phone)
        link.check_room([file])
        link.push(file)
        huge = tmp_path / "huge"
        with huge.open("wb") as sparse:
            sparse.truncate(1 << 42)
        monkeypatch.setattr(transport, "name_by_content", lambda _local: "0" * 16)
        with pytest.raises(DeviceFull, match="have to be sent"):
            link.check_room([file, huge])
        link.close()


def test_a_phone_that_refuses_services_says_which(tmp_path: Path) -> None:
    with (
        fake(tmp_path, refuse_services=True) as phone,
        pytest.raises(TargetFailed, match="refuses the service 'shell"),
    ):
        opened(phone)


def test_a_phone_that_is_too_old_says_so(tmp_path: Path) -> None:
    with (
        fake(tmp_path, features=("cmd",)) as phone,
        pytest.raises(TargetFailed, match="Android 8 or newer"),
    ):
        opened(phone)


@pytest.mark.parametrize("backend", ["direct", "server"])
def test_nobody_at_the_address_is_said_in_time(backend: str) -> None:
    started = time.monotonic()
    with pytest.raises((DeviceOffline, DeviceNotFound)):
        AdbTransport(Wanted({}, "127.0.0.1:9", backend))
    assert time.monotonic() - started < 15


def test_another_phone_than_the_profile_names_is_refused(tmp_path: Path) -> None:
    with (
        fake(tmp_path) as phone,
        pytest.raises(DeviceNotFound, match=r"no attached phone is model Pixel 2.*Loopback"),
    ):
        AdbTransport(Wanted({"model": ("Pixel 2",)}, serial(phone), "direct"))


def test_a_server_that_the_profile_names_is_asked_and_never_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Server.at()
    own.start()
    named = f"127.0.0.1:{own.port}"
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", nobody.rpartition(":")[2])
        with fake(tmp_path) as phone:
            found = AdbTransport(Wanted({}, serial(phone), server=named))
            assert found.serial == serial(phone)
            found.close()
            with pytest.raises(DeviceOffline, match=rf"{nobody} does not answer: start it there"):
                AdbTransport(Wanted({}, serial(phone), server=nobody))
    assert not Server.at(nobody).runs()


@pytest.mark.parametrize("address", ["somewhere", "host:", ":5037", "host:0", "host:65536", "a:b"])
def test_what_is_no_address_of_a_server_is_said(address: str) -> None:
    with pytest.raises(UsageError, match="write HOST:PORT"):
        Server.at(address)


def test_several_phones_that_match_must_be_told_apart(tmp_path: Path) -> None:
    import adbutils

    adb = adbutils.AdbClient()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with fake(tmp_path / "a") as one, fake(tmp_path / "b") as two:
        for phone in (one, two):
            adb.connect(serial(phone), timeout=5)
        with pytest.raises(DeviceNotFound, match=r"[23] attached phones match.*ANDROID_SERIAL"):
            AdbTransport(Wanted({"model": ("Loop*",)}, None, "server"))
        chosen = AdbTransport(Wanted({"model": ("Loop*",)}, serial(two), "server"))
        assert chosen.serial == serial(two)
        for phone in (one, two):
            adb.disconnect(serial(phone))


def test_a_phone_that_comes_back_is_waited_for_and_the_user_told_once(
    tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with fake(tmp_path) as phone:
        port = phone.port
        link = opened(phone, PATIENT_S)
    back = FakePhone(tmp_path / "phone", Behaviour(), port=port, path_first=SCRIPTS)
    starter = subprocess.Popen(["sleep", "1"])

    def plug_in() -> None:
        starter.wait()
        back.__enter__()

    try:
        thread = threading.Thread(target=plug_in)
        thread.start()
        remote = link.push(file)
        thread.join()
        assert back.path(str(remote)).read_bytes() == CONTENT
        (told,) = {record.message for record in caplog.records}
        assert told.startswith(f"harness: no phone answers at {link.serial}")
        assert told.endswith("waiting up to 30 s for it")
    finally:
        link.close()
        back.__exit__()


@pytest.fixture
def far_away() -> Iterator[tuple[str, str]]:
    """A network namespace behind a veth pair with packets of 1500 bytes: its name, its address."""
    name, near, far = (f"harness{os.getpid()}", f"hn{os.getpid()}", f"hf{os.getpid()}")
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no network namespaces without root rights")
    commands = f"""
ip link add {near} mtu 1500 type veth peer name {far} mtu 1500
ip link set {far} netns {name}
ip address add 10.213.77.1/30 dev {near}
ip link set {near} up
ip -n {name} address add 10.213.77.2/30 dev {far}
ip -n {name} link set {far} up
ip -n {name} link set lo up
"""
    try:
        for command in commands.strip().splitlines():
            subprocess.run(command.split(), check=True)
        yield name, "10.213.77.2"
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)


def test_nothing_is_lost_on_a_real_link_that_takes_bytes_in_parts(
    tmp_path: Path, far_away: tuple[str, str]
) -> None:
    namespace, address = far_away
    code = (
        "import sys; from pathlib import Path; from tests.real.fake_adbd import FakePhone\n"
        "with FakePhone(Path(sys.argv[1]), host=sys.argv[2], path_first=Path(sys.argv[3])) as it:\n"
        "    print(it.port, flush=True); sys.stdin.read()\n"
    )
    (tmp_path / "phone").mkdir()
    arguments = [sys.executable, "-c", code, str(tmp_path / "phone"), address, str(SCRIPTS)]
    content = os.urandom(20 << 20)
    (tmp_path / "large").write_bytes(content)
    with subprocess.Popen(
        ["ip", "netns", "exec", namespace, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as far:
        assert far.stdout is not None
        port = int(far.stdout.readline())
        link = AdbTransport(Wanted({}, f"{address}:{port}", "direct"))
        link.pull(link.push(tmp_path / "large"), tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content
        link.close()
        far.communicate(timeout=10)
