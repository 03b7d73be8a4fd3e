"""torch on an NVIDIA GPU, through the agent. Skipped where there is none: never run so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.device.conditions import Limits
from harness.device.energy import EnergySession
from harness.measuring.campaign import Work, run_campaign
from harness.measuring.plan import Plan, block_entries, calibration_entries
from harness.runtimes import torch as runtime
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import ResidentSession
from harness.runtimes.torch import TorchOptions
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.transports.local import LocalTransport

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")

EAGER = TorchOptions(device="cuda")
WAYS = {
    "eager": EAGER,
    "graphs": EAGER.model_copy(update={"cuda_graphs": True}),
    "float16": EAGER.model_copy(update={"autocast": "float16"}),
    "channels last": EAGER.model_copy(update={"memory_format": "channels_last"}),
    "all": TorchOptions(
        device="cuda", memory_format="channels_last", autocast="bfloat16", cuda_graphs=True
    ),
}
NETWORK = DIGITS.blocks(decode(DIGITS, sample(DIGITS, 1, np.random.default_rng(3))[0]))


@contextmanager
def opened(options: TorchOptions, batch: int = 1) -> Iterator[ResidentSession]:
    session = runtime.open_session(LocalTransport(), RuntimeOptions(batch=batch, own=options))
    assert isinstance(session, ResidentSession)
    try:
        yield session
    finally:
        session.close()


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("way", WAYS)
def test_the_gpus_own_clock_is_read_beside_the_wall(way: str, batch: int) -> None:
    with opened(WAYS[way], batch) as session:
        samples = session.visit(NETWORK, 20)
        assert samples.values.keys() == {"wall", "device"}
        device, wall = (np.array(samples.values[clock]) for clock in ("device", "wall"))
        assert (device > 0).all()
        assert np.median(device) <= np.median(wall)
        assert session.environment["gpu"] == torch.cuda.get_device_name()


@pytest.mark.parametrize("way", WAYS)
def test_outputs_are_those_of_the_cpu(way: str) -> None:
    size = NETWORK[0].height
    images = np.random.default_rng(5).normal(size=(5, 1, size, size)).astype(np.float32)
    with opened(WAYS[way], 4) as session:
        on_gpu = session.infer(NETWORK, images)
    with opened(TorchOptions(), 4) as session:
        on_cpu = session.infer(NETWORK, images)
    tolerance = 1e-4 if WAYS[way].autocast == "off" else 0.05
    assert on_gpu == pytest.approx(on_cpu, abs=tolerance * float(np.abs(on_cpu).max()))


def test_graphs_take_the_launching_away() -> None:
    fastest = {}
    for way in ("eager", "graphs"):
        with opened(WAYS[way]) as session:
            fastest[way] = min(session.visit(NETWORK, 50).values["device"])
    assert fastest["graphs"] < fastest["eager"]


def test_operators_are_told() -> None:
    with opened(EAGER) as session:
        ops = session.profile_ops(NETWORK)
    assert any("conv" in each.op for each in ops)
    assert sum(each.mean_ms for each in ops) > 0


def test_a_campaign_on_the_gpu_is_read_from_its_clock(tmp_path: Path) -> None:
    entries = [*calibration_entries(DIGITS, 3), *block_entries(DIGITS.distinct_blocks()[:3])]
    plan = Plan(min_visits=3, max_visits=3, runs=5, interval=0.5, duration_s=0.0, anchors=3)
    with opened(EAGER) as session:
        path = lambda name: tmp_path / f"{name}.jsonl"  # noqa: E731
        work = Work({"runtime": "torch"}, "device", Limits(), entries, plan, path)
        records = run_campaign(session, work).records
    assert {record.clock for record in records} == {"wall", "device"}


def test_energy_is_read_from_the_gpus_counter() -> None:
    with opened(EAGER) as session:
        if session.meter is None:
            pytest.skip(f"no counter: {session.no_meter}")
        metered = EnergySession(session)
        values = metered.visit(NETWORK, 1).values
        assert 0 < values["net"][0] < values["gross"][0]
        assert metered.conditions()["idle_power_w"]
