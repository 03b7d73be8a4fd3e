from pathlib import Path

import pytest

from harness.device.device import Device
from harness.device.profile import load_profile, profile_paths
from harness.errors import ProfileError

SIMULATED = """title = "Mine"
transport = "none"
runtime = "dpu"
[runtime_options]
precision = "int8"
"""
GOOD = 'title = "Mine"\ntransport = "local"\nruntime = "torch"\n'


def written(root: Path, text: str) -> Path:
    (root / "devices").mkdir(exist_ok=True)
    (root / "devices" / "mine.toml").write_text(text)
    return root


def test_every_shipped_profile_is_right(tmp_path: Path) -> None:
    names = set(profile_paths(tmp_path))
    assert {"cpu", "cpu-onnxruntime"} <= names
    for name in names:
        assert load_profile(name, tmp_path).title


def test_a_users_profile_hides_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "cpu.toml").write_text(GOOD)
    assert load_profile("cpu", tmp_path).title == "Mine"


def test_a_profile_that_extends_another_changes_only_what_it_names(tmp_path: Path) -> None:
    text = 'title = "Two threads"\nextends = "cpu-litert"\n[runtime_options]\nnum_threads = 2\n'
    mine = load_profile("mine", written(tmp_path, text))
    parent = load_profile("cpu-litert", tmp_path)
    assert mine.runtime == "litert"
    assert mine.runtime_options.num_threads == 2
    assert mine.runtime_options.cpus == parent.runtime_options.cpus == "one"


def test_a_misspelt_device_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="did you mean 'cpu-onnxruntime'"):
        load_profile("cpu-onnxruntim", tmp_path)


@pytest.mark.parametrize("name", ["../cpu", "", "a/b", "cpu; rm -rf x", "%s", "\x00"])
def test_names_that_are_no_names_are_unknown(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProfileError, match="no device called"):
        load_profile(name, tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD + "titel = 3\n", "unknown key 'titel'; did you mean 'title'"),
        (GOOD + "[runtime_options]\nthreads = 2\n", "did you mean 'num_threads'"),
        (GOOD + "[runtime_options]\nnum_threads = 0\n", r"runtime_options\.num_threads"),
        (GOOD + '[runtime_options]\ncpus = "3"\n', r"runtime_options\.cpus"),
        (
            GOOD.replace("torch", "tensorrt9"),
            "runtime: no runtime called 'tensorrt9'; did you mean 'tensorrt'",
        ),
        (GOOD + '[runtime_options]\nprecision = "int8"\n', "torch has no precision 'int8'"),
        (GOOD + "[conditions]\nmax_temperature = 4\n", "did you mean 'max_temperature_c'"),
        (GOOD.replace("local", "none"), "torch needs the transport local or ssh, not none"),
        (GOOD.replace("torch", "dpu"), "dpu needs the transport none, not local"),
        (SIMULATED.replace("int8", "float32"), "the runtime dpu has no precision 'float32'"),
        (SIMULATED + "batch = 2\n", "batch: has no effect on dpu"),
        (SIMULATED + "[conditions]\npause_s = 2\n", "transport = 'none' reaches nothing"),
        (SIMULATED + '[dpu]\narchitecture = "B9"\n', r"dpu\.architecture: Input should be 'B512'"),
        (SIMULATED + "[dpu]\nclock_mhz = 0\n", r"dpu\.clock_mhz"),
        (SIMULATED + "[dpu]\nddr_share = 1.1\n", r"dpu\.ddr_share"),
        (SIMULATED + "[dpu]\nvector_us = 1\n", "did you mean 'vector_ns'"),
        (GOOD + "[dpu]\nclock_mhz = 100\n", "dpu: is for runtime = 'dpu'"),
        ('title = "x"\nextends = "cpx"\n', "extends 'cpx', which is no device"),
        ('title = "x"\nextends = "mine"\n', "which extends it in turn"),
        ('title = "x"\n', "transport: "),
        ("title = \n", "mine.toml"),
        ("\x00", "mine.toml"),
    ],
)
def test_a_wrong_profile_names_the_file_and_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ProfileError, match=named) as raised:
        load_profile("mine", written(tmp_path, text))
    assert "mine.toml" in str(raised.value)


BOARD = 'title = "x"\ntransport = "ssh"\nruntime = "torch"\n[ssh]\nhost = "b"\n'
PHONE = 'title = "x"\ntransport = "adb"\nruntime = "benchmark_model"\n[match]\nmodel = "P"\n'


def test_a_phones_profile_takes_one_pattern_or_several(tmp_path: Path) -> None:
    assert load_profile("mine", written(tmp_path, PHONE)).match.model == ("P",)
    several = PHONE.replace('"P"', '["P", "Q*"]')
    assert load_profile("mine", written(tmp_path, several)).match.model == ("P", "Q*")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (PHONE.replace('[match]\nmodel = "P"\n', ""), "says which phone"),
        (PHONE.replace('"adb"', '"local"'), "benchmark_model needs the transport adb"),
        (PHONE.replace('"benchmark_model"', '"torch"'), "torch needs the transport local"),
        (PHONE + "[adb]\nserail = 'x'\n", "did you mean 'serial'"),
        (
            PHONE + "[benchmark_model]\nextra_args = ['; rm -rf /']\n",
            r"benchmark_model\.extra_args",
        ),
        (PHONE + "[benchmark_model]\ndelegate = 'npu'\n", r"benchmark_model\.delegate"),
        (PHONE + "[match]\nmodell = 'x'\n", "mine.toml"),
        (GOOD + "[runtime_options]\ncpus = 'big'\n", "big and little are for phones"),
        (GOOD + "[runtime_options]\ncpus = '0x0'\n", r"runtime_options\.cpus"),
        (GOOD + "[adb]\nserial = 'x'\n", "adb: is for transport = 'adb'"),
        (GOOD + "[match]\nsoc = 'x'\n", "match.soc: with local it is model, processor"),
        (PHONE + "gpu = 'x'\n", "match.gpu: with adb it is model, device"),
        (GOOD + "[ssh]\nhost = 'x'\n", "ssh: is for transport = 'ssh'"),
        (GOOD.replace('"local"', '"ssh"'), "ssh.host: says which board"),
        (BOARD.replace('"b"', '"-oProxyCommand=x"'), r"ssh\.host"),
        (BOARD.replace("host", "hots"), "did you mean 'host'"),
        (BOARD + "python = []\n", r"ssh\.python"),
        (
            GOOD.replace('"torch"', '"tensorrt"') + "[runtime_options]\ncpus = 'one'\n",
            "has no effect on tensorrt",
        ),
        (GOOD + "[tensorrt]\ncuda_graphs = true\n", "tensorrt: is for runtime = 'tensorrt'"),
        (GOOD + "[torch]\ncuda_graphs = true\n", "needs device = 'cuda'"),
        (GOOD + "[benchmark_model]\ndelegate = 'gpu'\n", "benchmark_model: is for runtime"),
        (PHONE + "[adb]\nserial = ['a', 'a']\n", "names a phone twice"),
        (PHONE + "[adb]\nserver = 'a'\n", "'a' is no address of an adb server"),
        (PHONE + "[adb]\nserver = 'a:1'\nbackend = 'direct'\n", "'direct' asks none"),
    ],
)
def test_a_wrong_phone_profile_names_the_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ProfileError, match=named):
        load_profile("mine", written(tmp_path, text))


@pytest.mark.parametrize("aliases", ["3", "'pixel'", "[[1]]"])
def test_aliases_that_are_none_do_no_harm_to_others(tmp_path: Path, aliases: str) -> None:
    root = written(tmp_path, f"aliases = {aliases}\n" + PHONE)
    assert Device.find("pixel", root).name == "pixel-1"
    with pytest.raises(ProfileError, match="no device called 'ixe'"):
        Device.find("ixe", root)


def test_an_alias_is_the_device_itself(tmp_path: Path) -> None:
    assert Device.find("pixel", tmp_path).name == "pixel-1"
    assert "pixel" not in profile_paths(tmp_path)


def test_the_phones_of_the_paper_are_there(tmp_path: Path) -> None:
    for name in ("galaxy-s7-edge", "galaxy-note8", "galaxy-note10", "pixel-1", "pixel-2", "lg-g8"):
        assert Device.find(name, tmp_path).profile.match.model
