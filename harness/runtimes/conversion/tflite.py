"""Workloads as .tflite files, channels last, by litert-torch; int8 by ai-edge-quantizer."""

import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from harness.errors import MissingExtra
from harness.runtimes.conversion.cache import content_path, converted
from harness.runtimes.session import Workload, seed_of

if TYPE_CHECKING:
    from harness.runtimes.conversion.source import Source

RANGE_INPUTS = 8  # random inputs from which a block's int8 ranges are collected


@dataclass(frozen=True)
class TfliteConverter:
    """About 1.3 s a block, after 3 s for the import."""

    batch: int
    precision: str  # "float32" or "int8"
    suffix: ClassVar[str] = ".tflite"
    slow: ClassVar[bool] = True

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where a part of the converter is not installed."""
        packages = ["litert-torch", "torch"]
        if self.precision == "int8":
            packages.append("ai-edge-quantizer")
        try:
            versions = {name: version(name) for name in packages}
        except PackageNotFoundError as error:
            raise MissingExtra(f"making TFLite files: {error}; pip install '.[litert]'") from error
        settings = {"batch": self.batch, "precision": self.precision}
        return content_path(self.suffix, versions | settings, workload)

    def make(self, workload: Workload) -> bytes:
        from harness.runtimes.conversion.source import source_of

        if self.precision == "float32":
            return _to_float32(source_of(workload), self.batch)
        path = converted(replace(self, precision="float32"), workload)
        return _to_int8(path, seed_of(workload))


def _to_float32(source: "Source", batch: int) -> bytes:
    import litert_torch
    import torch

    from harness.networks.build import input_shape

    shape = input_shape(source.blocks, batch)
    with torch.no_grad():
        pictures_out = source.network(torch.zeros(shape)).ndim == 4
    outputs = {"outputs": [0]} if pictures_out else {}
    network = litert_torch.to_channel_last_io(source.network, args=[0], **outputs).eval()
    example = torch.zeros(shape).permute(0, 2, 3, 1).contiguous()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        litert_torch.convert(network, (example,)).export(str(path))
        return path.read_bytes()


def _to_int8(path: Path, seed: int) -> bytes:
    """8-bit weights and activations, input and output too.

    Ranges are collected on normally distributed inputs: right for timing, not for accuracy.
    """
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    signature = Interpreter(model_path=str(path)).get_signature_runner()
    rng = np.random.default_rng(seed)
    samples = [
        {
            name: rng.standard_normal(given["shape"]).astype(np.float32)
            for name, given in signature.get_input_details().items()
        }
        for _ in range(RANGE_INPUTS)
    ]
    recipes = recipe_manager.RecipeManager()
    recipes.load_quantization_recipe(recipe.static_wi8_ai8())
    # Its default, a moving average, would clip what only some inputs reach.
    ranges = calibrator.Calibrator(str(path), 1, qsv_update_func=min_max_update)
    ranges.calibrate({"serving_default": samples}, recipes)
    quantize = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    result = quantize.quantize(ranges.get_model_qsvs(), enable_progress_report=False)
    return bytes(result.quantized_model)
