"""The depthwise convolution against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from harness.supernet.depthwise import depthwise_conv

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS, ids=("contiguous", "channels_last"))
@pytest.mark.parametrize("size", [3, 4, 9, 16])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_outputs_and_gradients_are_those_of_torch(
    kernel: int, stride: int, size: int, layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 16, size, size, generator=generator).to(memory_format=layout)
    filters = torch.randn(16, 1, kernel, kernel, generator=generator)
    results = []
    for ours in (True, False):
        x, weight = images.clone().requires_grad_(), filters.clone().requires_grad_()
        if ours:
            y = depthwise_conv(x, weight, stride)
        else:
            y = F.conv2d(x, weight, None, stride, kernel // 2, groups=16)
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        results.append((y.detach(), x.grad, weight.grad))
    for have, want in zip(*results, strict=True):
        torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-4)


def test_under_autocast_it_computes_in_bfloat16_and_gradients_are_float32() -> None:
    x = torch.randn(2, 16, 8, 8, requires_grad=True)
    weight = torch.randn(16, 1, 5, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = depthwise_conv(x, weight, 1)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    for leaf in (x, weight):
        assert leaf.grad is not None
        assert leaf.grad.dtype == torch.float32
