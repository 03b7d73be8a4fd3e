"""Users' model files get the sizes and values that were asked for on phones and boards, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.device.device import Device
from harness.errors import TargetFailed, UsageError
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.session import Session
from tests.real.conftest import STAND_IN, write_board, write_profile
from tests.real.real_adbd import RealAdbd
from tests.real.real_sshd import RealSshd
from tests.small_models import Words, loop, open_batch, tflite, two_graphs, words


@contextmanager
def session(root: Path, name: str, asked: Asked, runner: Path | None = None) -> Iterator[Session]:
    device = replace(Device.find(name, root), asked=asked, benchmark_model=runner)
    with device.open() as opened:
        yield opened


@contextmanager
def on_phone(
    root: Path, phone: RealAdbd, asked: Asked = NOTHING_ASKED, batch: int = 1, lacks: str = ""
) -> Iterator[Session]:
    """`lacks`: flags that this generation of the runner does not have."""
    write_profile(root, phone, "direct")
    with (root / "devices/loopback-phone.toml").open("a") as profile:
        profile.write(f"batch = {batch}\n")
    runner = root / "runner"
    runner.write_text(
        f'#!/bin/sh\nPHONE_RUNNER_LACKS="{lacks}" exec "$PHONE_PYTHON" - "$@" <<"END"\n'
        f"{STAND_IN.read_text()}\nEND\n"
    )
    with session(root, "loopback-phone", asked, runner) as opened:
        yield opened


def test_an_open_batch_on_a_phone_is_the_profiles(tmp_path: Path, phone: RealAdbd) -> None:
    model = open_batch(tmp_path / "images.tflite")
    times = []
    for batch in (1, 16):
        with on_phone(tmp_path, phone, batch=batch) as opened:
            times.append(opened.load(model))
    assert times[1] > 5 * times[0]
    with (
        on_phone(tmp_path, phone, batch=16, lacks="input_layer input_layer_shape") as opened,
        pytest.raises(TargetFailed, match=r"images\.tflite: .* too old: .* know --input_layer,"),
    ):
        opened.load(model)


def test_a_signature_is_chosen_on_a_phone(tmp_path: Path, phone: RealAdbd) -> None:
    model, times = two_graphs(tmp_path / "language.tflite"), []
    for name in ("decode", "prefill"):
        with on_phone(tmp_path, phone, Asked(signature=name)) as opened:
            times.append(opened.load(model))
    assert times[1] > 5 * times[0]
    with on_phone(tmp_path, phone) as opened, pytest.raises(UsageError, match="decode, prefill"):
        opened.load(model)
    chosen = Asked(signature="prefill")
    with (
        on_phone(tmp_path, phone, chosen, lacks="signature_to_run_for") as opened,
        pytest.raises(TargetFailed, match=r"too old: it does not know --signature_to_run_for"),
    ):
        opened.load(model)


def test_indices_on_a_phone_are_within_their_rows(tmp_path: Path, phone: RealAdbd) -> None:
    """The runner itself would draw them from 0 to 99, of which fifty are not there."""
    example = (torch.zeros(1, 64, dtype=torch.int32), torch.zeros(1, 64, dtype=torch.int32))
    model = tflite(tmp_path / "words.tflite", ("serving_default", Words(), example))
    with on_phone(tmp_path, phone) as opened:
        assert opened.load(model) > 0
    outside = Asked(values={"args_0": "77"})
    with on_phone(tmp_path, phone, outside) as opened, pytest.raises(TargetFailed):
        opened.load(model)


def test_values_reach_a_board(tmp_path: Path, board: RealSshd) -> None:
    write_board(tmp_path, board)
    profile = tmp_path / "devices/loopback-board.toml"
    profile.write_text(profile.read_text().replace('"torch"', '"onnxruntime"'))
    times, model = [], loop(tmp_path / "loop.onnx")
    for steps in ("1", "200"):
        with session(tmp_path, "loopback-board", Asked(values={"steps": steps})) as opened:
            times.append(opened.load(model))
    assert times[1] > 10 * times[0]
    chosen = Asked(dims={"sequence": 128})
    with session(tmp_path, "loopback-board", chosen) as opened:
        assert opened.visit(words(tmp_path / "words.onnx"), 5).values["wall"]
