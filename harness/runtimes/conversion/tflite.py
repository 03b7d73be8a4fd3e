"""Workloads as .tflite files, channels last, as litert-torch makes them; smaller ones by
ai-edge-quantizer."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from harness.errors import ConversionFailed
from harness.hints import versions
from harness.runtimes.conversion.cache import Remark, content_path, converted, named
from harness.runtimes.conversion.faithful import apart
from harness.runtimes.conversion.graph import complaints, read_graph
from harness.runtimes.conversion.kernel_tflite import kernel_file
from harness.runtimes.conversion.ranges import range_inputs, ranges_from
from harness.runtimes.session import Workload
from harness.spaces.kernel import is_kernel

if TYPE_CHECKING:
    from harness.runtimes.conversion.source import Source

Floats = npt.NDArray[np.float32]

ROUTE = 4  # one more whenever other files come out of the same packages


@dataclass(frozen=True)
class TfliteConverter:
    """0.04 s a block, 0.4 s a network.

    In "float32"; in "float16" with weights stored as such (arithmetic is the runtime's choice:
    float32 on a CPU unless it is told otherwise, float16 on most GPUs); in "int8" with weights,
    activations, input and output in 8 bits.
    """

    batch: int
    precision: str  # "float32", "float16" or "int8"
    images: Path | None = None
    """Folder or .npy file on which the int8 ranges of network files are collected."""
    suffix: ClassVar[str] = ".tflite"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.02, 0.1)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where a part of the converter is not installed."""
        packages = ["litert-torch", "torch"]
        if self.precision != "float32":
            packages.append("ai-edge-quantizer")
        made_by = versions("making .tflite files needs", "litert", *packages)
        settings: dict[str, Any] = {
            "route": ROUTE,
            "batch": self.batch,
            "precision": self.precision,
        }
        if self.precision == "int8":
            settings |= ranges_from(workload, self.images)
        return content_path(self.suffix, made_by | settings, workload)

    def make(self, workload: Workload) -> bytes:
        """The file; it has none of the operators that only a conversion brings in.

        Raises:
            ConversionFailed: it has; timing it would not be timing the network.
            FileFormatError: the images cannot be used.
            Infeasible: a kernel that cannot be timed alone.
        """
        if is_kernel(workload):
            return kernel_file(workload[0])
        from harness.runtimes.conversion.self_contained import self_contained
        from harness.runtimes.conversion.silent_filters import with_their_biases
        from harness.runtimes.conversion.source import without_loops

        source = without_loops(workload)
        if self.precision == "float32":
            content = _to_float32(source, self.batch)
        else:
            path = converted(replace(self, precision="float32", images=None), workload)
            if self.precision == "float16":
                content = _to_float16(path)
            else:
                inputs = range_inputs(workload, source, self.batch, self.images)
                if inputs.ndim == 5:  # maps; tokens are what they are
                    inputs = inputs.transpose(0, 1, 3, 4, 2)
                content = _to_int8(path, np.ascontiguousarray(inputs))
        content = self_contained(content)
        if self.precision == "int8":
            content = with_their_biases(content, path.read_bytes())
        if found := complaints(read_graph(content), source.blocks, self.precision):
            raise ConversionFailed(
                f"{named(workload)} in {self.precision} became a .tflite file with "
                f"{', '.join(found)}; take the versions in constraints.txt"
            )
        return content


def _to_float32(source: "Source", batch: int) -> bytes:
    """By our rules, as long as they give what litert-torch would."""
    from harness.runtimes.conversion.lowering import UnknownLayerError, lowered

    why = apart()
    if not why:
        try:
            return lowered(source, batch)
        except UnknownLayerError as error:
            why = str(error)
    from harness.runtimes.conversion.by_litert_torch import by_litert_torch

    warnings.warn(f"{why}: litert-torch has to convert, 40 times slower", Remark, stacklevel=1)
    return by_litert_torch(source, batch)


def _to_float16(path: Path) -> bytes:
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    stored = qtyping.OpQuantizationConfig(
        weight_tensor_config=half,
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    quantize = quantizer.Quantizer(str(path))
    for operation in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):  # all that have weights
        quantize.update_quantization_recipe(
            regex=".*",
            operation_name=qtyping.TFLOperationName(operation),
            op_config=stored,
            algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
    return bytes(quantize.quantize(enable_progress_report=False).quantized_model)


def _to_int8(path: Path, inputs: Floats) -> bytes:
    """8-bit weights and activations, input and output too; ranges from inputs of whole batches."""
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.calibrator import CalibrationMode

    ranges = _ranges(path, inputs, CalibrationMode.CALIBRATION_PROFILER_BASED)
    if not np.isfinite([list(each.values()) for each in ranges.values()]).all():
        # Behind max-pooling, which pads with minus infinity: this mode leaves that out.
        ranges = _ranges(path, inputs, CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS)
    quantize = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    return bytes(quantize.quantize(ranges, enable_progress_report=False).quantized_model)


def _ranges(path: Path, inputs: Floats, mode: Any) -> dict[str, dict[str, Floats]]:
    """The least and the largest of each tensor. The profiler's mode is 2 to 5 times faster, and
    tells the same, but in float64."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, recipe, recipe_manager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    (name,) = Interpreter(model_path=str(path)).get_signature_runner().get_input_details()
    recipes = recipe_manager.RecipeManager()
    recipes.load_quantization_recipe(recipe.static_wi8_ai8())
    # The default update, a moving average, would clip what only some inputs reach.
    calibrating = calibrator.Calibrator(str(path), 1, mode, min_max_update)
    calibrating.calibrate({"serving_default": [{name: each} for each in inputs]}, recipes)
    return {
        tensor: {end: reached[end].astype(np.float32).reshape(1) for end in ("min", "max")}
        for tensor, reached in calibrating.get_model_qsvs().items()
    }
