"""Families of networks that share one supernet: pure data and counting, no torch."""

from harness.spaces import convolution as convolution  # so that `Block.parse` knows their kinds
from harness.spaces import kernel as kernel
from harness.spaces import transformer as transformer
