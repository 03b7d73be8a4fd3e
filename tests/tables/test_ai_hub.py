from pathlib import Path

import pytest

from harness.errors import TableError
from harness.spaces.digits import DIGITS
from harness.tables.ai_hub import read
from harness.tables.imported import ImportedDevice, ImportedDevices, find_imported
from harness.tables.table_format import ImportRequest

# Parts of github.com/quic/ai-hub-models, qai_hub_models/models/mobilenet_v2/perf.yaml.
PERF = """\
supported_devices:
- Samsung Galaxy S24
precisions:
  float:
    components:
      MobileNet-v2:
        performance_metrics:
          Samsung Galaxy S24:
            tflite:
              job_id: jprejjmk5
              job_status: Passed
              inference_time_milliseconds: 0.556
              estimated_peak_memory_range_mb:
                min: 0
                max: 151
              primary_compute_unit: NPU
              layer_counts:
                total: 71
                npu: 71
            onnx:
              job_id: j56nllkng
              job_status: Failed
              inference_time_milliseconds: null
  w8a16:
    components:
      MobileNet-v2:
        performance_metrics:
          Samsung Galaxy S24:
            qnn_dlc:
              inference_time_milliseconds: 0.4
              primary_compute_unit: NPU
"""
# The form of earlier files: microseconds and bytes.
OLDER = """\
models:
- name: EfficientNet-B0
  performance_metrics:
  - torchscript_onnx_tflite:
      inference_time: 1631.0
      estimated_peak_memory_range:
        min: 12288
        max: 2500000
      primary_compute_unit: NPU
      precision: fp16
    reference_device_info:
      name: Samsung Galaxy S23
      os: '13'
    timestamp: '2024-05-20T16:35:00Z'
"""


def imported(*paths: Path) -> tuple[ImportedDevice, ...]:
    found = read(ImportRequest(paths, "hub-published", "AI Hub", DIGITS)).found
    assert isinstance(found, ImportedDevices)
    return found.devices


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).mkdir()
    path = folder / name / "perf.yaml"
    path.write_text(text)
    return path


def test_each_device_runtime_and_precision_is_a_device(tmp_path: Path) -> None:
    tflite, qnn = imported(written(tmp_path, "a", PERF))
    assert (tflite.title, tflite.runtime, tflite.precision) == (
        "Samsung Galaxy S24",
        "tflite",
        "float",
    )
    time = tflite.networks["MobileNet-v2"]
    assert (time.latency_ms, time.memory_mb, tflite.processor) == (0.556, 151, "npu")
    assert time.fastest_ms is None  # one number: there is no spread, and none is made up
    assert (qnn.runtime, qnn.precision) == ("qnn_dlc", "w8a16")


def test_older_files_are_in_microseconds_and_bytes(tmp_path: Path) -> None:
    (device,) = imported(written(tmp_path, "a", OLDER))
    time = device.networks["EfficientNet-B0"]
    assert time.latency_ms == pytest.approx(1.631)
    assert time.memory_mb == 2.5
    assert (device.title, device.precision) == ("Samsung Galaxy S23", "fp16")


def test_files_of_several_models_are_networks_of_one_device(tmp_path: Path) -> None:
    other = PERF.replace("MobileNet-v2", "EfficientNet-B0")
    tflite, _ = imported(written(tmp_path, "a", PERF), written(tmp_path, "b", other))
    assert tflite.networks.keys() == {"MobileNet-v2", "EfficientNet-B0"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1", "no perf.yaml of AI Hub"),
        ("- 1", "no perf.yaml of AI Hub"),
        ("precisions: {float: [", "not a YAML file"),
        (PERF.replace("0.556", "-1"), "inference_time_milliseconds"),
        (PERF.replace("0.556", "soon"), "inference_time_milliseconds"),
        (PERF.replace("max: 151", "max: .inf"), "max"),
        (PERF.replace("0.556", "null").replace("0.4", "null"), "no time of any network"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(TableError, match=why):
        imported(written(tmp_path, "a", text))


def test_a_device_is_found_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    source = ImportedDevices("x", "y", imported(written(tmp_path, "a", PERF)))
    assert find_imported("imported:samsung-galaxy-s24-tflite", [source]).runtime == "tflite"
    with pytest.raises(Exception, match="may be 2 imported devices"):
        find_imported("imported:samsung", [source])
    with pytest.raises(Exception, match="no imported device called 'pixel'"):
        find_imported("imported:pixel", [source])
    with pytest.raises(Exception, match="no devices were imported"):
        find_imported("imported:pixel", [])
