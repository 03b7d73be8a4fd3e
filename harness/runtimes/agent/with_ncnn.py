"""ncnn on the CPU."""

import re
import tempfile
import zipfile

import ncnn
import numpy

from inputs import array_of, random_input
from timing import CpuRuntime

INPUT = re.compile(r"^Input +\S+ +0 1 (\S+) 0=(\d+) 1=(\d+) 2=(\d+)", re.MULTILINE)
PARTS = ("model.param", "model.bin")
SMALLER = (  # numbers than float32
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)


class NcnnRuntime(CpuRuntime):
    """ncnn in float32: takes .ncnn files, which are zip files of model.param and model.bin."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.threads = request["threads"]
        self.environment = {"ncnn": ncnn.__version__, "numpy": numpy.__version__}

    def load(self, request):
        network = ncnn.Net()
        network.opt.num_threads = self.threads
        network.opt.use_vulkan_compute = False
        for name in SMALLER:
            if hasattr(network.opt, name):
                setattr(network.opt, name, False)
        with zipfile.ZipFile(request["model"]) as archive, tempfile.TemporaryDirectory() as folder:
            param, weights = (archive.extract(each, folder) for each in PARTS)
            if network.load_param(param) or network.load_model(weights):
                raise ValueError("ncnn cannot read the file")
            with open(param) as file:
                inputs = self.inputs(file.read(), request)
        outputs = network.output_names()

        def run():
            extractor = network.create_extractor()
            for name, image in inputs:
                extractor.input(name, image)
            return [extractor.extract(name)[1] for name in outputs]

        return (network, [image for _, image in inputs]), run

    def inputs(self, param, request):
        """As the request tells; without a word, random images of the size that the file says."""
        seed = request["seed"]
        if "feeds" in request:
            return [(feed["name"], placed(array_of(feed, seed))) for feed in request["feeds"]]
        sizes = [(name, tuple(map(int, whd[::-1]))) for name, *whd in INPUT.findall(param)]
        return [(name, placed(random_input((1,) + size, "float32", seed))) for name, size in sizes]

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


def placed(array):
    """One image as ncnn keeps it; it must not point to numpy's memory."""
    return ncnn.Mat(numpy.ascontiguousarray(array[0])).clone()


start = NcnnRuntime
