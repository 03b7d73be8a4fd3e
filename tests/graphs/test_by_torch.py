"""Programs of anybody become the calls that torch makes."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import FileFormatError, Infeasible, TargetFailed, UsageError
from harness.graphs.graph import Graph
from harness.graphs.reading import TORCH, read_model
from harness.runtimes.agent import calls
from harness.runtimes.conversion.kernel_torch import SUFFIX, kernel_file, network_file
from harness.runtimes.model_inputs.asked import Asked
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.torch import open_session
from harness.spaces.kernel import Kernel
from harness.spaces.kernel_of_torch import ALIAS
from harness.transports.local import LocalTransport


class Block(nn.Module):
    """With what programs have: branches, views, writing in place, lists, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.qkv = nn.Linear(16, 48)
        self.last = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.norm(self.conv(x)))
        x = x + self.depthwise(x)
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        attended = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        out: Tensor = self.last(torch.cat([tokens, attended], dim=-1).mean(1))
        return out


def save(network: nn.Module, example: tuple[Tensor, ...], path: Path, **options: object) -> Path:
    torch.export.save(torch.export.export(network.eval(), example, **options), path)  # type: ignore[arg-type]
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save(Block(), (torch.randn(1, 8, 12, 12),), tmp_path / "m.pt2")


def read(path: Path, asked: Asked | None = None) -> Graph:
    return read_model(path, asked or Asked(), TORCH)


def named(graph: Graph, op: str) -> Kernel:
    return next(each for each in graph.kernels if each.op == f"aten.{op}")


def test_each_call_is_a_kernel_with_what_its_cost_depends_on(path: Path) -> None:
    graph = read(path)
    conv, depthwise = (each for each in graph.kernels if each.op == "aten.conv2d")
    assert conv.macs == 16 * 6 * 6 * 8 * 9
    assert (conv.stage, conv.form.stride, conv.params) == ("convolution", 4, 8 * 16 * 9 + 16)
    assert (depthwise.stage, depthwise.macs) == ("depthwise", 16 * 6 * 6 * 9)
    assert named(graph, "linear").macs == 36 * 16 * 48
    assert [each.macs for each in graph.kernels if each.op == "aten.matmul"] == [36 * 36 * 16] * 2


def test_views_and_writing_in_place_are_told_by_the_memory_that_they_share(path: Path) -> None:
    graph = read(path)
    aliases = {each.op for each in graph.kernels if ALIAS in each.settings}
    assert {"aten.relu_", "aten.flatten.using_ints", "aten.transpose.int", "aten.chunk"} <= aliases
    assert not aliases & {"aten.conv2d", "aten.add.Tensor", "aten.cat", "aten.softmax.int"}
    assert named(graph, "linear").settings["strides0"] == "[576,1,36]"  # of a transposed view
    most = 4 * (36 * 16 + 36 * 48 + 2 * 36 * 36)  # tokens; q, k and v; scores before and after
    assert graph.peak_activations_bytes == most


class Masked(nn.Module):
    """A convolution whose weights are made in every run, of a part of others."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 8, 3, 3))
        self.mask = nn.Buffer(torch.ones(8, 8, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight[:8] * self.mask)


def test_what_is_cut_or_multiplied_is_no_weight_that_a_library_prepares(tmp_path: Path) -> None:
    path = save(Masked(), (torch.randn(1, 8, 6, 6),), tmp_path / "m.pt2")
    cut, product, conv = read(path).kernels
    assert (cut.params, product.params, conv.params) == (0, 0, 0)
    assert cut.variant == Kernel.parse("kernel-aten.detach;float32[4];alias=0;>float32[4]").variant
    assert (conv.macs, len(conv.given)) == (16 * 8 * 8 * 9, 2)


def test_a_network_made_of_its_kernels_calls_the_same(path: Path, tmp_path: Path) -> None:
    graph = read(path)
    (tmp_path / "n.aten").write_bytes(network_file(graph.kernels, graph.sources))
    module, given = calls.read(tmp_path / "n.aten")
    again = torch.export.export(module, tuple(given))
    assert read(_saved(again, tmp_path / "again.pt2")).kernels == graph.kernels


def _saved(program: torch.export.ExportedProgram, path: Path) -> Path:
    torch.export.save(program, path)
    return path


def test_every_kernel_and_the_network_of_them_runs_on_the_device(
    path: Path, tmp_path: Path
) -> None:
    graph = read(path)
    network = tmp_path / f"network{SUFFIX}"
    network.write_bytes(network_file(graph.kernels, graph.sources))
    with closing(open_session(LocalTransport(), RuntimeOptions(cpus="one"))) as session:
        for kernel in dict.fromkeys(graph.kernels):
            session.prepare([(kernel,)])
            assert min(session.visit((kernel,), 3).values["thread"]) > 0
        assert min(session.visit(network, 3).values["thread"]) > 0
        images = np.random.default_rng(0).standard_normal((2, 8, 12, 12)).astype(np.float32)
        expected = torch.export.load(path).module()
        for answer, image in zip(session.infer(path, images), images, strict=True):
            assert np.allclose(answer, expected(torch.from_numpy(image[None])).detach(), atol=1e-5)


def test_open_sizes_are_those_that_were_asked_for(tmp_path: Path) -> None:
    size = torch.export.Dim("wide", min=4, max=64)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1))
    path = save(
        network, (torch.randn(1, 3, 8, 8),), tmp_path / "m.pt2", dynamic_shapes=({3: size},)
    )
    with pytest.raises(UsageError, match="--shape input=1,3,8"):
        read(path)
    asked = Asked(shapes={"input": (1, 3, 8, 20)})
    assert named(read(path, asked), "conv2d").outputs[0].shape == (1, 4, 6, 18)


class Counting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0].sum()


class Choosing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        chosen: Tensor = torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))
        return chosen


@pytest.mark.parametrize("network", [Counting(), Choosing()])
def test_what_depends_on_values_is_one_line(network: nn.Module, tmp_path: Path) -> None:
    path = save(network, (torch.randn(6),), tmp_path / "m.pt2")
    with pytest.raises(FileFormatError, match="without its values") as caught:
        read(path)
    assert "\n" not in str(caught.value)


class Scaling(nn.Module):
    def forward(self, x: Tensor, factor: int) -> Tensor:
        return x * factor


def test_a_program_that_takes_a_number_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(Scaling(), (torch.randn(6), 4)), path)
    with pytest.raises(FileFormatError, match="takes 4, which is no tensor"):
        read(path)
    options = RuntimeOptions(cpus="one")
    with (
        closing(open_session(LocalTransport(), options)) as session,
        pytest.raises(TargetFailed, match="takes 4, which is no tensor"),
    ):
        session.load(path)


@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_a_broken_file_is_one_line(
    path: Path, kept: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FileFormatError, match="cannot read") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    "key",
    [
        "kernel-aten.unheard;float32[1,4];>float32[1,4]",
        "kernel-aten.sum.dim_IntList;float32[1,4];dim=sha256:0123456789abcdef;>float32[1]",
    ],
)
def test_a_kernel_that_is_not_told_whole_is_not_timed(key: str) -> None:
    with pytest.raises(Infeasible):
        kernel_file(Kernel.parse(key))


def test_a_file_calls_operators_of_torch_and_nothing_else(tmp_path: Path) -> None:
    content = kernel_file(Kernel.parse("kernel-aten.relu;float32[1,4];>float32[1,4]"))
    (tmp_path / "m.aten").write_bytes(content.replace(b"aten.relu", b"os.system"))
    with pytest.raises(ValueError, match="no operators of os"):
        calls.read(tmp_path / "m.aten")
