import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import FileFormatError, TableError
from harness.spaces.digits import DIGITS
from harness.tables.imported import ImportedDevices
from harness.tables.ncnn import COLUMNS, read
from harness.tables.table_format import ImportRequest

# Lines as github.com/Tencent/ncnn/blob/master/benchmark/README.md has them.
README = """\
benchncnn can be used to test neural network inference performance

### Qualcomm SM8150-AC Snapdragon 855+ (Kyro485 2.96 GHz + 2.42 GHz x 3 + 1.80 GHz x 4 + Adreno 640)
```
OnePlus7T:/data/local/tmp $ ./benchncnn 8 4 2 -1 1
loop_count = 8
num_threads = 4
powersave = 2
gpu_device = -1
cooling_down = 1
          squeezenet  min =    4.46  max =    4.58  avg =    4.51
        mobilenet_v2  min =    5.08  max =    5.19  avg =    5.13

OnePlus7T:/data/local/tmp $ ./benchncnn 8 1 2 0 1
[0 Adreno (TM) 640]  queueC=0[3]  queueG=0[3]  queueT=0[3]
loop_count = 8
num_threads = 1
powersave = 2
gpu_device = 0
cooling_down = 1
          squeezenet  min =    6.12  max =    7.00  avg =    6.60
```

### NVIDIA RTX3090 (GA102 SM x 82 + Tensor Core 328)
```
loop_count = 32
num_threads = 1
powersave = 0
gpu_device = 0
        mobilenet_v2  min =    2.44  max =   20.89  avg =    6.98
```
"""
HEAD = ",".join(COLUMNS)
ROW = "Phone,1,4,2,-1,mobilenet_v2,5.08,5.19,5.13"


def imported(path: Path) -> ImportedDevices:
    found = read(ImportRequest([path], "x-published", "somebody", DIGITS)).found
    assert isinstance(found, ImportedDevices)
    return found


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def test_a_readme_has_devices_runs_and_the_spread_of_each_time(
    write: Callable[[str, str], Path],
) -> None:
    phone, gpu, desktop = imported(write("README.md", README)).devices
    assert (phone.processor, phone.num_threads, phone.cores) == ("cpu", 4, "big")
    assert (gpu.processor, gpu.title) == ("gpu", phone.title)
    assert desktop.title.startswith("NVIDIA RTX3090")
    time = phone.networks["mobilenet_v2"]
    assert (time.fastest_ms, time.latency_ms, time.slowest_ms) == (5.08, 5.13, 5.19)
    assert time.full_speed_ms == 5.08
    assert phone.name == "qualcomm-sm8150-ac-snapdragon-855-ncnn-cpu4-big"


def test_rows_of_a_csv_file_are_the_same(write: Callable[[str, str], Path]) -> None:
    (device,) = imported(write("x.csv", f"{HEAD}\n{ROW}\n")).devices
    assert (device.processor, device.num_threads, device.cores) == ("cpu", 4, "big")
    assert device.networks["mobilenet_v2"].latency_ms == 5.13


def test_what_was_imported_comes_back_from_its_file(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    found = imported(write("README.md", README))
    found.save(tmp_path / "x.jsonl")
    assert ImportedDevices.load(tmp_path / "x.jsonl") == found


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("README.md", "# nothing here", "no line is one of benchncnn"),
        ("x.csv", "device,model\nx,y\n", "no column run"),
        ("x.csv", f"{HEAD}\nPhone,1,4,2,-1,mobilenet_v2,5.08\n", ":2: a row that ends early"),
        ("x.csv", f"{HEAD}\n{ROW}\n{ROW}\n", ":3: mobilenet_v2 a second time"),
        ("x.csv", f"{HEAD}\n{ROW.replace('5.08', 'nan')}\n", ":2: mobilenet_v2 takes nan"),
        ("x.csv", f"{HEAD}\n{ROW.replace('5.08', '6')}\n", ":2: mobilenet_v2 takes 6 to 5.19"),
        ("x.csv", f"{HEAD}\n{ROW.replace('5.08', 'x')}\n", ":2: a time of mobilenet_v2 is no"),
        ("x.csv", f"{HEAD}\n{ROW.replace(',4,', ',-4,')}\n", "-4 threads"),
        ("x.csv", f"{HEAD}\n{ROW.replace(',4,', ',many,')}\n", "settings of Phone"),
    ],
)
def test_a_broken_file_is_one_line_that_says_where(
    write: Callable[[str, str], Path], name: str, text: str, why: str
) -> None:
    with pytest.raises(TableError, match=why) as told:
        imported(write(name, text))
    assert len(str(told.value)) < 500


def test_a_title_cannot_command_a_terminal(write: Callable[[str, str], Path]) -> None:
    row = ROW.replace("Phone", "A\x1b[31m Phone\x07")
    found = imported(write("a.csv", f"{HEAD}\n{row}\n"))
    assert found.devices[0].title == "A [31m Phone"
    assert found.devices[0].name == "a-ncnn-cpu4-big"


def test_a_source_cannot_command_a_terminal(
    write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    found = replace(imported(write("README.md", README)), source="\x1b]0;owned\x07 somebody")
    found.save(tmp_path / "x.jsonl")
    assert ImportedDevices.load(tmp_path / "x.jsonl").source == "]0;owned  somebody"


@settings(max_examples=40)
@given(st.text(max_size=200), st.integers(0, len(README)), st.booleans())
def test_no_text_ends_in_anything_but_devices_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, noise: str, at: int, as_csv: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / ("fuzz.csv" if as_csv else "fuzz.md")
    base = f"{HEAD}\n{ROW}\n" if as_csv else README
    path.write_bytes((base[:at] + noise + base[at:]).encode("utf-8", "replace"))
    with contextlib.suppress(FileFormatError):
        assert imported(path).devices
