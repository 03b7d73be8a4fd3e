"""Zeros: how many, where, that they stay, and that exported files have them."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper

from harness.deploy.bundle import write
from harness.deploy.formats import FORMATS
from harness.errors import CheckpointError, UsageError
from harness.networks.build import build_random
from harness.networks.file import NetworkFile, Preprocessing
from harness.networks.layers import MBConv, SqueezeExcite
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.training import bn
from harness.training.data import MEAN, STD, Digits
from harness.training.finetune import Tuning, checkpoint_of, finetune
from harness.training.sparsity import (
    GROUP,
    Sparsity,
    begun,
    draw,
    kept,
    prune,
    prune_2_4,
    thinned,
    zeros,
)
from tests.conftest import lively_supernet, predict

ARCH = Arch(12, (2, 1, 1), (3,) * 9, (4,) * 9)
TUNING = Tuning(epochs=0.8, learning_rate=0.05, batch_size=64, seed=1)
STEPS = 14
SOURCE = {"file": {"name": "network.pt", "sha256": "0"}, "supernet": None}


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits.load()


@pytest.fixture
def network() -> NetworkFile:
    return NetworkFile(
        space="digits",
        arch=ARCH,
        blocks=DIGITS.blocks(ARCH),
        weights=dict(lively_supernet().extract(ARCH).state_dict()),
        preprocessing=Preprocessing(12, MEAN, STD),
        classes=tuple("0123456789"),
        origin={},
    )


def sparse(network: NetworkFile, share: float = 0.75) -> NetworkFile:
    module = network.module()
    prune(module, share)
    bn.recompute(module, [torch.randn(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))])
    return replace(network, weights=dict(module.state_dict()))


def test_the_smallest_weights_of_each_layer_go_and_what_is_gone_counts(
    network: NetworkFile,
) -> None:
    module = network.module()
    before = {name: each.clone() for name, each in module.state_dict().items()}
    prune(module, 0.5)
    prune(module, 0.75)
    for name, value in module.state_dict().items():
        if name not in thinned(module):
            assert value.equal(before[name]), name
            continue
        gone, size = value == 0, before[name].abs()
        assert int(gone.sum()) == round(0.75 * value.numel())
        assert size[gone].max() <= size[~gone].min()
    assert zeros(module) == pytest.approx(0.75, abs=0.001)


def test_the_first_layer_and_depthwise_filters_stay_whole(network: NetworkFile) -> None:
    names = thinned(network.module())
    whole = {name for name, each in network.weights.items() if each.ndim > 1} - names.keys()
    assert whole == {"0.0.weight"} | {
        n for n in network.weights if n.endswith("depthwise.0.weight")
    }
    assert any(".se." in name for name in names)
    assert any(name.startswith(f"{len(network.blocks) - 1}.") for name in names)


def test_two_of_four_neighbours_along_the_inputs_stay(network: NetworkFile) -> None:
    module = network.module()
    prune_2_4(module)
    for name, value in thinned(module).items():
        before = network.weights[name]
        if value.shape[1] % GROUP:
            assert value.equal(before)
            continue
        for group in range(0, value.shape[1], GROUP):
            left = value[:, group : group + GROUP] != 0
            assert bool((left.sum(1) == 2).all())
            size = before[:, group : group + GROUP].abs()
            assert torch.where(left, math.inf, size).amin(1).max() < math.inf
            largest = torch.where(left, -1.0, size).amax(1)
            assert bool((largest <= torch.where(left, size, math.inf).amin(1)).all())


def test_predefined_connections_are_as_many_to_each_output_and_follow_from_the_seed(
    network: NetworkFile,
) -> None:
    one, same, other = (network.module() for _ in range(3))
    for module, seed in ((one, 1), (same, 1), (other, 2)):
        draw(module, 0.75, seed)
    for value in thinned(one).values():
        left = (value != 0).flatten(1).sum(1)
        assert left.unique().tolist() == [max(1, round(0.25 * value[0].numel()))]
    assert all(
        a.equal(b) for a, b in zip(thinned(one).values(), thinned(same).values(), strict=True)
    )
    assert any(
        not a.equal(b) for a, b in zip(thinned(one).values(), thinned(other).values(), strict=True)
    )


def test_cut_channels_are_those_that_add_nothing_first_and_the_network_is_smaller(
    network: NetworkFile,
) -> None:
    module = network.module()
    for part in module.modules():
        if isinstance(part, MBConv):  # half of the channels are not looked at
            half = len(part.project[0].weight[0]) // 2
            unseen = torch.randperm(2 * half, generator=torch.Generator().manual_seed(1))[:half]
            part.project[0].weight.data[:, unseen] = 0
            if isinstance(part.se, SqueezeExcite):
                part.se.reduce.weight.data[:, unseen] = 0
    silent = replace(network, weights=dict(module.state_dict()))
    smaller = begun(silent, Sparsity(0.5, "channels"), 0)
    images = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    logits = predict(module.eval(), images)
    assert torch.allclose(predict(smaller.module(), images), logits, atol=1e-5)
    assert smaller.arch is None
    macs = [sum(block.macs for block in each.blocks) for each in (smaller, network)]
    assert macs[0] < 0.65 * macs[1]


@pytest.mark.parametrize(
    ("sparsity", "share"),
    [
        (Sparsity(0.9), 0.9),
        (Sparsity(0.5, "2:4"), 0.48),
        (Sparsity(0.75, "predefined"), 0.75),
        (Sparsity(0.5, "channels"), 0.0),
        (Sparsity(0.8, rewind=3), 0.8),
    ],
    ids=lambda each: str(each),
)
def test_zeros_are_as_many_as_asked_for_and_a_run_killed_ends_with_the_same_weights(
    network: NetworkFile, digits: Digits, tmp_path: Path, sparsity: Sparsity, share: float
) -> None:
    tuning = replace(TUNING, sparsity=sparsity)
    whole = finetune(network, digits, tuning, tmp_path / "whole.pt", SOURCE)
    total = sparsity.steps(STEPS)
    assert total == (STEPS if sparsity.rewind is None else STEPS + 3 * (STEPS - 3))
    output = tmp_path / "killed.pt"
    for stop in (2, 5, total - 2):

        def killed(done: int, of: int, stop: int = stop) -> None:
            assert of == total
            if done == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            finetune(network, digits, tuning, output, SOURCE, None, killed, checkpoint_every_s=0)
    again = finetune(network, digits, tuning, output, SOURCE)
    assert not checkpoint_of(output).exists()
    assert all(each.equal(again.weights[name]) for name, each in whole.weights.items())
    loaded = NetworkFile.load(output)
    assert zeros(loaded.module()) == pytest.approx(share, abs=0.03)
    told, left = (
        loaded.origin["weights"],
        sum(int((w != 0).sum()) for w in loaded.weights.values() if w.ndim > 1),
    )
    assert told == {
        "left": left,
        "of": sum(w.numel() for w in network.weights.values() if w.ndim > 1),
    }
    assert loaded.origin["tickets"] == whole.origin["tickets"]
    shares = [each["zeros"] for each in loaded.origin["tickets"]]
    assert shares == (pytest.approx([0, 0.5, 0.75], abs=0.001) if sparsity.rewind else [])


def test_a_dense_run_takes_no_thinned_one_for_its_own(
    network: NetworkFile, digits: Digits, tmp_path: Path
) -> None:
    def stop(_done: int, _total: int) -> None:
        if checkpoint_of(output).exists():
            raise KeyboardInterrupt

    output, thinned = tmp_path / "tuned.pt", replace(TUNING, sparsity=Sparsity(0.9))
    with pytest.raises(KeyboardInterrupt):
        finetune(network, digits, thinned, output, SOURCE, None, stop, checkpoint_every_s=0)
    with pytest.raises(CheckpointError, match=r"sparsity was .*, is None; name another output"):
        finetune(network, digits, TUNING, output, SOURCE)
    finetune(network, digits, thinned, output, SOURCE)
    with pytest.raises(UsageError, match=r"is there and is something else"):
        finetune(network, digits, TUNING, output, SOURCE)


def test_tickets_begin_each_round_with_the_weights_of_the_step_that_was_asked_for(
    network: NetworkFile, digits: Digits, tmp_path: Path
) -> None:
    """With a learning rate of nothing all that a round does is pruning and going back."""
    still = replace(
        TUNING, learning_rate=1e-30, weight_decay=0.0, sparsity=Sparsity(0.75, rewind=0)
    )
    ticket = finetune(network, digits, still, tmp_path / "ticket.pt", SOURCE)
    module = network.module()
    prune(module, 0.75)
    for name, value in thinned(module).items():
        assert value.equal(ticket.weights[name])


def test_zeros_of_a_file_stay_when_it_is_trained_further(
    network: NetworkFile, digits: Digits, tmp_path: Path
) -> None:
    given = sparse(network)
    tuned = finetune(given, digits, TUNING, tmp_path / "tuned.pt", SOURCE)
    for name in thinned(network.module()):
        assert (tuned.weights[name] == 0).equal(given.weights[name] == 0)
        assert not tuned.weights[name].equal(given.weights[name])


def test_what_is_zero_stays_zero_whatever_a_step_does(network: NetworkFile) -> None:
    module = sparse(network).module()
    with kept(module), torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    assert zeros(module) == pytest.approx(0.75, abs=0.001)


def weights_of(path: Path) -> Iterator[np.ndarray]:
    """Of a file: its tensors of weights, as numbers that are zero where the file's are."""
    if path.suffix == ".pt2":
        program = torch.export.load(path)
        yield from (value.detach().numpy() for value in program.state_dict.values())
    elif path.suffix == ".onnx":
        yield from map(numpy_helper.to_array, onnx.load(path).graph.initializer)
    else:
        content = path.read_bytes()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        for tensor in model.subgraphs[0].tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or tensor.type not in (
                schema.TensorType.FLOAT32,
                schema.TensorType.INT8,
            ):
                continue
            kind = np.float32 if tensor.type == schema.TensorType.FLOAT32 else np.int8
            values = np.frombuffer(bytes(data), kind).reshape(tensor.shape)
            if values.ndim > 1 and kind is np.int8:
                assert not np.any(tensor.quantization.zeroPoint)
            yield values


@pytest.mark.parametrize(
    "format_", [each for each in FORMATS if each.unasked], ids=lambda f: f.name
)
def test_exported_files_have_every_zero(
    network: NetworkFile, tmp_path: Path, format_: object
) -> None:
    """And int8 files the biases of filters that are pruned altogether: files are compared."""
    module = sparse(network, 0.5).module()
    for name, weight in thinned(module).items():
        weight[::4] *= name.startswith(f"{len(module) - 1}.")
    for name, parameter in module.named_parameters():
        if name.endswith("1.bias"):
            torch.nn.init.normal_(parameter, 0, 0.3, torch.Generator().manual_seed(1))
    given = replace(network, weights=dict(module.state_dict()))
    given.save(tmp_path / "network.pt")
    (chosen,) = [each for each in FORMATS if each is format_]
    write(chosen, given, tmp_path / "network.pt", tmp_path, None, None)
    found = [int((each == 0).sum()) for each in weights_of(tmp_path / chosen.file) if each.ndim > 1]
    wanted = [int((w == 0).sum()) for w in given.weights.values() if w.ndim > 1]
    if chosen.name == "tflite-int8":  # where small weights round to zero besides
        assert len(found) == len(wanted)
        assert all(a >= b for a, b in zip(sorted(found), sorted(wanted), strict=True))
    else:
        assert sorted(found) == sorted(wanted)
    assert sum(wanted) > 1000


@pytest.mark.parametrize(
    ("sparsity", "message"),
    [
        (Sparsity(0.75, rewind=14), r"--rewind 14: training has 14 steps"),
        (Sparsity(0.5, "channels"), "no block of the network has inner channels to spare"),
        (Sparsity(0.5, "2:4"), "no layer of the network can be thinned by --pattern 2:4"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_cannot_be_thinned_so_is_said(
    network: NetworkFile, digits: Digits, tmp_path: Path, sparsity: Sparsity, message: str
) -> None:
    if sparsity.rewind is None:
        stem, pool, head = (
            "conv-12x12x1-m5-o5-k3-s1-relu-se0-res0",
            "pool-12x12x5-m5-o5-k1-s1-none-se0-res0",
            "linear-1x1x5-m5-o10-k1-s1-none-se0-res0",
        )
        blocks = tuple(Block.parse(key) for key in (stem, pool, head))
        weights = dict(build_random(blocks, 0).state_dict())
        network = replace(network, blocks=blocks, arch=None, weights=weights)
    with pytest.raises(UsageError, match=message):
        finetune(network, digits, replace(TUNING, sparsity=sparsity), tmp_path / "x.pt", SOURCE)
