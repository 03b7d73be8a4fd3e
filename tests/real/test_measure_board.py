"""A latency table made through a real sshd, and campaigns on bad days."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from harness.device.device import Device
from harness.runtimes import onnxruntime, tensorrt
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.trtexec_flags import TensorrtOptions
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.transports.ssh import Address, SshTransport
from tests.real.conftest import write_board
from tests.real.real_sshd import RealSshd
from tests.real.small_space import SMALL
from tests.weights_beside import save_beside


def command(root: Path) -> list[str]:
    measure = [sys.executable, "-m", "harness", "measure", "--device", "loopback-board"]
    return [*measure, "--quick", "--space", "tests.real.small_space:SMALL", "--root", str(root)]


def visits(root: Path) -> int:
    """Lines of the journals that are not packed yet."""
    journals = (root / "runs" / "loopback-board.small").glob("*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in journals)


def when_visited(root: Path, count: int, action: Callable[[], object]) -> threading.Thread:
    """Do it when the campaign is that far."""

    def watch() -> None:
        end = time.monotonic() + 300
        while visits(root) < count and time.monotonic() < end:
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def check_table(root: Path) -> None:
    """One finished campaign with every block of the space."""
    header, *records = (root / "tables/loopback-board.small.jsonl").read_text().splitlines()
    (campaign,) = json.loads(header)["campaigns"].values()
    assert campaign["finished"]
    blocks = [json.loads(each) for each in records if json.loads(each)["role"] == "block"]
    assert {each["blocks"][0] for each in blocks} == {b.key for b in SMALL.distinct_blocks()}


def test_a_table_is_made_though_the_link_breaks(tmp_path: Path, own_board: RealSshd) -> None:
    write_board(tmp_path, own_board)
    broken: list[int] = []

    def cut() -> None:
        own_board.cut()
        broken.append(visits(tmp_path))

    def restart() -> None:
        own_board.stop()
        own_board.start()
        broken.append(visits(tmp_path))

    threads = [when_visited(tmp_path, 30, cut), when_visited(tmp_path, 120, restart)]
    ended = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    for thread in threads:
        thread.join()
    assert ended.returncode == 0, ended.stderr
    assert min(broken) >= 30  # while the journal was being written, not after its end
    check_table(tmp_path)


def test_a_killed_measurement_goes_on(tmp_path: Path, board: RealSshd) -> None:
    write_board(tmp_path, board)
    with subprocess.Popen(command(tmp_path), stdout=subprocess.DEVNULL) as killed:
        when_visited(tmp_path, 50, lambda: killed.send_signal(signal.SIGKILL)).join()
    assert killed.returncode == -signal.SIGKILL
    before = visits(tmp_path)
    assert before >= 50
    ended = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    check_table(tmp_path)


def test_blocks_take_as_long_through_ssh_as_directly(tmp_path: Path, board: RealSshd) -> None:
    """The same interpreter on the same core: what differs is the way there."""
    ofa = OFA_MBV3_W1_0.at((128, 160)).distinct_blocks()
    blocks = [*ofa[::40], *DIGITS.distinct_blocks()[::16]]
    chosen = [(block,) for block in sorted(blocks, key=lambda block: block.macs)]
    write_board(tmp_path, board)
    (tmp_path / "devices/here.toml").write_text(
        'title = "x"\ntransport = "local"\nruntime = "torch"\n[runtime_options]\ncpus = "one"\n'
    )
    times: dict[str, list[list[int]]] = {"board": [], "here": []}
    with (
        Device.find("loopback-board", tmp_path).open() as there,
        Device.find("here", tmp_path).open() as here,
    ):
        assert there.environment["processors"] == str([max(os.sched_getaffinity(0))])
        for _ in range(6):
            rows: dict[str, list[int]] = {"board": [], "here": []}
            for each in chosen:
                rows["board"].append(min(there.visit(each, 10).values["wall"]))
                rows["here"].append(min(here.visit(each, 10).values["wall"]))
            for name, row in rows.items():
                times[name].append(row)
    fastest = {name: np.min(rows_of, axis=0) for name, rows_of in times.items()}
    ratios = fastest["board"] / fastest["here"]
    assert 0.85 < np.median(ratios) < 1.15, ratios  # what is claimed comes from a benchmark
    assert spearmanr(fastest["board"], fastest["here"]).statistic > 0.9


WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)
IMAGES = np.array([[1, 2, 3, 4]], np.float32)


def test_weights_beside_a_model_are_sent_with_it(tmp_path: Path, board: RealSshd) -> None:
    """Of two models alike but for these, each has its own there."""
    with closing(SshTransport(Address(board.name, python=(sys.executable,)))) as link:
        for weights in (WEIGHTS, WEIGHTS + 1):
            model = save_beside(weights, tmp_path / "model.onnx", "in a folder/weights.bin")
            with closing(onnxruntime.open_session(link, RuntimeOptions())) as session:
                assert session.visit(model, 3).values["wall"]
                assert session.infer(model, IMAGES) == pytest.approx(IMAGES @ weights)
        there = board.home / ".cache/harness"
        sent = list(there.glob("*/in a folder/weights.bin"))
        assert sorted(path.read_bytes() for path in sent) == sorted(
            (WEIGHTS + more).tobytes() for more in (0, 1)
        )
        before = {path: path.stat().st_ctime_ns for path in there.rglob("*")}
        link.forget()
        with closing(onnxruntime.open_session(link, RuntimeOptions())) as session:
            assert session.visit(model, 3).values["wall"]
        assert {path: path.stat().st_ctime_ns for path in there.rglob("*")} == before


def test_weights_beside_a_model_are_sent_for_its_engine(
    tmp_path: Path, board: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = board.home / "trtexec"
    starter.write_text(
        f"#!/bin/sh\nexport BOARD_PYTHON={sys.executable}\n"
        f'exec {Path(__file__).with_name("trtexec")} "$@"\n'
    )
    starter.chmod(0o755)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    options = RuntimeOptions(own=TensorrtOptions(trtexec=str(starter)))
    with closing(SshTransport(Address(board.name))) as link:
        for weights in (WEIGHTS, WEIGHTS + 1):
            model = save_beside(weights, tmp_path / "model.onnx", "weights.bin")
            with closing(tensorrt.open_session(link, options)) as session:
                assert session.visit(model, 3).values["device"]
    engines = list((board.home / ".cache/harness/engines").glob("*.engine"))
    assert len(engines) == 2
    assert sum(WEIGHTS.tobytes() in engine.read_bytes() for engine in engines) == 1
