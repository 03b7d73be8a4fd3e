"""The planner against the interpreter whose planner it is."""

import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as some

from harness.errors import FileFormatError, TargetFailed
from harness.memory.arena import Buffer, alive_bytes, arena_bytes
from harness.memory.in_place import in_place_bytes
from harness.memory.model_file import read_graph
from harness.runtimes.conversion.self_contained import self_contained
from harness.runtimes.tflite_micro import MICRO_HINT, arena_of_file, has_micro
from tests.memory.flatbuffer import Writer

DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "tinyml"
micro = pytest.mark.skipif(not has_micro(), reason=MICRO_HINT)
BUFFERS = some.lists(
    some.tuples(some.integers(1, 200), some.integers(0, 9), some.integers(0, 9)).map(
        lambda each: Buffer(each[0], min(each[1:]), max(each[1:]))
    ),
    max_size=30,
)


def head(path: Path, told: pytest.CaptureFixture[str]) -> int:
    """By the interpreter, in this process."""
    from tflite_micro import runtime

    told.readouterr()
    runtime.Interpreter.from_file(str(path), arena_size=2**24).print_allocations()
    found = re.search(r"Arena allocation head (\d+) bytes", told.readouterr().err)
    assert found
    return int(found[1])


def random_file(seed: int, path: Path) -> Path:
    """Maps of random sizes that live for random times; some are never read, some never written."""
    rng = np.random.default_rng(seed)
    writer = Writer()
    sizes = {writer.map(1, size): size for size in map(int, rng.integers(1, 300, 3))}
    given = list(sizes)
    for _ in range(int(rng.integers(3, 25))):
        if rng.random() < 0.1:
            writer.map(1, int(rng.integers(1, 300)))
        joined = [int(each) for each in rng.choice(list(sizes), 2)]
        if rng.random() < 0.3:
            size = sizes[joined[0]]
            new = writer.map(1, size)
            writer.run("ADD", [joined[0], joined[0]], new, schema.AddOptionsT())
        else:
            size = sizes[joined[0]] + sizes[joined[1]]
            new = writer.map(1, size)
            options = schema.ConcatenationOptionsT()
            options.axis = 1
            writer.run("CONCATENATION", joined, new, options)
        if size < 5000:
            sizes[new] = size
    results = sorted({new, int(rng.choice(list(sizes)[3:] or [new]))})
    return writer.save(given, results, path)


@micro
@pytest.mark.parametrize("seed", range(40))
def test_a_random_graph_takes_what_the_interpreter_takes(
    seed: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = random_file(seed, tmp_path / "random.tflite")
    assert arena_bytes(read_graph(path).buffers) == head(path, capfd)


@micro
def test_what_a_mean_asks_for_while_it_runs_is_planned(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = Writer()
    maps, axes = writer.map(1, 4, 4, 40), writer.map(2, data=np.array([1, 2], np.int32))
    means = writer.map(1, 40)
    writer.run("MEAN", [maps, axes], means, schema.ReducerOptionsT())
    path = writer.save([maps], [means], tmp_path / "mean.tflite")
    assert arena_bytes(read_graph(path).buffers) == head(path, capfd) == 640 + 48 + 160 + 16 + 16


@given(BUFFERS)
def test_a_plan_takes_no_less_than_is_alive_and_no_more_than_all(buffers: list[Buffer]) -> None:
    rounded = sum(-(-each.size_bytes // 16) * 16 for each in buffers)
    assert alive_bytes(buffers) <= arena_bytes(buffers) <= rounded


def test_a_network_may_take_more_than_is_ever_alive() -> None:
    """What lives longer lies behind the largest; before it is a gap that nothing fits into."""
    buffers = [Buffer(64, 1, 2), Buffer(32, 3, 3), Buffer(48, 3, 3), Buffer(32, 2, 3)]
    assert alive_bytes(buffers) == 112
    assert arena_bytes(buffers) == 128


def test_depthwise_convolutions_in_place_take_their_input_alone(tmp_path: Path) -> None:
    writer = Writer()
    before, wide, narrow, after = (writer.map(1, 4, 4, each) for each in (8, 48, 48, 8))
    writer.run("CONV_2D", [before], wide)
    writer.run("DEPTHWISE_CONV_2D", [wide], narrow)
    writer.run("CONV_2D", [narrow], after)
    graph = read_graph(writer.save([before], [after], tmp_path / "block.tflite"))
    assert in_place_bytes(graph) == 16 * (8 + 48)
    assert arena_bytes(graph.buffers) == 16 * (48 + 48)


@pytest.mark.parametrize(
    ("kind", "told"), [("SVDF", "has SVDF"), ("TRANSPOSE_CONV", "has TRANSPOSE_CONV")]
)
def test_a_file_with_an_operator_of_which_nothing_is_known_is_one_line(
    kind: str, told: str, tmp_path: Path
) -> None:
    writer = Writer()
    maps = [writer.map(1, 4) for _ in range(2)]
    writer.run(kind, maps[:1], maps[1])
    with pytest.raises(TargetFailed, match=told):
        read_graph(writer.save(maps[:1], maps[1:], tmp_path / "other.tflite"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken")


@given(junk=some.binary(max_size=200), where=some.integers(0, 400))
def test_a_broken_file_is_one_line(junk: bytes, where: int, scratch: Path) -> None:
    whole = random_file(1, scratch / "whole.tflite").read_bytes()
    broken = scratch / "broken.tflite"
    broken.write_bytes(whole[:where] + junk + whole[where + len(junk) :])
    with suppress(FileFormatError, TargetFailed):
        read_graph(broken)


@micro
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set HARNESS_DATA")
def test_reference_tinyml_models_take_what_the_interpreter_takes(tmp_path: Path) -> None:
    """All whose operators are known; weights outside a file are put inside first."""
    planned = 0
    for model in sorted(DATA.glob("*.tflite")):
        inside = tmp_path / model.name
        inside.write_bytes(self_contained(model.read_bytes()))
        try:
            graph = read_graph(inside)
        except TargetFailed:
            continue
        planned += 1
        assert arena_bytes(graph.buffers) == arena_of_file(inside).head, model.name
    assert planned
