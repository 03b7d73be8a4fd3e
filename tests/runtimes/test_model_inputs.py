"""What users' model files are fed with: chosen where it is safe, and told; else asked for."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from harness.errors import FileFormatError, TargetFailed, UsageError
from harness.runtimes import litert, onnxruntime
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked, parse_asked
from harness.runtimes.model_inputs.feeding import Feeding, feeding
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Samples
from harness.transports.local import LocalTransport
from tests.small_models import (
    FLOAT,
    INT64,
    Words,
    branches,
    given,
    loop,
    open_batch,
    relu,
    save,
    tflite,
    two_graphs,
    words,
)


def asked(shape: str = "", dim: str = "", input_: str = "", signature: str | None = None) -> Asked:
    return parse_asked(shape.split(), dim.split(), input_.split(), signature)


def fed(model: Path, said: Asked = NOTHING_ASKED, batch: int = 1) -> Feeding:
    return feeding(model, said, batch)


def shapes(feeding: Feeding) -> dict[str, tuple[int, ...]]:
    return {feed.name: feed.shape for feed in feeding.feeds}


def visited(model: Path, said: Asked, runtime: Callable = onnxruntime.open_session) -> Samples:
    with closing(runtime(LocalTransport(), RuntimeOptions(asked=said))) as session:
        session.load(model)
        samples: Samples = session.visit(model, 20)
        return samples


def us(samples: Samples) -> float:
    return float(np.median(samples.values["thread"])) / 1e3


def test_steps_of_a_loop_are_asked_for_and_then_run(tmp_path: Path) -> None:
    model = loop(tmp_path / "loop.onnx")
    with pytest.raises(UsageError, match=r"steps int64 \[\] \(.* Loop\).*--input steps=20$"):
        fed(model)
    few, many = (us(visited(model, asked(input_=f"steps={steps}"))) for steps in (1, 100))
    assert many > 10 * few
    assert "input steps: int64 [], value 100;" in fed(model, asked(input_="steps=100")).describe()


def test_a_value_that_chooses_a_branch_is_asked_for_and_then_chooses_it(tmp_path: Path) -> None:
    model = branches(tmp_path / "branches.onnx")
    with pytest.raises(UsageError, match=r"sr int64 \[\] \(.* If\).*--input sr=16000$"):
        fed(model)
    small, large = (us(visited(model, asked(input_=f"sr={sr}"))) for sr in (8000, 16000))
    assert large > 5 * small


def test_a_loop_that_goes_on_while_a_condition_holds_is_asked_about(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Less", ["i", "most"], ["on"]),
            helper.make_node("Relu", ["before"], ["after"]),
        ],
        "body",
        [given("i", INT64, []), given("go", TensorProto.BOOL, []), given("before", FLOAT, [4])],
        [given("on", TensorProto.BOOL, []), given("after", FLOAT, [4])],
    )
    node = helper.make_node("Loop", ["", "", "x"], ["y"], body=body)
    inputs = [given("x", FLOAT, [4]), given("most", INT64, [])]
    model = save(tmp_path / "while.onnx", [node], inputs, rank=1)
    with pytest.raises(UsageError, match=r"most int64 \[\] \(its values go into Loop\)"):
        fed(model)


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("Range", ["zero", "n_frames", "one"]),
        ("Expand", ["x", "n_frames"]),
        ("ConstantOfShape", ["n_frames"]),
        ("own.Attention", ["x", "n_frames"]),
    ],
)
def test_what_becomes_a_size_or_goes_to_operators_of_others_is_asked_for(
    operator: str, inputs: list[str], tmp_path: Path
) -> None:
    """Also by way of arithmetic."""
    domain, _, kind = operator.rpartition(".")
    nodes = [
        helper.make_node("Mul", ["frames", "one"], ["n_frames"]),
        helper.make_node(kind, inputs, ["y"], domain=domain),
    ]
    given_inputs = [given("frames", INT64, [3]), given("x", FLOAT, [1, 1, 1])]
    weights = {"zero": np.array(0), "one": np.array(1)}
    model = save(tmp_path / "sizes.onnx", nodes, given_inputs, weights)
    with pytest.raises(UsageError, match=rf"frames int64 \[3\] \(its values go into {operator}\)"):
        fed(model)


def test_few_fractions_that_decide_a_length_are_asked_for(tmp_path: Path) -> None:
    """As the `scales` of speech synthesis."""
    nodes = [
        helper.make_node("Cast", ["scale"], ["whole"], to=INT64),
        helper.make_node("ConstantOfShape", ["whole"], ["y"]),
    ]
    model = save(tmp_path / "speech.onnx", nodes, [given("scale", FLOAT, [1])], rank=1)
    with pytest.raises(UsageError, match=r"scale float32 \[1\] \(its values go into ConstantOf"):
        fed(model)


def test_indices_are_drawn_from_the_rows_that_they_pick_from(tmp_path: Path) -> None:
    ids, segments, mask = fed(words(tmp_path / "words.onnx"), asked(dim="sequence=128")).feeds
    assert ids.values is not None
    assert ids.values.shape == ids.shape == (1, 128)
    assert 0 <= ids.values.min() < 1_000
    assert 29_000 < ids.values.max() < 30_000
    assert str(ids).endswith(
        "int64 [1, 128] (batch = 1, the batch of the profile), values in 0..29999"
    )
    assert (segments.told, mask.told) == ("values in 0..1", "values 0 and 1")
    assert visited(tmp_path / "words.onnx", asked(dim="sequence=128"))


def test_indices_of_tflite_files_are_drawn_from_their_rows(tmp_path: Path) -> None:
    example = (torch.zeros(1, 5, dtype=torch.int32), torch.zeros(1, 5, dtype=torch.int32))
    model = tflite(tmp_path / "words.tflite", ("serving_default", Words(), example))
    assert [feed.told for feed in fed(model).feeds] == ["values in 0..49", "values 0 and 1"]
    assert visited(model, NOTHING_ASKED, litert.open_session)


def test_indices_of_unknown_rows_and_lengths_by_their_names_are_asked_for(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["x", "last"], ["y"])
    inputs = [given("x", FLOAT, ["batch", 4]), given("last", INT64, [2])]
    model = save(tmp_path / "last.onnx", [node], inputs)
    with pytest.raises(UsageError, match=r"last int64 \[2\] \(its values go into Gather\)"):
        fed(model)
    node = helper.make_node("Cast", ["src_lengths"], ["y"], to=FLOAT)
    model = save(tmp_path / "lengths.onnx", [node], [given("src_lengths", INT64, [8])], rank=1)
    with pytest.raises(UsageError, match=r"its name is that of an amount.*src_lengths.npy$"):
        fed(model)


def test_only_a_first_size_that_is_called_so_is_the_batch(tmp_path: Path) -> None:
    model = relu(tmp_path / "time.onnx", ["sequence_length", 1, 32])
    with pytest.raises(UsageError, match=r"x float32 \[sequence_length, 1, 32\]; .*--dim seq"):
        fed(model, batch=1)
    assert shapes(fed(model, asked(dim="sequence_length=32"))) == {"x": (32, 1, 32)}
    with pytest.raises(UsageError, match=r"x float32 \[\?, 1, 32\].*--shape x=8,1,32$"):
        fed(relu(tmp_path / "nameless.onnx", [None, 1, 32]), batch=8)
    for name in ("batch", "N", "batch_size", "images_batch"):
        told = fed(relu(tmp_path / "batch.onnx", [name, 16]), batch=8)
        assert shapes(told) == {"x": (8, 16)}
        assert f"{name} = 8, the batch of the profile" in told.describe()


@pytest.mark.parametrize("name", [None, "unk__37", "s0", "x_dynamic_axes_1"])
def test_the_first_of_images_without_a_name_is_the_batch_and_that_is_told(
    name: str | None, tmp_path: Path
) -> None:
    told = fed(relu(tmp_path / "images.onnx", [name, 3, 8, 8]), batch=8)
    assert shapes(told) == {"x": (8, 3, 8, 8)}
    assert "(the first size = 8, the batch of the profile)" in told.describe()
    named = relu(tmp_path / "frames.onnx", ["frames", 3, 8, 8])
    with pytest.raises(UsageError, match="frames=128"):
        fed(named)


def test_sizes_are_given_whole_or_by_name_and_hold_for_all_inputs(tmp_path: Path) -> None:
    node = helper.make_node("Concat", ["a", "b"], ["y"], axis=0)
    inputs = [given("a", FLOAT, ["batch", "width"]), given("b", FLOAT, [2, "width"])]
    model = save(tmp_path / "two.onnx", [node], inputs)
    wanted = {"a": (1, 7), "b": (2, 7)}
    np.save(tmp_path / "b.npy", np.ones((2, 7)))
    for said in (asked(dim="width=7"), asked("a=1,7"), asked(input_=f"b={tmp_path}/b.npy")):
        assert shapes(fed(model, said)) == wanted
        assert visited(model, said)
    for said, wrong in (
        (asked("a=1,7 b=2,8"), r"\[2, 8\] is not a shape of input b float32 \[2, width\]"),
        (asked("b=3,7"), r"\[3, 7\] is not a shape"),
        (asked("a=7"), r"\[7\] is not a shape"),
        (asked(dim="height=7"), "no open size called 'height'; with names: batch, width"),
        (asked("c=1,7"), r"no input 'c'; its inputs: a float32 \[batch, width\], b"),
    ):
        with pytest.raises(UsageError, match=wrong):
            fed(model, said)


@pytest.mark.parametrize(
    "said", [("x", "", ""), ("x=", "", ""), ("x=1,b", "", ""), ("", "h=-1", ""), ("", "", "=3")]
)
def test_what_is_written_differently_is_refused_with_an_example(said: tuple[str, str, str]) -> None:
    with pytest.raises(UsageError, match="is not understood; write "):
        asked(*said)


def test_an_input_is_named_once() -> None:
    with pytest.raises(UsageError, match="--dim names 'h' twice"):
        asked(dim="h=1 h=2")


def test_values_come_from_files_as_the_input_takes_them(tmp_path: Path) -> None:
    model = words(tmp_path / "words.onnx")
    np.save(tmp_path / "ids.npy", np.arange(6, dtype=np.int32).reshape(1, 6))
    ids, segments, _ = fed(model, asked(input_=f"ids={tmp_path}/ids.npy segments=1")).feeds
    assert ids.values is not None
    assert segments.values is not None
    assert ids.values.dtype == np.int64
    assert ids.values.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert (segments.values.tolist(), segments.told) == ([[1] * 6], "value 1")
    assert ids.told.startswith("sha256 ")
    np.save(tmp_path / "halves.npy", np.full((1, 6), 0.5))
    with pytest.raises(UsageError, match=r"ids int64 .* cannot hold the float64 numbers"):
        fed(model, asked(input_=f"ids={tmp_path}/halves.npy"))
    with pytest.raises(FileFormatError, match=r"cannot read .*none\.npy"):
        fed(model, asked(input_=f"ids={tmp_path}/none.npy"))
    with pytest.raises(UsageError, match="ids=words is neither a number nor a"):
        fed(model, asked(input_="ids=words"))


def test_what_was_given_is_what_runs(tmp_path: Path) -> None:
    """By an index that is out of range only in the file that was given."""
    model = words(tmp_path / "words.onnx", rows=10)
    with pytest.raises(TargetFailed, match="indices element out of data bounds, idx=77"):
        visited(model, asked(dim="sequence=3", input_="ids=77"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (helper.make_tensor_type_proto(TensorProto.STRING, [3]), r"tensor\(string\)"),
        (helper.make_tensor_type_proto(TensorProto.BFLOAT16, [3]), r"tensor\(bfloat16\)"),
        (helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, [3])), "sequence"),
        (helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [3])), "optional"),
    ],
)
def test_kinds_that_are_not_fed_are_named(kind: object, name: str, tmp_path: Path) -> None:
    value = helper.make_value_info("other", kind)  # type: ignore[arg-type]
    node = helper.make_node("Identity", ["x"], ["y"])
    model = save(tmp_path / "kind.onnx", [node], [given("x", FLOAT, [3]), value], rank=1)
    with pytest.raises(TargetFailed, match=f"its input 'other' is of type {name}.* not fed here"):
        fed(model)


def test_a_size_of_zero_is_a_size(tmp_path: Path) -> None:
    """The empty cache of a decoder's first step."""
    node = helper.make_node("Concat", ["past", "x"], ["y"], axis=1)
    inputs = [given("past", FLOAT, [1, 0, 8]), given("x", FLOAT, [1, 4, 8])]
    model = save(tmp_path / "cache.onnx", [node], inputs, rank=3)
    assert shapes(fed(model)) == {"past": (1, 0, 8), "x": (1, 4, 8)}
    assert visited(model, NOTHING_ASKED)


def test_one_of_two_signatures_is_chosen_by_the_user_and_then_runs(tmp_path: Path) -> None:
    model = two_graphs(tmp_path / "language.tflite")
    with pytest.raises(UsageError, match=r"decode, prefill; choose one: .* --signature decode$"):
        fed(model)
    with pytest.raises(UsageError, match="no signature 'main'; its signatures: decode, prefill"):
        fed(model, asked(signature="main"))
    with pytest.raises(UsageError, match="--signature is for"):
        fed(loop(tmp_path / "loop.onnx"), asked(signature="main"))
    one, forty = (
        us(visited(model, asked(signature=name), litert.open_session))
        for name in ("decode", "prefill")
    )
    assert forty > 10 * one
    assert fed(model, asked(signature="prefill")).describe().startswith("signature prefill; input")


def test_an_open_batch_of_a_tflite_file_is_the_profiles(tmp_path: Path) -> None:
    model = open_batch(tmp_path / "images.tflite")
    options = RuntimeOptions(batch=8)
    one, eight = (fed(model, NOTHING_ASKED, batch).feeds[0].shape for batch in (1, options.batch))
    assert (one, eight) == ((1, 3, 64, 64), (8, 3, 64, 64))
    told = asked("args_0=4,3,64,64")  # also by the name that its signature has for it
    assert fed(model, told).feeds[0].shape == (4, 3, 64, 64)


@pytest.mark.parametrize("name", ["broken.tflite", "broken.onnx"])
def test_what_is_no_such_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00not a model")
    with pytest.raises(FileFormatError, match=rf"{name} is no \S+ file"):
        fed(tmp_path / name)
