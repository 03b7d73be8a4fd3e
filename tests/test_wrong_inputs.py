"""Wrong inputs, in one table: each is one line, with the right exit code and the right advice."""

import json
from pathlib import Path

import pytest

from harness.cli.options import found_there
from harness.tables.table import Table
from tests.command_line import harness

NOT_OURS = "what a user wrote\n"
CASES = (
    # commands and options
    ("serch", 2, "did you mean 'search'?"),
    ("search --devise cpu", 2, "did you mean '--device'?"),
    ("extract", 2, "Missing argument 'network'"),
    ("search --max-latency-ms soon", 2, "'--max-latency-ms'"),
    ("search --seed -1", 2, "'--seed'"),
    ("search --device cpuu", 3, "did you mean 'cpu'?"),
    ("search --device zebra", 3, "more"),
    ("search --space digit", 2, "did you mean 'digits'?"),
    ("run --root README.md --device cpu", 6, "choose another --root"),
    # where accuracies come from
    ("search --device zu3eg --accuracy nofile.csv", 3, "cannot read nofile.csv: No such file"),
    ("search --device zu3eg --accuracy nofile", 3, "'nofile' is no source of accuracies"),
    (
        "search --device zu3eg --accuracy nofile.pth",
        3,
        "there is no nofile.pth; `harness fetch acc-predictor`",
    ),
    ("search --device zu3eg --accuracy mine:nothing", 2, "cannot import 'mine:nothing'"),
    ("search --device zu3eg --accuracy junk.csv", 3, "junk.csv: it is no text file"),
    # limits
    ("search --constraint fast", 2, "write pixel-1:30ms"),
    ("search --device zu3eg --accuracy mine:top1 --constraint zu9e:3ms", 2, "zu9e"),
    ("search --device zu3eg --accuracy mine:top1 --max-latency-ms 1e-6", 5, "smallest"),
    ("search --at p90", 2, "--at is for --max-latency-ms"),
    (
        "search --device zu3eg --accuracy mine:top1 --constraint macs:9M --further",
        2,
        "--front asks for one",
    ),
    # measuring
    ("measure --budget soon", 2, "write 90s, 45m or 1h30m"),
    ("measure --refit --fresh", 2, "exclude each other"),
    ("measure --baselines --resolutions 12", 2, "as published"),
    ("measure --effort full --refit", 2, "--effort is of a table of latencies"),
    ("measure --effort full --device zu3eg", 2, "zu3eg is simulated, and all are"),
    ("measure --resolutions 160", 2, "160"),
    ("measure --resolutions large", 2, "write 160,192,224"),
    ("measure --energy --device zu3eg", 4, "its model tells no energy"),
    ("measure --device stm32f746", 4, "no microcontroller is reached from here"),
    ("measure --device phone-published", 2, "has an imported table and no profile"),
    ("verify --device phone-published", 2, "nothing can be run on it from here"),
    ("verify --device cpu", 3, "there is no front"),
    ("devices check mine", 3, "unknown key 'transprt'; did you mean 'transport'?"),
    ("devices add Mine!", 2, "small letters"),
    ("devices fit zu3eg --measurements nofile.csv", 3, "nofile.csv"),
    # networks
    ("extract front:99 net.pt --device zu3eg", 2, "it has 0 to"),
    ("extract nofile.json net.pt", 2, "neither a point"),
    ("extract junk.onnx net.pt", 3, "junk.onnx: it is no text file"),
    ("extract arch.json net.pt --space ofa-mbv3-w1.2", 2, "`harness fetch ofa-mbv3-w1.2` brings"),
    ("extract front:0 net.pt --device zu3eg", 2, "--supernet FILE says where weights are"),
    ("breakdown --device zu3eg --arch junk.onnx", 2, "`harness benchmark junk.onnx"),
    ("breakdown --device zu3eg --arch README.md", 3, "README.md"),
    ("breakdown --device zu3eg --arch front:0 --benchmark-model x", 2, "for --ops"),
    ("breakdown --device zu3eg --arch front:0@0", 2, "write front:0@3"),
    ("evaluate README.md --data .", 3, "README.md"),
    ("evaluate nofile.pt --data .", 3, "cannot read nofile.pt: No such file"),
    ("finetune nofile.pt out.pt --data .", 3, "nofile.pt"),
    ("finetune net.pt out.pt --sparsity 1.5", 2, "less than or equal to 0.99"),
    ("finetune net.pt out.pt --sparsity 0.5 --pattern 4:2", 2, "known: unstructured, 2:4"),
    ("finetune net.pt out.pt --pattern channels", 2, "are for --sparsity, such as 0.75"),
    ("finetune net.pt out.pt --sparsity 0.9 --pattern 2:4", 2, "is a sparsity of 0.5, and not 0.9"),
    ("finetune net.pt out.pt --sparsity 0.9 --pattern channels --rewind 5", 2, "not for channels"),
    ("train --data nofolder", 2, "there is no folder nofolder"),
    ("train --recipe quick", 2, "need --data"),
    # a user's model files
    ("benchmark nofile.onnx --device cpu-onnxruntime", 3, "No such file"),
    ("benchmark junk.onnx --device cpu-onnxruntime", 3, "junk.onnx is no ONNX file"),
    ("benchmark README.md --device cpu-onnxruntime", 2, "runs .onnx and network files (.pt)"),
    ("benchmark junk.onnx --device cpu --fail-above 5%", 2, "needs a --baseline"),
    ("benchmark junk.onnx --device cpu --fail-above 0.05", 2, "write 5%"),
    ("benchmark junk.onnx --device cpu --baseline README.md", 3, "README.md"),
    ("benchmark junk.onnx junk.csv --device cpu --output x.json", 2, "for one model on one device"),
    ("benchmark junk.onnx --device cpu --json --csv", 2, "give one"),
    # what is not run
    ("predict nofile.json --device zu3eg", 2, "neither a point (front:7) nor a file"),
    ("predict front:99 --device zu3eg", 2, "it has 0 to"),
    (
        "predict junk.onnx --device zu3eg",
        3,
        "kernels are known of onnxruntime, litert, openvino, torch, not of",
    ),
    ("predict junk.onnx --device cpu-onnxruntime", 3, "junk.onnx is no ONNX file"),
    ("predict front:0 --device zu3eg --page x.html", 2, "for model files alone"),
    ("predict front:0 --device zu3eg --json --csv", 2, "give one"),
    ("predict front:0 --device zu3eg --device cpu", 3, "there is no table tables/cpu.digits.jsonl"),
    # bundles
    ("export out", 2, "--network FILE, or --device"),
    ("export out --network README.md", 3, "not a network file of harness"),
    ("export out --network net.pt --formats onxx", 2, "did you mean 'onnx'?"),
    ("export out --device zu3eg", 5, "`harness verify`"),
    # tables and pages
    ("tables show cpu", 3, "there is no table tables/cpu.digits.jsonl"),
    ("tables show two", 2, "two has tables or fronts of ofa-mbv3-w1.0, ofa-mbv3-w1.2: --space"),
    ("tables show own", 2, "a space of your own"),
    ("tables compare tables/zu3eg.digits.jsonl README.md", 3, "README.md is no latency table"),
    ("tables import nofile.yaml --device phone --source web", 2, "end in -published"),
    ("tables import nofile.yaml --device phone-published --source web", 3, "nofile.yaml"),
    ("tables import README.md --device x-published --source web --format ncnnn", 2, "'ncnn'"),
    ("tables import README.md --device x-published --source web --format ncnn", 3, "benchncnn"),
    ("tables import README.md --device x-published --source web --format ai-hub", 3, "README.md"),
    ("tables pack cpu out.zip", 3, "there is no table tables/cpu.digits.jsonl"),
    ("tables unpack README.md", 3, "README.md is no package of a table"),
    ("predict mobilenet_v2 --device imported:pixel", 2, "no devices were imported"),
    ("predict front:0 --device zu3eg --from-device cpu", 2, "of an imported device"),
    ("history README.md", 3, "README.md is no latency table"),
    ("history", 3, "no history in"),
    ("report --device cpu", 3, "there is no front"),
    ("report --arch front:0", 2, "it is for --compare"),
    ("report --compare a.jsonl b.jsonl", 3, "there is no table a.jsonl"),
    ("carbon work 1", 2, "either --hardware or --watts"),
    ("carbon inferences --device zu3eg", 2, "--arch"),
    ("fetch note11", 2, "did you mean 'note10'?"),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a simulated device's table and front, imported tables, and files of the user's."""
    root = tmp_path_factory.mktemp("wrong")
    (root / "devices").mkdir()
    (root / "devices/mine.toml").write_text('title = "M"\ntransprt = "local"\nruntime = "torch"\n')
    (root / "mine.py").write_text("def top1(arch):\n    return 60 + 2 * sum(arch.depths)\n")
    (root / "README.md").write_text(NOT_OURS)
    (root / "arch.json").write_text(json.dumps({"r": [160], "d": [], "ks": [], "e": []}))
    for name in ("junk.onnx", "junk.csv"):
        (root / name).write_bytes(bytes(range(128, 256)))
    for device, space in (
        ("phone-published", "ofa-mbv3-w1.2"),
        ("two", "ofa-mbv3-w1.0"),
        ("two", "ofa-mbv3-w1.2"),
        ("own", "mine"),
    ):
        Table(device, space, {}, {}, (), "web").save(root / "tables" / f"{device}.{space}.jsonl")
    return root


@pytest.fixture(scope="module")
def searched(root: Path) -> Path:
    for words in (
        "measure --device zu3eg --quick",
        "search --device zu3eg --accuracy mine:top1 --front --quick",
    ):
        assert harness(root, *words.split()).returncode == 0
    return root


@pytest.mark.parametrize(("words", "code", "advice"), CASES, ids=[case[0] for case in CASES])
def test_a_wrong_input_is_one_line_with_its_code_and_what_to_do(
    searched: Path, words: str, code: int, advice: str
) -> None:
    ended = harness(searched, *words.split())
    assert (ended.returncode, len(ended.stderr.splitlines())) == (code, 1), ended.stderr
    assert ended.stderr.startswith("harness: ")
    assert advice in ended.stderr
    assert "delete" not in ended.stderr
    assert (searched / "README.md").read_text() == NOT_OURS


def test_debug_adds_the_traceback_and_keeps_the_code(root: Path) -> None:
    ended = harness(root, "--debug", "search", "--device", "cpuu")
    assert ended.returncode == 3
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("harness: no device called 'cpuu'")


def test_the_only_space_of_a_device_need_not_be_named(root: Path) -> None:
    assert found_there("phone-published", None, root)[1] == "ofa-mbv3-w1.2"
    assert found_there("cpu", None, root)[1] == "digits"
    assert found_there("two", "digits", root)[1] == "digits"


def test_a_cache_that_cannot_be_written_names_its_variable(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(root / "README.md"))
    ended = harness(root, "devices", "check", "cpu")
    assert ended.returncode == 6
    assert "name another folder for converted files in HARNESS_CACHE" in ended.stderr
