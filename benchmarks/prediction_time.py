"""What does it take to predict a model file, beside loading and running it once?

ResNet-50 of pytorchcv, with random weights, on a device with a table of kernels. Medians of
several, in one run: the whole command from its start, and the call of `predict_models` in a process
that has made others; of a file that was never read, and of one that was. The yardstick is what
anybody does without a predictor: a session of onnxruntime, and one run.

    python benchmarks/prediction_time.py --device cpu-onnxruntime --root ROOT

Prints a table and, as its last line, one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from zoo import export
from zoo_networks import Network

from harness.graphs.reading import read_model
from harness.pipeline.predict_model import predict_models
from harness.runtimes.model_inputs.asked import NOTHING_ASKED
from harness.workspace import Workspace

NETWORK = Network("resnet", "resnet50")
TIMES = 7


def took_s(work: Callable[[], object], before: Callable[[], object] = int) -> float:
    times = []
    for _ in range(TIMES):
        before()
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return median(times)


def run_once(model: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    session.run(None, {given.name: np.zeros(given.shape, np.float32)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu-onnxruntime")
    parser.add_argument("--root", type=Path, default=Path(), help="with the table of kernels")
    arguments = parser.parse_args()
    root: Path = arguments.root.resolve()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        os.environ["HARNESS_CACHE"] = str(cache)
        model = NETWORK.path(Path(folder))
        export(NETWORK, Path(folder), ".onnx")

        def forget() -> None:
            shutil.rmtree(cache / "graphs", ignore_errors=True)

        def predict() -> None:
            predict_models(Workspace(root), [str(model)], [arguments.device], NOTHING_ASKED)

        def command() -> None:
            words = [*("predict", str(model), "--device", arguments.device), "--root", str(root)]
            subprocess.run(
                [sys.executable, "-m", "harness", *words], check=True, stdout=subprocess.DEVNULL
            )

        def start() -> None:
            subprocess.run(
                [sys.executable, "-m", "harness", "--help"], check=True, stdout=subprocess.DEVNULL
            )

        started = time.perf_counter()
        predict()
        told = {"first_of_a_table_s": time.perf_counter() - started}
        told |= {"call_new_file_s": took_s(predict, forget), "call_s": took_s(predict)}
        told |= {"command_new_file_s": took_s(command, forget), "command_s": took_s(command)}
        told |= {"help_s": took_s(start), "loading_and_a_run_s": took_s(lambda: run_once(model))}
        kernels = len(read_model(model).steps)
    for name, value in told.items():
        print(f"{name:<22} {value:7.3f}")
    ratio = told["call_new_file_s"] / told["loading_and_a_run_s"]
    told |= {"kernels": kernels, "ratio_to_loading_and_a_run": ratio}
    print(json.dumps({name: round(value, 4) for name, value in told.items()}))


if __name__ == "__main__":
    main()
