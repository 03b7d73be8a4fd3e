"""Ethos-U NPUs through Arm's own compiler."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from harness.device.device import Device
from harness.errors import ConversionFailed, ProfileError
from harness.memory.needs import head_bytes
from harness.runtimes.conversion.vela import VelaConverter
from harness.runtimes.session import SimulatedSession
from harness.runtimes.tflite_micro import arena_of_file, has_micro
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS

pytest.importorskip("ethosu", reason="vela is not installed: pip install '.[npu]'")

DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "tinyml"
U55 = VelaConverter("ethos-u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram")
NETWORK = DIGITS.blocks(Arch(12, (1,) * 3, (3,) * 9, (3,) * 9))


def test_a_network_is_compiled_whole_and_its_parts_sum_up_to_about_as_much(tmp_path: Path) -> None:
    device = Device.find("ethos-u55-128", tmp_path)
    with device.open() as session:
        assert isinstance(session, SimulatedSession)
        session.prepare([NETWORK, *((block,) for block in set(NETWORK))])
        parts = sum(session.latency_ns((block,)) for block in NETWORK)
        whole = session.latency_ns(NETWORK)
        assert 0.5 < whole / parts < 1.5
        began_ns, visited = time.time_ns(), session.visit(NETWORK, 2)
        assert visited.values["device"] == (whole, whole)
        assert visited.at_ns >= began_ns
        assert session.infeasible(NETWORK) == {}
        if has_micro():
            assert session.infers_on.endswith("in tflite-micro")
            images = np.random.default_rng(0).normal(size=(3, 1, 12, 12)).astype(np.float32)
            assert np.ptp(session.infer(NETWORK, images), axis=0).max() > 0
            assert arena_of_file(U55.model_file(NETWORK)).head == head_bytes(NETWORK)
        identity = device.identity(session)
    assert identity["vela"]["accelerator"] == "ethos-u55-128"
    assert (identity["clock"], identity["precision"]) == ("device", "int8")
    assert "never measured" in str(device.profile.evidence)
    estimate = U55.estimate(NETWORK)
    assert estimate.latency_ns == whole
    assert 0 < estimate.sram_bytes < 64 * 1024
    assert estimate.flash_bytes > sum(block.params for block in NETWORK) / 2


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "junk.tflite").write_bytes(b"TFL3" * 50)
    with pytest.raises(ConversionFailed, match=r"vela cannot compile junk"):
        U55.compiled(tmp_path / "junk.tflite", "junk")


def test_a_folder_of_that_name_where_the_user_is_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ethosu").mkdir()
    (tmp_path / "ethosu/__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "junk.tflite").write_bytes(b"TFL3" * 50)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConversionFailed):
        U55.compiled(Path("junk.tflite"), "junk")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ('accelerator = "ethos-u55-100"', "vela.accelerator"),
        ('system_config = "a b"', "vela.system_config"),
        ('memory = "x"', "did you mean 'memory_mode'"),
    ],
)
def test_a_wrong_profile_names_the_key(tmp_path: Path, key: str, told: str) -> None:
    (tmp_path / "devices").mkdir()
    text = f'title = "x"\nextends = "ethos-u55-128"\n[vela]\n{key}\n'
    (tmp_path / "devices/mine.toml").write_text(text)
    with pytest.raises(ProfileError, match=told):
        Device.find("mine", tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set HARNESS_DATA")
def test_reference_tinyml_models_compile_on_every_npu(tmp_path: Path) -> None:
    models = sorted(DATA.glob("*.tflite"))
    assert models
    for name in ("ethos-u55-128", "ethos-u65-256", "ethos-u85-256"):
        own = Device.find(name, tmp_path).profile.runtime_settings.model_dump()
        converter = VelaConverter(**own)
        estimates = [converter.compiled(model, model.name) for model in models]
        assert all(each.latency_ns > 0 and each.sram_bytes > 0 for each in estimates)
