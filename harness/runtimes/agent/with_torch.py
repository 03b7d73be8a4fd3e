"""torch on a CPU or an NVIDIA GPU: blocks and networks are built here from their specifications."""

import calls
import layers
import torch

from inputs import ANY_SIZE, fed
from timing import CpuRuntime, wall_clock_ns

IMAGE_CHANNELS = (1, 3)
ALIGNED = 16  # numbers: a line of a cache
DRAWN = 2**20  # random numbers, again and again
PROGRAM = ".pt2"
AS_EXPORTED = ("cpu", "contiguous", None)


class TorchRuntime(CpuRuntime):
    """torch eager."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.options = request["settings"]
        torch.set_num_threads(request["threads"])
        torch.set_grad_enabled(False)
        self.precision = None
        if self.options["autocast"] != "off":
            self.precision = getattr(torch, self.options["autocast"])
            # For good, as the weights in their other precision are kept as long as it lasts.
            torch.autocast(self.device, dtype=self.precision).__enter__()
            one = torch.ones(1, 1, device=self.device)
            if one.mm(one).dtype != self.precision:
                raise ValueError("torch %s has no %s here" % (torch.__version__, self.precision))
        self.numbers = torch.empty(0)
        self.environment = {"torch": torch.__version__}

    def load(self, request):
        torch.manual_seed(request["seed"])
        if "model" in request:
            return self.program(request)
        first = request["blocks"][0]
        if not request.get("weights") and layers.decodes(request["blocks"]):
            network = self.lent(layers.Translator(request["blocks"], "meta")).eval()
        else:
            network = layers.make_network(request["blocks"]).eval()
        if request.get("weights"):
            state = self._read_weights(request["weights"])
            # torch < 2 may want the counter of batches, which evaluation does not use
            missing = network.load_state_dict(state, strict=False).missing_keys
            missing = [name for name in missing if not name.endswith("num_batches_tracked")]
            if missing:
                raise ValueError("weights lack " + ", ".join(missing))
        elif not layers.decodes(request["blocks"]):
            layers.enliven(network, first)
        shape = (request["batch"],) + tuple(layers.input_shape(first))
        network = self.placed(network)
        images = self.random_images(shape)
        if self.precision is not None and (len(shape) < 4 or shape[1] not in IMAGE_CHANNELS):
            images = images.to(self.precision)  # as the block before would give it
        return network, self.runner(network, images)

    def program(self, request):
        """A .pt2 file of torch.export, or a file of `calls`: both run as they were exported."""
        if (self.device, self.options["memory_format"], self.precision) != AS_EXPORTED:
            raise ValueError("programs run on CPUs alone, in the memory format and precision that "
                             "they were exported with: take another device")  # fmt: skip
        if not request["model"].endswith(PROGRAM):
            module, given = calls.read(request["model"])
        else:
            program = torch.export.load(request["model"])
            arrays = fed(request, described(program))
            module = program.module()
            flat = [torch.from_numpy(array) for array in arrays.values()]
            given, named = torch.utils._pytree.tree_unflatten(flat, program.call_spec.in_spec)
            return module, lambda: module(*given, **named)
        return module, lambda: module(*given)

    def inputs(self, model):
        return described(torch.export.load(model))

    def lent(self, network):
        """Weights that are all parts of one row of numbers: translators have 200 MB each, and
        hundreds of them, loaded at once, share it. In a network none is twice."""
        sizes = [-(-each.numel() // ALIGNED) * ALIGNED for each in network.parameters()]
        if len(self.numbers) < sum(sizes):
            self.numbers = self.placed(
                (0.03 * torch.randn(DRAWN)).repeat(2 * sum(sizes) // DRAWN + 1)
            )
        start = 0
        for module in network.modules():
            for name, each in list(module.named_parameters(recurse=False)):
                part = self.numbers[start : start + each.numel()].view(each.shape)
                module.register_parameter(name, torch.nn.Parameter(part))
                start += -(-each.numel() // ALIGNED) * ALIGNED
        return network

    def forget(self):
        """Give back what was kept of networks that are no longer loaded."""
        if self.precision is not None and not self.options["cuda_graphs"]:  # they point into it
            torch.clear_autocast_cache()

    def placed(self, given):
        """A network or images, where and as networks run."""
        maps = isinstance(given, torch.nn.Module) or given.dim() == 4
        if self.options["memory_format"] == "channels_last" and maps:
            given = given.to(memory_format=torch.channels_last)
        return given.to(self.device)

    def random_images(self, shape):
        return self.placed(torch.randn(shape))

    def runner(self, network, images):
        return lambda: network(images)

    def profile(self, run, _request, runs):
        if self.options["cuda_graphs"]:
            raise ValueError("operators inside a CUDA graph are not told: take cuda_graphs = false")
        profiler = torch.profiler
        kinds = [profiler.ProfilerActivity.CPU]
        if self.device == "cuda":
            kinds.append(profiler.ProfilerActivity.CUDA)
        with profiler.profile(activities=kinds) as profile:
            for _ in range(runs):
                run()
            self.wait()
        ops = []
        for each in profile.key_averages():
            own_us = each.self_cpu_time_total
            if self.device == "cuda":  # under one of its names in torch 1.10 and today's
                own_us = getattr(each, "self_device_time_total", None)
                own_us = each.self_cuda_time_total if own_us is None else own_us
            if each.key.startswith("aten::") and own_us > 0:
                ops.append([each.key, each.count // runs, own_us / runs / 1e3])
        return ops

    def _read_weights(self, weights):
        with open(weights["path"], "rb") as file:
            flat = torch.frombuffer(bytearray(file.read()), dtype=torch.float32)
        state, start = {}, 0
        for name, shape in weights["tensors"]:
            count = 1
            for size in shape:
                count *= size
            state[name] = flat[start : start + count].view(shape)
            start += count
        return state

    def infer(self, network, images, shape):
        flat = torch.frombuffer(bytearray(images), dtype=torch.float32)
        logits = network(self.placed(flat.view(shape)))
        return logits.float().cpu().contiguous().numpy().tobytes()


class TorchCudaRuntime(TorchRuntime):
    """torch on an NVIDIA GPU."""

    device = "cuda"

    def __init__(self, request):
        if not torch.cuda.is_available():
            raise RuntimeError(
                "torch %s there finds no CUDA GPU: a CUDA build of torch and NVIDIA's driver are "
                "needed" % torch.__version__
            )
        TorchRuntime.__init__(self, request)
        # What a heuristic chooses is the same every time; what trials choose is not.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False  # float32 shall be that
        torch.backends.cuda.matmul.allow_tf32 = False
        self.noise = torch.empty(0, device=self.device)
        # Graphs never run at the same time and nobody reads what they give: they share memory.
        self.pool = torch.cuda.graph_pool_handle() if self.options["cuda_graphs"] else None
        self.environment.update(
            gpu=torch.cuda.get_device_name(),
            cuda=str(torch.version.cuda),
            cudnn=str(torch.backends.cudnn.version()),
        )

    def random_images(self, shape):
        """One buffer serves all: thousands of loaded blocks with a batch each would not fit."""
        size = 1
        for each in shape:
            size *= each
        if self.noise.numel() < size:  # those loaded before keep the smaller one
            self.noise = torch.randn(2 * size, device=self.device)
        if self.options["memory_format"] == "channels_last" and len(shape) == 4:
            batch, channels, height, width = shape
            return self.noise[:size].view(batch, height, width, channels).permute(0, 3, 1, 2)
        return self.noise[:size].view(shape)

    def runner(self, network, images):
        if not self.options["cuda_graphs"]:
            return lambda: network(images)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries settle before they are captured
            for _ in range(3):
                network(images)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            network(images)

        def replay(_kept=images):  # the graph reads it wherever it lay
            graph.replay()

        return replay

    def time(self, run, runs):
        walls, devices = [], []
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.wait()
        for _ in range(runs):
            wall = wall_clock_ns()
            start.record()
            run()
            end.record()
            end.synchronize()
            walls.append(wall_clock_ns() - wall)
            devices.append(int(start.elapsed_time(end) * 1e6))
        return {"wall": walls, "device": devices}

    def wait(self):
        torch.cuda.synchronize()


def described(program):
    """[name, dtype, shape] of each input of a program, in its order."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    found = []
    for name in program.graph_signature.user_inputs:  # of numbers these are the numbers
        value = values.get(name)
        if not hasattr(value, "shape"):
            raise ValueError("it takes %s, which is no tensor: nothing else is fed" % (name,))
        shape = [size if isinstance(size, int) else ANY_SIZE for size in value.shape]
        found.append([name, str(value.dtype)[len("torch.") :], shape])
    return found


def start(request):
    on_gpu = request["settings"].get("device") == "cuda"
    return (TorchCudaRuntime if on_gpu else TorchRuntime)(request)
