"""Networks of others, by family, as .onnx, .tflite or .pt2 files with random weights.

Definitions are those of the packages pytorchcv (networks of images; its modules are imported one by
one) and transformers. `KNOWN` families may be used in fits and in the prior of kernels, networks of
`UNSEEN` families judge and are never used for anything else.

    python benchmarks/zoo.py FOLDER [--runtime litert|openvino|torch]
"""

import argparse
import importlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from drawn_tflite import on_maps
from eight_bits import of_8_bits

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

PIXELS, OPSET = 224, 17
TEXT = {
    ".onnx": "input_ids",
    ".tflite": "serving_default_args_0",
    ".pt2": "given_0",
}  # the input of token ids
OF_TEXT = ("distilbert", "albert")


@dataclass(frozen=True)
class Network:
    family: str
    name: str
    pixels: int = PIXELS

    def path(self, folder: Path, suffix: str = ".onnx") -> Path:
        return folder / f"{self.family}.{self.name}.{self.pixels}{suffix}"


def _networks(listed: str) -> tuple[Network, ...]:
    """`family: name name@pixels` a line."""
    found = []
    for line in listed.strip().splitlines():
        family, names = line.split(":")
        for name in names.split():
            plain, _, pixels = name.partition("@")
            found.append(Network(family.strip(), plain, int(pixels or PIXELS)))
    return tuple(found)


KNOWN = _networks("""
    mobilenet: mobilenet_w1 mobilenet_w3d4@160 mobilenet_wd2@192 mobilenet_wd4
    mobilenetv2: mobilenetv2_w1 mobilenetv2_w3d4@192 mobilenetv2b_wd2@160 mobilenetv2_wd4
    mobilenetv3: mobilenetv3_small_w1 mobilenetv3_large_w1 mobilenetv3_large_w3d4@192
    mobilenetv3: mobilenetv3_small_wd2@160 mobilenetv3_large_w5d4
    efficientnet: efficientnet_b0 efficientnet_b1@160 efficientnet_b0b@192 efficientnet_b2
    mnasnet: mnasnet_b1 mnasnet_a1 mnasnet_small@192
    resnet: resnet18 resnet34@160 resnet50 resnet18_wd2 resnetbc26b@192 resnet10
    preresnet: preresnet18 preresnet50@160 preresnet18_wd4 preresnetbc26b
    seresnet: seresnet18 seresnet50@192 seresnet10@160 seresnetbc26b
    resnext: resnext14_32x4d resnext26_16x4d@192 resnext50_32x4d@160
    regnet: regnetx002 regnetx006@192 regnetx016 regnetx032@160
    densenet: densenet121 densenet169@160 densenet121@128
    shufflenetv2: shufflenetv2_wd2 shufflenetv2_w1 shufflenetv2_w3d2@192 shufflenetv2_w2
    squeezenet: squeezenet_v1_0 squeezenet_v1_1@192
    vgg: vgg11 bn_vgg11b
    vit: tiny small@160 narrow
    distilbert: small@128 medium@64
    segmentation: linknet_cityscapes@128 erfnet_cityscapes@128
    pose: simplepose_resnet18_coco@128
""")
UNSEEN = _networks("""
    ghostnet: ghostnet ghostnet@160 ghostnet@192
    shufflenet: shufflenet_g1_w1 shufflenet_g3_w1@192 shufflenet_g8_w1
    regnety: regnety002 regnety006@192 regnety016
    hrnet: hrnet_w18_small_v1 hrnet_w18_small_v2@160
    dla: dla34 dla46c dla60@160
    inception: inceptionv3@192 inceptionv4@160 bninception
    xception: xception@299
    mixnet: mixnet_s mixnet_m@192
    fbnet: fbnet_cb fbnet_cb@160
    selecsls: selecsls42b selecsls60@160
    vovnet: vovnet27s vovnet39@160
    hardnet: hardnet39ds hardnet68ds@192
    dpn: dpn68 dpn68b
    peleenet: peleenet
    darknet: darknet53@160
    igcv3: igcv3_w1 igcv3_wd2@192
    menet: menet108_8x1_g3 menet228_12x1_g3@192
    squeezenext: sqnxt23_w1 sqnxt23v5_w2@192
    resnesta: resnesta18 resnesta50@160
    sknet: sknet50@160
    drn: drnc26@128 drnd22@160
    wrn: wrn50_2@160
    convnext: tiny@160 narrow narrow@160
    swin: tiny narrow
    mobilevit: small@256
    poolformer: s12@160
    albert: small@128 small@64
    detection: centernet_resnet18_voc@128
    segmentation_others: fastscnn_cityscapes@192 lednet_cityscapes@256
    segmentation_others: bisenet_resnet18_celebamaskhq@256
    deeplab: deeplabv3_resnetd50b_voc@128
    pose_mobile: simplepose_mobile_mobilenet_w1_coco@128
    pose_mobile: simplepose_mobile_mobilenetv3_small_w1_coco@192
""")
FRESH = _networks("""
    airnet: airnet50_1x64d_r16@160
    bamresnet: bam_resnet18@192
    cbamresnet: cbam_resnet18@192
    condensenet: condensenet74_c4_g4
    darts: darts
    diaresnet: diaresnet10
    dicenet: dicenet_w1
    diracnetv2: diracnet18v2@160
    fdmobilenet: fdmobilenet_w1 fdmobilenet_wd2@192
    fishnet: fishnet99@160
    ibnresnet: ibn_resnet50@160
    nasnet: nasnet_4a1056
    octresnet: octresnet10_ad2
    proxylessnas: proxylessnas_mobile proxylessnas_cpu@160
    scnet: scnet50@160
    senet: senet16@192
    sepreresnet: sepreresnet18@160
    spnasnet: spnasnet
    xdensenet: xdensenet121_2@160
    alexnet: alexnet
    espnetv2: espnetv2_wd2 espnetv2_w1
    efficientnetedge: efficientnet_edge_small_b@192
    cgnet: cgnet_cityscapes@256
    edanet: edanet_cityscapes@256
    contextnet: ctxnet_cityscapes@256
    levit: narrow
    segformer: small@192
""")
"""Other families yet, which nobody looked at before the method was settled."""
_MODULES = {
    "mnasnet_small": "mnasnet", "regnety002": "regnet", "regnety006": "regnet",
    "regnety016": "regnet", "mobilenetv2b_wd2": "mobilenetv2", "inceptionv4": "inceptionv4",
    "inceptionv3": "inceptionv3", "bninception": "bninception", "darknet53": "darknet53",
}  # fmt: skip
_SEEN_ELSEWHERE = {
    "linknet_cityscapes": "linknet", "erfnet_cityscapes": "erfnet",
    "simplepose_resnet18_coco": "simplepose_coco", "centernet_resnet18_voc": "centernet",
    "fastscnn_cityscapes": "fastscnn", "lednet_cityscapes": "lednet",
    "bisenet_resnet18_celebamaskhq": "bisenet", "deeplabv3_resnetd50b_voc": "deeplabv3",
    "simplepose_mobile_mobilenet_w1_coco": "simpleposemobile_coco",
    "simplepose_mobile_mobilenetv3_small_w1_coco": "simpleposemobile_coco",
}  # fmt: skip


def _of_pytorchcv(network: Network) -> tuple[Any, tuple[Any, ...]]:
    import torch

    name = (_MODULES | _SEEN_ELSEWHERE).get(network.name, network.family)
    module = importlib.import_module(f"pytorchcv.models.{name}")
    size = (network.pixels, network.pixels)
    sized = network.family in ("segmentation", "segmentation_others", "deeplab", "detection")
    sized |= network.family.startswith("pose") or network.name.endswith("_cityscapes")
    settings: dict[str, Any] = {"in_size": size} if sized else {}
    if network.name == "erfnet_cityscapes" or "fastscnn" in network.name:
        settings["fixed_size"] = True
    model = getattr(module, network.name)(**settings)
    return _pooling_globally(model), (torch.zeros(1, 3, *size),)


def _pooling_globally(model: Any) -> Any:
    """A last pooling over 7x7 pixels is over all there are, at whichever resolution."""
    from torch import nn

    for name, module in list(model.named_modules()):
        if isinstance(module, nn.AvgPool2d) and name.endswith("final_pool"):
            owner, _, own = name.rpartition(".")
            setattr(model.get_submodule(owner), own, nn.AdaptiveAvgPool2d(1))
    return model


def _transformer(config: str, model: str, **settings: Any) -> Callable[[int], Any]:
    def build(pixels: int) -> tuple[Any, tuple[Any, ...]]:
        import torch
        import transformers

        text = "vocab_size" in settings
        if not text and config != "ConvNextConfig" and config != "PoolFormerConfig":
            settings["image_size"] = pixels
        made = getattr(transformers, config)(**settings)
        if hasattr(made, "_attn_implementation"):
            made._attn_implementation = "eager"
        network = getattr(transformers, model)(made)
        example = (
            torch.ones(1, pixels, dtype=torch.int64) if text else torch.zeros(1, 3, pixels, pixels)
        )
        return network, (example,)

    return build


def _vit(wide: int, deep: int, heads: int) -> Callable[[int], Any]:
    sizes = {"hidden_size": wide, "num_hidden_layers": deep, "num_attention_heads": heads}
    return _transformer(
        "ViTConfig", "ViTForImageClassification", intermediate_size=4 * wide, **sizes
    )


def _albert(wide: int, deep: int) -> Callable[[int], Any]:
    sizes = {"hidden_size": wide, "num_hidden_layers": deep, "num_attention_heads": wide // 64}
    sizes |= {"intermediate_size": 4 * wide, "vocab_size": 8000, "embedding_size": 128}
    return _transformer("AlbertConfig", "AlbertModel", **sizes)


def _distilbert(wide: int, deep: int) -> Callable[[int], Any]:
    sizes = {"dim": wide, "n_layers": deep, "n_heads": wide // 64, "hidden_dim": 4 * wide}
    return _transformer("DistilBertConfig", "DistilBertModel", vocab_size=8000, **sizes)


def _convnext(sizes: list[int], depths: list[int]) -> Callable[[int], Any]:
    name = "ConvNext"
    return _transformer(
        f"{name}Config", f"{name}ForImageClassification", hidden_sizes=sizes, depths=depths
    )


def _swin(wide: int, depths: list[int]) -> Callable[[int], Any]:
    heads = [wide * 2**stage // 32 for stage in range(4)]
    name = "SwinForImageClassification"
    return _transformer("SwinConfig", name, embed_dim=wide, depths=depths, num_heads=heads)


_TRANSFORMERS: dict[tuple[str, str], Callable[[int], Any]] = {
    ("vit", "tiny"): _vit(192, 12, 3),
    ("vit", "small"): _vit(384, 12, 6),
    ("vit", "narrow"): _vit(128, 8, 2),
    ("convnext", "tiny"): _convnext([96, 192, 384, 768], [3, 3, 9, 3]),
    ("convnext", "narrow"): _convnext([40, 80, 160, 320], [2, 2, 6, 2]),
    ("swin", "tiny"): _swin(96, [2, 2, 6, 2]),
    ("swin", "narrow"): _swin(32, [2, 2, 4, 2]),
    ("mobilevit", "small"): _transformer("MobileViTConfig", "MobileViTForImageClassification"),
    ("poolformer", "s12"): _transformer("PoolFormerConfig", "PoolFormerForImageClassification"),
    ("levit", "narrow"): _transformer(
        "LevitConfig", "LevitForImageClassification", hidden_sizes=[128, 256, 384]
    ),
    ("segformer", "small"): _transformer("SegformerConfig", "SegformerForImageClassification"),
    ("distilbert", "small"): _distilbert(256, 6),
    ("distilbert", "medium"): _distilbert(512, 6),
    ("albert", "small"): _albert(384, 6),
}  # fmt: skip


def export(network: Network, folder: Path, suffix: str) -> None:
    """Write the network's file; nothing where it is there."""
    import torch

    path = network.path(folder, suffix)
    if path.exists():
        return
    torch.manual_seed(0)
    transformer = _TRANSFORMERS.get((network.family, network.name))
    model, example = transformer(network.pixels) if transformer else _of_pytorchcv(network)
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
    """Kernels of the pieces that `drawn` has."""
    import torch
    from drawn import pieces

    suffix = runtime.suffixes[0]
    with files.scratch() as folder:
        for piece in pieces():
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
    export_all([*UNSEEN, *FRESH], folder, runtime.suffixes[0])


if __name__ == "__main__":
    main()
