"""Networks of others, by family, as .onnx, .tflite or .pt2 files with random weights.

`KNOWN` families of `zoo_networks` may be used in fits and in the prior of kernels; those of others
judge and are never used for anything else.

    python benchmarks/zoo.py FOLDER [--runtime litert|openvino|torch]
"""

import argparse
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from drawn_tflite import on_maps
from eight_bits import of_8_bits
from zoo_definitions import build
from zoo_networks import EARLIER, FRESH, KNOWN, OF_TEXT, UNSEEN, Network

from harness import files
from harness.errors import HarnessError
from harness.graphs.networks import KnownNetwork, collected, to_lines
from harness.graphs.reading import (
    KERNEL_RUNTIMES,
    LITERT,
    ONNXRUNTIME,
    OPENVINO,
    TORCH,
    KernelRuntime,
    read_model,
)
from harness.runtimes.conversion.kernel_openvino import PARTS
from harness.runtimes.model_inputs.asked import Asked
from harness.spaces.kernel import Kernel

OPSET = 17
TEXT = {
    ".onnx": "input_ids",
    ".tflite": "serving_default_args_0",
    ".pt2": "given_0",
}  # the input of token ids


def export(network: Network, folder: Path, suffix: str) -> None:
    """Write the network's file; nothing where it is there."""
    import torch

    path = network.path(folder, suffix)
    if path.exists():
        return
    torch.manual_seed(0)
    model, example = build(network)
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        _EXPORTS[suffix](model.eval(), example, partial)
    partial.rename(path)


def _to_onnx(model: Any, example: tuple[Any, ...], path: Path) -> None:
    import torch

    name = TEXT[".onnx"] if example[0].ndim == 2 else "images"
    torch.onnx.export(model, example, path, dynamo=False, opset_version=OPSET, input_names=[name])


def _to_tflite(model: Any, example: tuple[Any, ...], path: Path) -> None:
    """Channels last."""
    import litert_torch

    if example[0].ndim == 4:
        # Definitions with views need maps that lie as they expect.
        model.register_forward_pre_hook(lambda _, given: tuple(each.contiguous() for each in given))
        model = litert_torch.to_channel_last_io(model, args=[0]).eval()
        example = (example[0].permute(0, 2, 3, 1).contiguous(),)
    made = path.with_suffix(".made.tflite")  # it takes no other name
    litert_torch.convert(model, example).export(str(made))
    made.rename(path)


def _to_program(model: Any, example: tuple[Any, ...], path: Path) -> None:
    import torch

    class Plain(torch.nn.Module):
        """Without types of transformers in what it gives, which no other process could read."""

        def forward(self, *given: Any) -> Any:
            outputs = model(*given)
            return outputs.to_tuple() if hasattr(outputs, "to_tuple") else outputs

    made = path.with_suffix(".pt2")  # it takes no other name
    plain = Plain()
    plain.model = model
    torch.export.save(torch.export.export(plain.eval(), example), made)
    made.rename(path)


_EXPORTS = {".onnx": _to_onnx, ".tflite": _to_tflite, ".pt2": _to_program}


def asked_of(network: Network, runtime: KernelRuntime) -> Asked:
    return Asked(values={TEXT[runtime.suffixes[0]]: "1"}) if network.family in OF_TEXT else Asked()


def collect(networks: Sequence[Network], folder: Path, runtime: KernelRuntime) -> None:
    """Write the known networks' kernels to where the package keeps them."""
    import pytorchcv
    import transformers

    found, alone = [], {}
    for network in networks:
        path = network.path(folder, runtime.suffixes[0])
        if not path.exists():
            continue
        try:
            graph = read_model(path, asked_of(network, runtime), runtime)
        except HarnessError as error:
            print(f"{path.name}: {error}")
            continue
        for kernel in graph.kernels:
            if kernel not in alone:
                alone[kernel] = runs(partial(runtime.kernel_file, kernel), runtime)
        calibrates = runtime is TORCH or network.family not in OF_TEXT
        calibrates &= runs(partial(runtime.network_file, graph.kernels, graph.sources), runtime)
        name = f"{network.name}-{network.pixels}"
        found.append(KnownNetwork(network.family, name, graph.kernels, graph.sources, calibrates))
        told = "" if calibrates else ", does not calibrate"
        print(f"{network.family} {name}: {len(graph.kernels)} kernels{told}", flush=True)
    # To draw by litert-torch would take hours.
    if runtime is LITERT:
        pieces: list[Kernel] = [*of_8_bits(alone), *on_maps(alone)]
    else:
        pieces = [*draw(runtime), *largest(alone)]
    drawn = [kernel for kernel in dict.fromkeys(pieces) if kernel not in alone]
    alone |= {kernel: runs(partial(runtime.kernel_file, kernel), runtime) for kernel in drawn}
    versions = f"pytorchcv {pytorchcv.__version__} and transformers {transformers.__version__}"
    source = f"{versions}, exported by benchmarks/zoo.py"
    not_alone = [kernel for kernel, well in alone.items() if not well]
    lines = to_lines(source, found, drawn, not_alone)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    collected(runtime).write_text(text)
    print(f"{len(found)} networks of {len(alone)} kernels, {len(not_alone)} not alone")
    for kernel in not_alone:
        print("not alone:", kernel.key)


def largest(kernels: Iterable[Kernel]) -> Iterator[Kernel]:
    """The largest of a map where networks take the mean."""
    for kernel in kernels:
        if kernel.name == "GlobalAveragePool":
            yield replace(kernel, op=kernel.op.replace("Average", "Max"))


def draw(runtime: KernelRuntime) -> Iterator[Kernel]:
    """Kernels of the pieces that are drawn."""
    import drawn
    import drawn_torch
    import torch

    more = drawn_torch.pieces() if runtime is TORCH else ()
    suffix = runtime.suffixes[0]
    with files.scratch() as folder:
        for piece in chain(drawn.pieces(), more):
            given = tuple(torch.rand(shape) for shape in piece.shapes)
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                piece.network(*given)  # some layers find out their sizes by that
                path = folder / f"piece{suffix}"
                _EXPORTS[suffix](piece.network.eval(), given, path)
            yield from read_model(path, runtime=runtime).kernels


def runs(make: Callable[[], bytes], runtime: KernelRuntime) -> bool:
    """Whether the runtime runs a model as it is fed here."""
    try:
        _RUN[runtime](make())
    except Exception as error:  # noqa: BLE001 - whatever runtimes raise
        print(f"{error!r:.200}")
        return False
    return True


def _by_onnxruntime(content: bytes) -> None:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    given = {
        each.name: np.ones(each.shape, np.float32)
        if each.type == "tensor(float)"
        else np.zeros(each.shape, each.type.removeprefix("tensor(").removesuffix(")"))
        for each in session.get_inputs()
    }
    made = session.run(None, given)
    if [list(each.shape) for each in made] != [each.shape for each in session.get_outputs()]:
        raise ValueError("its sizes depend on values")


def _by_litert(content: bytes) -> None:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for each in interpreter.get_input_details():
        interpreter.set_tensor(each["index"], np.ones(each["shape"], each["dtype"]))
    interpreter.invoke()


def _by_openvino(content: bytes) -> None:
    import io
    from zipfile import ZipFile

    import numpy as np
    import openvino

    with ZipFile(io.BytesIO(content)) as archive:
        xml, held = (archive.read(part) for part in PARTS)
    core = openvino.Core()
    model = core.read_model(xml, openvino.Tensor(np.frombuffer(held, np.uint8).copy()))
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})
    given = {each: np.ones(each.shape, each.element_type.to_dtype()) for each in compiled.inputs}
    compiled(given)


def _by_torch(content: bytes) -> None:
    import torch

    from harness.runtimes.agent import calls

    with files.scratch() as folder, torch.no_grad():
        path = folder / "kernels"
        path.write_bytes(content)
        module, given = calls.read(path)
        module(*given)


_RUN = {
    ONNXRUNTIME: _by_onnxruntime,
    LITERT: _by_litert,
    OPENVINO: _by_openvino,
    TORCH: _by_torch,
}


def export_all(networks: Sequence[Network], folder: Path, suffix: str) -> None:
    for network in networks:
        try:
            export(network, folder, suffix)
        except Exception as error:  # noqa: BLE001 - whatever a definition of others raises
            told = " ".join(str(error).split()) or repr(error)
            print(f"{network.family} {network.name}: {told:.300}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runtime", choices=KERNEL_RUNTIMES, default=ONNXRUNTIME.name)
    arguments = parser.parse_args()
    folder, runtime = arguments.folder, KERNEL_RUNTIMES[arguments.runtime]
    folder.mkdir(parents=True, exist_ok=True)
    export_all(KNOWN, folder, runtime.suffixes[0])
    collect(KNOWN, folder, runtime)
    export_all([*UNSEEN, *EARLIER, *FRESH], folder, runtime.suffixes[0])


if __name__ == "__main__":
    main()
