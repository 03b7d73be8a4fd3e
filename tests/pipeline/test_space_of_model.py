"""Networks of ours, exported, become spaces in which they are archs again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from harness.errors import FileFormatError, UsageError
from harness.networks.build import build, input_shape
from harness.pipeline.space_of_model import space_of_model
from harness.spaces.arch import Arch
from harness.spaces.catalogue import find_space
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import MobileSpace, Stage
from harness.spaces.resnet import OFA_RESNET50
from harness.supernet.supernet import Supernet
from tests.command_line import harness

SMALL = MobileSpace(
    name="small",
    title="Small",
    resolutions=(32,),
    image_channels=3,
    classes=5,
    stem=Stage(8, 2, "h_swish", se=False),
    first_block=Stage(8, 1, "relu", se=False),
    stages=(
        Stage(16, 2, "relu", se=False, depths=(2,)),
        Stage(24, 2, "h_swish", se=True, depths=(1,)),
        Stage(24, 1, "swish", se=True, depths=(1,)),
    ),
    depths=(1, 2),
    kernels=(3, 5),
    expands=(1, 2.5, 4),
    head_width=40,
    mix_width=48,
    head_act="swish",
    divisor=8,
)
ARCH = Arch(32, (2, 1, 1), (3, 5, 3, 5), (4, 2.5, 4, 2.5))
RESNET = replace(
    OFA_RESNET50,
    name="residual",
    base_depths=(1, 1),
    base_widths=(16, 32),
    strides=(1, 2),
    stem_width=40,
    resolutions=(32,),
    released_at=(),
)
OF_RESNET = Arch(32, (2, 1, 0), (), (0.25, 0.35, 0, 0.2, 0, 0), (2, 1, 0, 2))
RELU6 = replace(
    SMALL,
    stem=Stage(8, 2, "relu6", se=False),
    first_block=None,
    stages=(Stage(12, 2, "relu6", se=False, depths=(2,)),),
    mix_width=0,
    head_act="relu6",
    divisor=4,
)
OF_INPUT = replace(
    SMALL,
    stages=(
        Stage(16, 2, "swish", se=True, depths=(2,), squeezes_input=True),
        Stage(24, 2, "swish", se=True, depths=(2,), squeezes_input=True),
    ),
)


def exported(module: nn.Module, path: Path, shape: Sequence[int] = (1, 3, 32, 32)) -> Path:
    torch.onnx.export(module.eval(), (torch.zeros(*shape),), path, dynamo=False, opset_version=17)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("blocks", "family"),
    [
        (SMALL.blocks(ARCH), "MobileSpace"),
        (RELU6.blocks(Arch(32, (2,), (3, 5), (4, 2.5))), "MobileSpace"),
        (OF_INPUT.blocks(Arch(32, (2, 2), (3, 5, 3, 5), (4, 2.5, 4, 2.5))), "MobileSpace"),
        (RESNET.blocks(OF_RESNET), "ResNetSpace"),
        (
            RESNET.blocks(replace(OF_RESNET, depths=(0, 0, 1), expands=(0.2, 0, 0, 0.35, 0.25, 0))),
            "ResNetSpace",
        ),
    ],
    ids=["squeezes", "relu6", "squeezed input", "bottlenecks", "short stem"],
)
def test_an_exported_network_is_an_arch_of_its_space_block_by_block(
    blocks: tuple[Convolution, ...],
    family: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    module = f"around_{request.node.callspec.id.replace(' ', '_')}"
    monkeypatch.syspath_prepend(str(tmp_path))
    network = build(blocks)
    model = exported(network, tmp_path / "Mine_1.onnx", input_shape(blocks, 1))
    made = space_of_model(model, tmp_path / f"{module}.py")
    space = find_space(f"{module}:SPACE")
    assert (type(space).__name__, space.name) == (family, "like-mine-1")
    assert space.blocks(made.arch) == blocks
    assert made.network.macs == made.macs == sum(block.macs for block in blocks)
    folded = sum(block.params - block.normalised for block in blocks)
    assert made.network.params == made.params == folded
    assert made.network.apart == ()
    supernet = Supernet(space).eval()
    supernet.activate(made.arch)
    assert supernet(torch.zeros(input_shape(blocks, 1))).shape == (1, blocks[-1].out_channels)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_activations_that_are_spelt_out_are_known(tmp_path: Path) -> None:
    class Spelt(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * nn.functional.relu6(x + 3.0) / 6.0

    blocks = SMALL.blocks(ARCH)
    network = build(blocks)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Hardswish):
                setattr(parent, name, Spelt())
    model = exported(network, tmp_path / "mine.onnx")
    made = space_of_model(model, tmp_path / "spelt.py")
    assert made.space.blocks(made.arch) == blocks


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_branches_may_be_mixed_in_the_file(tmp_path: Path) -> None:
    blocks = RESNET.blocks(OF_RESNET)
    model = exported(build(blocks), tmp_path / "mine.onnx")
    mixed = onnx.load(model)
    depths: dict[str, int] = {}
    for node in mixed.graph.node:
        depths[node.output[0]] = 1 + max((depths.get(name, 0) for name in node.input), default=0)
    nodes = sorted(mixed.graph.node, key=lambda node: depths[node.output[0]])
    assert nodes != list(mixed.graph.node)
    del mixed.graph.node[:]
    mixed.graph.node.extend(nodes)
    onnx.save(mixed, model)
    made = space_of_model(model, tmp_path / "mixed.py")
    assert made.space.blocks(made.arch) == blocks


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("module", "told"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.LeakyReLU()), "after 1 blocks.*LeakyRelu"),
        (nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=2)), "of 2 groups"),
        (nn.Sequential(nn.Conv2d(3, 8, 3, dilation=2)), "dilated"),
        (nn.Conv2d(3, 8, 7, 2, 3), "block 1 .* its stem is a convolution of 7x7"),
        (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()), "block 1 .* a mbconv is wanted"),
        (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Flatten(2)), r"after 1 blocks.*Reshape"),
    ],
)
def test_what_fits_no_space_is_one_line_with_the_first_part_that_does_not(
    module: nn.Module, told: str, tmp_path: Path
) -> None:
    model, output = exported(module, tmp_path / "odd.onnx"), tmp_path / "odd.py"
    with pytest.raises(UsageError, match=f"odd.onnx fits no space: .*{told}") as error:
        space_of_model(model, output)
    assert "\n" not in str(error.value)
    assert not output.exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_is_there_is_kept_and_a_broken_model_is_one_line(tmp_path: Path) -> None:
    model, output = tmp_path / "mine.onnx", tmp_path / "mine.py"
    model.write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match=r"mine\.onnx"):
        space_of_model(model, output)
    exported(nn.Conv2d(3, 8, 3, 2, 1), model)
    broken = onnx.load(model)
    broken.graph.node.append(onnx.NodeProto(op_type="Identity", output=["nothing"]))
    onnx.save(broken, model)
    with pytest.raises(FileFormatError, match=r"mine\.onnx has a node or input that is broken"):
        space_of_model(model, output)
    output.write_text("MINE = 1")
    with pytest.raises(UsageError, match="may have been edited"):
        space_of_model(model, output)
    assert output.read_text() == "MINE = 1"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_command_shows_the_counts_of_both_and_what_to_do_next(tmp_path: Path) -> None:
    blocks = SMALL.blocks(ARCH)
    exported(build(blocks), tmp_path / "mine.onnx")
    ended = harness(tmp_path, "spaces", "from", "mine.onnx")
    assert ended.returncode == 0, ended.stderr
    macs = sum(block.macs for block in blocks)
    assert f"MACs: {macs} in the file, {macs} in the space" in ended.stdout
    assert "harness measure --space my_space:SPACE" in ended.stdout
