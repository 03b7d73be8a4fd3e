"""ncnn on the CPU."""

import re
import tempfile
import zipfile

import ncnn
import numpy

from inputs import ANY_SIZE, fed
from timing import CpuRuntime

INPUT = re.compile(r"^Input +\S+ +0 1 (\S+)(.*)$", re.MULTILINE)
SIZE = re.compile(r"\b([012])=(\d+)")  # 0: width, 1: height, 2: channels
LAYER = re.compile(r"^(\w+) +\S+ +\d+ +\d+ ", re.MULTILINE)
PARTS = ("model.param", "model.bin")
SMALLER = {  # numbers than float32, by what they are asked for
    "float16": ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"),
    "bfloat16": ("use_bf16_packed", "use_bf16_storage"),
}


class NcnnRuntime(CpuRuntime):
    """ncnn: takes .param files, each with a .bin file beside it, and .ncnn files, which
    are zip files of both."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.threads = request["threads"]
        self.precision = request["settings"]["precision"]
        self.environment = {"ncnn": ncnn.__version__, "numpy": numpy.__version__}

    def load(self, request):
        network = ncnn.Net()
        network.opt.num_threads = self.threads
        network.opt.use_vulkan_compute = False
        for precision, names in SMALLER.items():
            for name in names:
                if hasattr(network.opt, name):
                    setattr(network.opt, name, precision == self.precision)
        model = request["model"]
        with tempfile.TemporaryDirectory() as folder:
            if model.endswith(".ncnn"):
                with zipfile.ZipFile(model) as archive:
                    files = [archive.extract(each, folder) for each in PARTS]
            else:
                files = [model, model[: -len(".param")] + ".bin"]
            param = read(files[0])
            check_layers(param)
            if network.load_param(files[0]) or network.load_model(files[1]):
                raise ValueError("ncnn cannot read the file")
        # By their order: who converts a file gives them other names.
        names = [name for name, _, _ in described(param)]
        arrays = fed(request, described(param)).values()
        if len(arrays) != len(names):
            raise ValueError("the network takes %s, not %d inputs" % (names, len(arrays)))
        inputs = [(name, placed(array)) for name, array in zip(names, arrays)]
        outputs = network.output_names()

        def run():
            extractor = network.create_extractor()
            for name, image in inputs:
                extractor.input(name, image)
            return [extractor.extract(name)[1] for name in outputs]

        return (network, [image for _, image in inputs]), run

    def inputs(self, model):
        return described(read(model))

    def infer(self, model, images, shape):
        network, (taken,) = model
        if shape[1:] != [taken.c, taken.h, taken.w]:
            raise ValueError("the network takes no images of %s" % shape[1:])
        (name,) = network.input_names()
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        extractor = network.create_extractor()
        extractor.input(name, placed(pixels))
        logits = numpy.array(extractor.extract(network.output_names()[0])[1])
        return logits.astype(numpy.float32).tobytes()


def read(param):
    with open(param) as file:
        return file.read()


def check_layers(param):
    """Raises ValueError where there is one that this ncnn does not have: it would not say which."""
    kinds = set(LAYER.findall(param))
    lacking = sorted(kind for kind in kinds if ncnn.layer_to_index(kind) < 0)
    if lacking:
        raise ValueError("ncnn has no layer %s" % ", ".join(lacking))


def described(param):
    """Of one image; where the file does not tell sizes, they are those of any image."""
    found = []
    for name, settings in INPUT.findall(param):
        told = dict(SIZE.findall(settings))
        sizes = [int(told[key]) for key in "210" if told.get(key, "0") != "0"]
        found.append([name, "float32", [1] + (sizes or [ANY_SIZE] * 3)])
    return found


def placed(array):
    """One image as ncnn keeps it; it must not point to numpy's memory."""
    kind = {"int64": "int32"}.get(str(array.dtype), array.dtype)
    return ncnn.Mat(numpy.ascontiguousarray(array[0], dtype=kind)).clone()


start = NcnnRuntime
