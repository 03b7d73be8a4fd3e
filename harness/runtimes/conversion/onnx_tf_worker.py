"""An .onnx file to a .tflite file by onnx-tf and TensorFlow, in an environment of their own.

It imports nothing of the project. Run it with `python -I`: beside it lies an `onnx.py`.

    python -I onnx_tf_worker.py MODEL.onnx MODEL.tflite
    python -I onnx_tf_worker.py --version
"""

import json
import os
import sys
import threading
import time
from importlib.metadata import distributions
from pathlib import Path

PACKAGES = ("onnx", "onnx-tf", "tensorflow", "tensorflow-cpu")


def versions() -> dict[str, str]:
    """Of the packages that decide the file, those that are installed."""
    found = {each.metadata["Name"]: each.version for each in distributions()}
    return {name: found[name] for name in PACKAGES if name in found}


def convert(source: Path, target: Path) -> None:
    import onnx
    import tensorflow  # type: ignore[import-untyped]
    from onnx_tf.backend import prepare  # type: ignore[import-not-found]

    folder = str(target.with_suffix(""))  # goes with the one that the target is in
    prepare(onnx.load(source)).export_graph(folder)
    converter = tensorflow.lite.TFLiteConverter.from_saved_model(folder)
    target.write_bytes(converter.convert())


def end_with(parent: int) -> None:
    """Who started us may be killed, and tells nobody."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main(arguments: list[str]) -> None:
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    if arguments == ["--version"]:
        sys.stdout.write(json.dumps(versions()) + "\n")
    else:
        source, target = arguments
        convert(Path(source), Path(target))


if __name__ == "__main__":
    main(sys.argv[1:])
