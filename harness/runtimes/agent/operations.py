"""What is open and loaded, and an answer to each request."""

import base64
import gc
import importlib
import os
import platform
import time

import meters
import nvml
import system
from clocks import WorkClocks
from timing import wall_clock_ns, warm_up

AT_ONCE = 4  # runs that a GPU is asked for at once while energy is measured
GPU_SENSORS = ("gpu_temperature_c", "gpu_clock_mhz", "gpu_throttled", "gpu_other_processes")


class Agent(object):
    """What is open and loaded, and an answer to each request."""

    def __init__(self):
        self.runtime = None
        self.gpu = None
        self.meter = None
        self.loaded = {}
        self.clocks = WorkClocks()
        self.others = system.OtherPrograms()

    def open(self, request):
        system.pin(request["cpus"])
        self.runtime = importlib.import_module(request["runtime"]).start(request)
        on_gpu = self.runtime.device == "cuda"
        if on_gpu:
            self.gpu, no_gpu = meters.open_gpu(nvml)
        self.clocks = WorkClocks(self.gpu)
        self.others = system.OtherPrograms()  # on the processors that we stay on from now on
        self.meter, no_meter = meters.open_meter(on_gpu, self.gpu)
        gc.collect()
        if hasattr(gc, "freeze"):  # what is there stays: collecting does not look at it again
            gc.freeze()
        gc.disable()
        environment = {"python": platform.python_version(), "os": platform.platform()}
        if hasattr(os, "sched_getaffinity"):
            environment["processors"] = str(sorted(os.sched_getaffinity(0)))
        environment["processor"] = system.processor()
        if on_gpu:
            environment.update(meters.facts(self.gpu))
            if self.gpu is None:
                environment["gpu_sensors"] = "none: " + no_gpu
        environment.update(self.runtime.environment)
        answer = {"environment": environment, "meter": None, "no_meter": no_meter}
        if self.meter is not None:
            answer["meter"] = {"name": self.meter.name, "period_s": self.meter.period_ms / 1e3}
        return answer

    def load(self, request):
        before_mb = system.memory_mb()
        begun_ns = wall_clock_ns()
        model, run = self.runtime.load(request)
        loaded_ns = wall_clock_ns()
        run()
        self.runtime.wait()
        ran_ns = wall_clock_ns()
        peak_mb = system.peak_memory_mb()
        self.loaded[request["id"]] = model, run, request
        run_ns = ran_ns - loaded_ns
        if request["warm"]:
            run_ns = warm_up(run, self.runtime.wait, run_ns)
        return {
            "load_ns": loaded_ns - begun_ns,
            "first_ns": ran_ns - loaded_ns,
            "memory_mb": None if None in (before_mb, peak_mb) else max(0.0, peak_mb - before_mb),
            "run_ns": run_ns,
        }

    def read(self, request):
        return {"inputs": self.runtime.inputs(request["model"])}

    def visit(self, request):
        run = self.loaded[request["id"]][1]
        for _ in range(request["warmup"]):
            run()
        at = time.time()
        values = self.runtime.time(run, request["runs"])
        self.clocks.note()
        return {"at_ns": int(at * 1e9), "values": values}

    def energy(self, request):
        """What runs over at least a window of time take, or idling."""
        run = self.loaded[request["id"]][1] if request["id"] is not None else None
        if run is not None:
            run()
            self.runtime.wait()
        runs, end = 0, time.monotonic() + request["window_s"]
        self.meter.start()
        try:
            while run is not None and time.monotonic() < end:
                for _ in range(AT_ONCE):
                    run()
                self.runtime.wait()
                runs += AT_ONCE
            if run is not None:
                self.clocks.note()
            time.sleep(max(0.0, end - time.monotonic()))
        finally:
            energy_mj, seconds = self.meter.stop()
        return {"energy_mj": energy_mj, "seconds": seconds, "runs": runs}

    def infer(self, request):
        model = self.loaded[request["id"]][0]
        images = base64.b64decode(request["images"])
        size = len(images) // request["batches"]
        logits = [
            self.runtime.infer(model, images[start : start + size], request["shape"])
            for start in range(0, len(images), size)
        ]
        return {"logits": base64.b64encode(b"".join(logits)).decode()}

    def conditions(self, _request):
        """What the system says of itself; null where it says nothing."""
        found = {
            "load_1m": system.read_number("/proc/loadavg", 1),
            "charging": system.charging(),
            "memory_available_mb": system.read_number("/proc/meminfo", 1024, "MemAvailable"),
        }
        found.update(self.others.conditions())
        if self.runtime is not None and self.runtime.device == "cuda":
            found.update(dict.fromkeys(GPU_SENSORS))  # what even a silent one is asked for
        found.update(meters.conditions(self.gpu))
        found.update(self.clocks.conditions())
        found["temperature_c"] = found["cpu_temperature_c"]
        return found

    def resume(self, _request):
        """What was done since the conditions were asked for does not count as others' work."""
        self.others.leave_out()
        return {}

    def profile(self, request):
        _, run, how = self.loaded[request["id"]]
        return {"ops": self.runtime.profile(run, how, request["runs"])}

    def play(self, request):
        run = self.loaded[request["id"]][1]
        scenarios = importlib.import_module("scenarios")  # with LoadGen, which few have
        how = (request["scenario"], request["seconds"], request["run_ns"])
        return scenarios.play(run, self.runtime.wait, *how)

    def unload(self, request):
        del self.loaded[request["id"]]
        self.runtime.forget()
        gc.collect()
        return {}
