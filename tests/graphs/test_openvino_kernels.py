"""Kernels of OpenVINO tell what they cost, and become files, also where it is not installed."""

import io
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

from harness.errors import Infeasible
from harness.graphs.networks import prior
from harness.graphs.reading import OPENVINO
from harness.predictors.kernel_savings import narrower
from harness.runtimes.conversion.kernel_openvino import as_it_lies, kernel_file
from harness.spaces.kernel import Kernel

EVERY, LARGEST = 50, 10**6  # of the kernels that ship; numbers of a kernel
LAST = "layouts=acdb,acdb,acdb"
CONCAT = (
    "kernel-openvino.Concat;float32[1,24,28,28];float32[1,8,28,28];"
    f"n0=opset1.Concat(i0,i1)[1,32,28,28];axis=1;{LAST};>float32[1,32,28,28]"
)
ATTENTION = (
    "kernel-openvino.Subgraph;float32[1,50,2,32];float32[1,2,32,50];int32{4}(0,2,1,3);"
    "n0=opset1.Transpose(i0,i2)[1,2,50,32];n1=opset1.MatMul(n0,i1)[1,2,50,50];"
    "n2=opset1.SoftMax(n1)[1,2,50,50];n2_axis=3;>float32[1,2,50,50]"
)
GROUPED = (
    "kernel-openvino.GroupConvolution;float32[1,64,14,14];float32{8,16,8,3,3};"
    "n0=opset1.GroupConvolution(i0,i1)[1,128,14,14];pads_begin=1,1;pads_end=1,1;strides=1,1;"
    "n1=opset4.HSwish(n0)[1,128,14,14];layouts=acdb,acdb;>float32[1,128,14,14]"
)


@pytest.mark.parametrize(
    ("key", "macs", "stage", "variant"),
    [
        (CONCAT, 0, "moving", "openvino.Concat-last"),
        (ATTENTION, 2 * 50 * 50 * 32, "product", "openvino.Subgraph-product"),
        (GROUPED, 14 * 14 * 128 * 8 * 9, "convolution", "openvino.GroupConvolution-grouped"),
    ],
)
def test_a_kernel_tells_what_it_costs(key: str, macs: int, stage: str, variant: str) -> None:
    kernel = Kernel.parse(key)
    assert kernel.key == key
    assert (kernel.macs, kernel.stage, kernel.variant) == (macs, stage, variant)


def test_what_is_fused_behind_a_convolution_is_told() -> None:
    form = Kernel.parse(GROUPED).form
    assert (form.groups, form.window, form.is_activated) == (8, 9, True)


def test_a_convolution_with_half_of_its_channels_is_half_the_work() -> None:
    key = (
        "kernel-openvino.Convolution;float32[1,64,14,14];float32{128,64,3,3};float32{1,128,1,1};"
        "n0=opset1.Convolution(i0,i1)[1,128,14,14];pads_begin=1,1;pads_end=1,1;strides=1,1;"
        "n1=opset1.Add(n0,i2)[1,128,14,14];layouts=acdb,acdb;>float32[1,128,14,14]"
    )
    whole = Kernel.parse(key)
    half = narrower(whole, 64)
    assert 2 * half.macs == whole.macs
    assert half.params == 64 * 64 * 9 + 64


def test_maps_with_channels_last_are_joined_along_the_last_axis() -> None:
    found = as_it_lies(Kernel.parse(CONCAT))
    assert [each.shape for each in found.given] == [(1, 28, 28, 24), (1, 28, 28, 8)]
    assert found.settings["axis"] == "3"
    assert found.output_shape == (1, 28, 28, 32)


def test_kernels_that_ship_become_whole_files() -> None:
    kernels = sorted(each for each in prior(OPENVINO) if each.params < LARGEST)[::EVERY]
    assert len(kernels) > 50
    for kernel in kernels:
        with ZipFile(io.BytesIO(kernel_file(kernel))) as archive:
            xml, held = (archive.read(name) for name in ("model.xml", "model.bin"))
        net = ElementTree.fromstring(xml)
        ports = {
            (layer.get("id"), port.get("id"))
            for layer in net.iterfind("layers/layer")
            for port in layer.iter("port")
        }
        for edge in net.iterfind("edges/edge"):
            told = edge.attrib
            assert (told["from-layer"], told["from-port"]) in ports, kernel.key
            assert (told["to-layer"], told["to-port"]) in ports, kernel.key
        for data in net.iterfind("layers/layer[@type='Const']/data"):
            assert int(data.attrib["offset"]) + int(data.attrib["size"]) <= len(held), kernel.key


def test_an_operator_that_no_file_may_have_is_not_timed() -> None:
    key = "kernel-openvino.Own;float32[1,8];n0=cpu_plugin_opset.Own(i0)[1,8];>float32[1,8]"
    with pytest.raises(Infeasible, match="Own"):
        kernel_file(Kernel.parse(key))
