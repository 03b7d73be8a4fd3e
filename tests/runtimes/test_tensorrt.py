"""TensorRT through trtexec, by a stand-in that runs networks in onnxruntime on this computer."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.device.conditions import Fastest, Limits, doubts_between
from harness.device.device import Device
from harness.errors import DeviceError, DeviceFull, FileFormatError, TargetFailed, UsageError
from harness.pipeline.table_session import load_or_start
from harness.runtimes import tensorrt, trtexec_scripts
from harness.runtimes.conversion.cache import keep
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.model_inputs.asked import Asked
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.tensorrt import TensorrtSession
from harness.runtimes.trtexec_flags import TensorrtOptions
from harness.runtimes.trtexec_gpu import (
    WATCH,
    Watched,
    gpu_conditions,
    other_processes,
    parse_watched,
)
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.tables.table import Table
from harness.transports.local import LocalTransport
from tests.small_models import words

STAND_IN = Path(__file__).parents[1] / "real" / "trtexec"
ARCH = Arch(16, (2, 1, 2), (5, 7, 0, 3, 0, 0, 5, 3, 0), (4, 3, 0, 6, 0, 0, 4, 6, 0))
BLOCKS = DIGITS.blocks(ARCH)
FIRST, SECOND = BLOCKS[:1], BLOCKS[1:2]
OWN = TensorrtOptions(trtexec=str(STAND_IN))
OPTIONS = RuntimeOptions(own=OWN)


def with_options(**changes: Any) -> RuntimeOptions:
    return RuntimeOptions(own=OWN.model_copy(update=changes))


@pytest.fixture(autouse=True)
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board of its own; the file that tells what its trtexec was asked."""
    asked = tmp_path / "asked"
    monkeypatch.setenv("BOARD_PYTHON", sys.executable)
    monkeypatch.setenv("BOARD_TRTEXEC_LOG", str(asked))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache with 'quotes' and $HOME"))
    return asked


@pytest.fixture
def session() -> Iterator[TensorrtSession]:
    with closing(opened(OPTIONS)) as session:
        yield session


def opened(options: RuntimeOptions) -> TensorrtSession:
    return tensorrt.open_session(LocalTransport(), options)


def asked_for(board: Path, flag: str) -> list[list[str]]:
    """The invocations with a flag."""
    lines = [json.loads(line) for line in board.read_text().splitlines()]
    return [line for line in lines if any(each.startswith(flag) for each in line)]


def engines(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("cache*/engines/*"))


def open_model(path: Path, **sizes: int | str) -> Path:
    """A model that adds its inputs up; an input whose batch is open, with `sizes` behind it."""
    shape: list[str | int | None] = ["batch", *sizes.values()]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    taken = helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)
    node = helper.make_node("Add", ["images", "images"], ["sum"])
    graph = helper.make_graph([node], "doubling", [given], [taken])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def test_a_visit_gives_the_time_of_every_run(session: TensorrtSession, board: Path) -> None:
    samples = session.visit(FIRST, 25)
    assert {clock: len(times) for clock, times in samples.values.items()} == {
        "wall": 25,
        "device": 25,
    }
    assert all(1_000 < ns < 1_000_000_000 for times in samples.values.values() for ns in times)
    assert session.visit_cost_ns > 200_000_000  # it has warmed up, at least
    (run,) = asked_for(board, "--loadEngine")
    assert {"--iterations=25", "--duration=0", "--noDataTransfers", "--useSpinWait"} <= set(run)
    assert not {"--useCudaGraph", "--fp16"} & set(run)


def test_an_engine_is_built_once_and_found_again(board: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with closing(opened(OPTIONS)) as session:
            session.prepare([FIRST, SECOND])
            session.visit(FIRST, 3)
            assert session.load(FIRST) > 0
    assert len(asked_for(board, "--onnx")) == len(engines(tmp_path)) == 2
    assert {path.suffix for path in engines(tmp_path)} == {".engine"}
    (built, _) = asked_for(board, "--onnx")
    assert {"--noTF32", "--skipInference"} <= set(built)


@pytest.mark.parametrize(
    ("options", "version", "flag"),
    [
        (OPTIONS.model_copy(update={"precision": "float16"}), "8601", "--fp16"),
        (
            with_options(extra_args=("--avgRuns=2",)),
            "8601",
            "--avgRuns=2",
        ),
        (OPTIONS, "8001", "--buildOnly"),
        (OPTIONS, "100600", "--noTF32"),
    ],
)
def test_other_settings_and_versions_have_engines_of_their_own(
    session: TensorrtSession,
    board: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: RuntimeOptions,
    version: str,
    flag: str,
) -> None:
    session.prepare([FIRST])
    monkeypatch.setenv("BOARD_TENSORRT", version)
    with closing(opened(options)) as other:
        other.prepare([FIRST])
        other.visit(FIRST, 3)
    first, second = asked_for(board, "--onnx")
    assert flag in second
    assert second != first
    assert ("--noTF32" in second) == (options.precision == "float32")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("7103", "before 8"),
        ("8001", "8.0.1"),
        ("8502", "8.5.2"),
        ("101600", "10.16.0"),
        ("110000", "11.0.0"),
    ],
)
def test_every_generation_is_measured(
    said: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older ones export the runs of the warming up, too."""
    monkeypatch.setenv("BOARD_TENSORRT", said)
    with closing(opened(OPTIONS)) as session:
        assert session.environment["tensorrt"] == version
        assert len(session.visit(FIRST, 12).values["device"]) == 12


def test_a_tables_identity_is_the_devices_again_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "here.toml").write_text(
        'title = "x"\ntransport = "local"\nruntime = "tensorrt"\n'
        f'[tensorrt]\ntrtexec = "{STAND_IN}"\nextra_args = ["--noTF32"]\n'
    )
    device = Device.find("here", tmp_path)
    with device.open() as session:
        identity = device.identity(session)
        Table("here", "digits", identity, {}, ()).save(tmp_path / "t.jsonl")
        assert load_or_start(tmp_path / "t.jsonl", device, "digits", identity).device == "here"


def test_the_environment_tells_what_runs_there(session: TensorrtSession) -> None:
    assert session.environment["tensorrt"] == "8.6.1"
    assert session.environment["trtexec"] == str(STAND_IN)
    assert len(session.environment["trtexec_sha256"]) == 16
    assert "processors" in session.environment["processor"]
    assert session.environment["gpu"]
    conditions = session.conditions()
    assert isinstance(conditions["load_1m"], float)
    assert isinstance(conditions["memory_available_mb"], float)


def test_times_by_layer_are_told(session: TensorrtSession, board: Path) -> None:
    (layer,) = session.profile_ops(FIRST)
    assert (layer.op, layer.count) == ("Conv_0", 1)
    assert layer.mean_ms > 0
    (run,) = asked_for(board, "--exportProfile")
    assert {"--dumpProfile", "--separateProfileRun"} <= set(run)


def test_images_go_through_the_same_file_in_onnxruntime(session: TensorrtSession) -> None:
    images = np.random.default_rng(5).standard_normal((3, 1, 16, 16)).astype(np.float32)
    logits = session.infer(BLOCKS, images)
    assert logits.shape == (3, 10)
    assert "onnxruntime" in session.infers_on
    session.unload(BLOCKS)


def test_a_model_of_the_user_gets_the_batch(board: Path, tmp_path: Path) -> None:
    model = open_model(tmp_path / "it's mine.onnx", channels=3, height=4, width=4)
    with closing(opened(OPTIONS.model_copy(update={"batch": 5}))) as session:
        session.visit(model, 3)
    (built,), (run,) = asked_for(board, "--onnx"), asked_for(board, "--loadEngine")
    assert "--shapes=images:5x3x4x4" in built
    assert "--shapes=images:5x3x4x4" in run
    assert f"--onnx={model}" in built


def test_sizes_of_the_user_build_and_run(board: Path, tmp_path: Path) -> None:
    model = open_model(tmp_path / "open.ONNX", channels=3, height="height")
    asked = Asked(dims={"height": 6})
    with closing(opened(OPTIONS.model_copy(update={"asked": asked}))) as session:
        session.visit(model, 3)
    (built,), (run,) = asked_for(board, "--onnx"), asked_for(board, "--loadEngine")
    assert "--shapes=images:1x3x6" in built
    assert "--shapes=images:1x3x6" in run


@pytest.mark.parametrize("version", ["8601", "101300"])  # whole numbers have 32 bits, and 64
def test_indices_are_loaded_from_files(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: Path
) -> None:
    """trtexec itself would draw them from -128 to 127."""
    monkeypatch.setenv("BOARD_TENSORRT", version)
    model = words(tmp_path / "words.onnx", rows=50)
    asked = Asked(dims={"sequence": 9}, values={"mask": "1"})
    with closing(opened(OPTIONS.model_copy(update={"asked": asked}))) as session:
        assert len(session.visit(model, 12).values["device"]) == 12
    (built,), (run,) = asked_for(board, "--onnx"), asked_for(board, "--loadEngine")
    assert not [flag for flag in built if flag.startswith("--loadInputs")]
    assert "--shapes=ids:1x9,segments:1x9,mask:1x9" in run
    (loaded,) = [flag for flag in run if flag.startswith("--loadInputs=")]
    names = [part.partition(":")[0] for part in loaded.partition("=")[2].split(",")]
    assert names == ["ids", "segments", "mask"]


def test_numbers_that_do_not_fit_into_32_bits_are_refused(tmp_path: Path) -> None:
    asked = Asked(dims={"sequence": 9}, values={"mask": str(1 << 40)})
    with (
        closing(opened(OPTIONS.model_copy(update={"asked": asked}))) as session,
        pytest.raises(TargetFailed, match=r"input .mask.: TensorRT .* has no numbers of 64 bits"),
    ):
        session.prepare([words(tmp_path / "words.onnx")])


def test_sizes_that_trtexec_takes_by_itself_are_no_times(tmp_path: Path) -> None:
    """It asks for those of inputs that become sizes inside TensorRT, which no file tells."""
    script = (
        f'"{STAND_IN}" "$@"; status=$?\n'
        "echo '[01/02/2026-03:04:05] [W] Dynamic dimensions required for input: steps, but no "
        "shapes were provided. Automatically overriding shape to: 1'; exit $status"
    )
    with (
        closing(opened(wrapped(tmp_path, script))) as session,
        pytest.raises(TargetFailed, match="input: steps, but no shapes"),
    ):
        session.prepare([FIRST])


def test_models_that_cannot_run_are_named(session: TensorrtSession, tmp_path: Path) -> None:
    open_height = open_model(tmp_path / "open.onnx", channels=3, height="height")
    with pytest.raises(UsageError, match=r"images float32 \[batch, 3, height\].*--dim height="):
        session.prepare([open_height])
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x00not a model")
    with pytest.raises(FileFormatError, match=r"broken\.onnx is no ONNX file"):
        session.prepare([broken])


def test_a_network_that_is_not_built_is_named(session: TensorrtSession, tmp_path: Path) -> None:
    keep(
        OnnxConverter(1).path(FIRST),
        open_model(tmp_path / "small.onnx", channels=3).read_bytes()[:-9],
    )
    with pytest.raises(
        TargetFailed, match=r"^\S+: trtexec could not build its engine: \[TRT\] Mod"
    ):
        session.prepare([FIRST])
    assert engines(tmp_path) == []


def wrapped(tmp_path: Path, script: str) -> RuntimeOptions:
    """The stand-in behind a script."""
    path = tmp_path / "wrapped trtexec"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return with_options(trtexec=str(path))


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """By a limit on the size of files; trtexec notices both alike."""
    options = wrapped(
        tmp_path,
        f'case "$*" in *saveEngine*) ulimit -f 0; trap "" XFSZ;; esac; unset BOARD_TRTEXEC_LOG\n'
        f'exec "{STAND_IN}" "$@"',
    )
    with (
        closing(opened(options)) as session,
        pytest.raises(DeviceFull, match=r"could not be saved in .*engines of the.*\d+ MB are free"),
    ):
        session.prepare([FIRST])
    assert engines(tmp_path) == []


def test_times_that_are_cut_off_are_no_times(tmp_path: Path) -> None:
    cut = 'for a in "$@"; do case "$a" in --exportTimes=*) truncate -s 300 "${a#*=}";; esac; done'
    options = wrapped(tmp_path, f'"{STAND_IN}" "$@"; status=$?\n{cut}\nexit $status')
    with (
        closing(opened(options)) as session,
        pytest.raises(TargetFailed, match="cut off or no JSON; perhaps its disk is full"),
    ):
        session.visit(FIRST, 3)


def test_one_that_dies_is_told_with_its_status(tmp_path: Path) -> None:
    script = f'case "$*" in *onnx*) echo Killed >&2; kill -9 $$;; esac; exec "{STAND_IN}" "$@"'
    with (
        closing(opened(wrapped(tmp_path, script))) as session,
        pytest.raises(TargetFailed, match=r"it ended with status 137: Killed"),
    ):
        session.prepare([FIRST])


def test_an_engine_that_was_deleted_or_spoilt_is_built_again(
    session: TensorrtSession, tmp_path: Path
) -> None:
    session.visit(FIRST, 3)
    (engine,) = engines(tmp_path)
    engine.unlink()
    assert len(session.visit(FIRST, 12).values["device"]) == 12
    engine.write_bytes(b"damaged")
    assert len(session.visit(FIRST, 12).values["device"]) == 12
    engine.write_bytes(engine.read_bytes()[:3])
    with closing(opened(OPTIONS)) as another:  # which did not build it
        assert len(another.visit(FIRST, 12).values["device"]) == 12


def test_an_engine_that_cannot_run_is_built_again_once(tmp_path: Path, board: Path) -> None:
    script = f'case "$*" in *loadEngine*) echo broken >&2; exit 9;; esac; exec "{STAND_IN}" "$@"'
    with (
        closing(opened(wrapped(tmp_path, script))) as session,
        pytest.raises(TargetFailed, match="trtexec could not run it: it ended with status 9"),
    ):
        session.visit(FIRST, 3)
    assert len(asked_for(board, "--onnx")) == 2


def test_doubtful_times_are_told_once_and_stay_in_the_conditions(
    session: TensorrtSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BOARD_UNSTABLE", "1")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            session.visit(FIRST, 3)
    assert caplog.messages == ["harness: trtexec says: GPU compute time is unstable"]
    assert session.conditions()["trtexec_warnings"] == "GPU compute time is unstable"


def test_graphs_are_used_where_they_are_asked_for(
    board: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = with_options(cuda_graphs=True)
    with closing(opened(options)) as session:
        session.visit(FIRST, 3)
        assert "--useCudaGraph" in asked_for(board, "--loadEngine")[-1]
        monkeypatch.setenv("BOARD_NO_GRAPHS", "1")
        with pytest.raises(TargetFailed, match="cannot run as a CUDA graph"):
            session.visit(FIRST, 3)
    monkeypatch.setenv("BOARD_TENSORRT", "110000")  # where they are usual
    with closing(opened(OPTIONS)) as session:
        session.visit(FIRST, 3)
    assert "--noCudaGraph" in asked_for(board, "--loadEngine")[-1]


def test_a_precision_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARD_TENSORRT", "110000")
    with pytest.raises(DeviceError, match='only precision = "float32" is possible'):
        opened(OPTIONS.model_copy(update={"precision": "float16"}))


def test_flags_that_trtexec_does_not_know_are_told() -> None:
    options = with_options(extra_args=("--useDLA=0",))
    with (
        closing(opened(options)) as session,
        pytest.raises(TargetFailed, match="Unknown option: --useDLA 0"),
    ):
        session.prepare([FIRST])


def test_where_trtexec_was_looked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetFailed, match=r"no trtexec at /usr/no/such of .* under \[tensorrt\]"):
        opened(RuntimeOptions(own=TensorrtOptions(trtexec="/usr/no/such")))
    with pytest.raises(TargetFailed, match=r"/bin/true gives no single times"):
        opened(RuntimeOptions(own=TensorrtOptions(trtexec="/bin/true")))
    monkeypatch.setenv("BOARD_TENSORRT", "5106")
    with pytest.raises(TargetFailed, match="before TensorRT 6"):
        opened(OPTIONS)


def test_a_jetsons_gpu_is_read_from_tegrastats() -> None:
    lines = (Path(__file__).parent / "tegrastats_logs/lines.txt").read_text().splitlines()
    told = [gpu_conditions(line, "") for line in lines]
    assert all(each.keys() == {"gpu_temperature_c", "temperature_c"} for each in told)
    temperatures_c = [each["gpu_temperature_c"] for each in told]
    has = [re.search(r"(gpu|tj)@\d", line, re.IGNORECASE) is not None for line in lines]
    assert [value is not None for value in temperatures_c] == has
    assert sum(has) > len(lines) / 2
    assert all(0 < float(value) < 100 for value in temperatures_c if value is not None)
    now_and_peak = "RAM 20642/62817MB CPU [23%@2201] cpu@52.968C/61C gpu@49.5C/50.1C tj@53C/61C"
    assert gpu_conditions(now_and_peak, "") == {"gpu_temperature_c": 49.5, "temperature_c": 52.968}
    off = "RAM 4321/62801MB MCPU@40C BCPU@44.5C gpu@-256C tj@44.343C"
    assert gpu_conditions(off, "") == {"gpu_temperature_c": 44.343, "temperature_c": 44.5}


@pytest.mark.parametrize(
    ("answer", "temperature_c"), [("41", 41.0), ("", None), ("[N/A]", None), ("No devices", None)]
)
def test_another_gpu_is_read_from_nvidia_smi(answer: str, temperature_c: float | None) -> None:
    assert gpu_conditions("", answer) == {"gpu_temperature_c": temperature_c}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("1755, [N/A]\n1740, [N/A]", Watched(1755, None)),  # as on GPUs that tell no reasons
        ("1755\n1740", Watched(1755, None)),  # a driver that has no such field
        ("[N/A], 0x0000000000000040", Watched(None, "hardware thermal slowdown")),
        ("1980, 0x0\n1980, 0x4\n1980, 0x0", Watched(1980, "no")),  # usually
        # It rests while trtexec starts and ends.
        ("210, 0x1\n210, 0x1\n1410, 0x20\n210, 0x1", Watched(1410, "software thermal slowdown")),
        ("210, 0x1\n210, 0x1", Watched(210, "no")),
        ("NVIDIA-SMI has failed because it could not talk to the driver", Watched(None, None)),
    ],
)
def test_one_silent_value_of_nvidia_smis_does_not_drop_the_others(
    lines: str, told: Watched
) -> None:
    assert parse_watched(lines) == told


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        ("told", 0),
        ("17\n18\ntold", 2),
        ("No running processes found\ntold", 0),
        ("[N/A]\ntold", None),
        ("[Not Supported]\ntold", None),
        ("17", None),  # it ended with an error
        ("", None),
    ],
)
def test_only_programs_are_programs(answer: str, count: int | None) -> None:
    assert other_processes(answer) == count


NVIDIA_SMI = """#!/bin/sh
case "$*" in
*-lms*event_reasons*) while echo "$WORKING, 0x0000000000000004"; do sleep 0.05; done ;;
*compute-apps*) printf '17\\n18\\n' ;;
*event_reasons*) ;;
*throttle_reasons*) echo 'Field "clocks_throttle_reasons.active" is not a valid field'; exit 2 ;;
*temperature*) echo 41 ;;
*name*) echo "NVIDIA-SMI has failed because it could not talk to the driver"; exit 9 ;;
esac
"""


def test_the_gpus_clock_is_that_of_its_work(
    session: TensorrtSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    readings = []
    for clock_mhz in (1800, 400):
        monkeypatch.setenv("WORKING", str(clock_mhz))
        session.visit(FIRST, 3)
        readings.append(session.conditions())
    assert [reading["gpu_clock_mhz"] for reading in readings] == [1800, 400]
    assert readings[0]["gpu_throttled"] == "power cap"
    assert readings[0]["gpu_other_processes"] == 2
    assert readings[0]["gpu_temperature_c"] == 41
    assert "has failed" not in trtexec_scripts.read_facts(LocalTransport())["gpu"]
    slow = "GPU slowed down below 90% of its clock"
    assert slow in doubts_between(readings, Fastest.of(readings), Limits())
    assert session.conditions()["gpu_clock_mhz"] is None  # nothing has worked since


@pytest.mark.parametrize("gpu", ["17000000.gp10b", "57000000.gpu", "gpu-gpc-0"])
def test_a_jetsons_clock_is_read_from_the_kernels_file_while_it_works(
    gpu: str, tmp_path: Path
) -> None:
    for unit, hertz in (("bwmgr", 4266000000), (gpu, 1300500000)):
        node = tmp_path / "sys/class/devfreq" / unit
        node.mkdir(parents=True)
        (node / "cur_freq").write_text(f"{hertz}\n")
    script = WATCH.replace("/sys/", f"{tmp_path}/sys/")
    watch = subprocess.run(["timeout", "0.3", "sh", "-c", script], capture_output=True, text=True)
    assert parse_watched(watch.stdout) == Watched(1300.5, None)
    assert parse_watched("nvidia-smi: not found") == Watched(None, None)
