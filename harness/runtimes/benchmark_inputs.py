"""How `benchmark_model` is told what to feed a user's model file with.

The flags are those of tensorflow/lite/tools/benchmark/benchmark_tflite_model.cc: sizes have been
there since 2018, files with values since TensorFlow 2.3, signatures since 2.17. A runner that does
not know a flag goes on without it.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from harness.errors import TargetFailed
from harness.runtimes.model_inputs.feeding import Feeding
from harness.runtimes.model_inputs.values import values_file

_IGNORED = re.compile(r"Unconsumed cmdline flags:.*?(--(?:input_layer|signature_to_run)\w*)")


def input_flags(fed: Feeding, push: Callable[[Path], PurePosixPath]) -> list[str]:
    """None where the runner would do the same by itself.

    Raises:
        TargetFailed: the runner cannot be told.
    """
    graph = [f"--signature_to_run_for={fed.signature}"] if fed.signature else []
    if all(feed.fixed and feed.values is None for feed in fed.feeds):
        return graph
    for feed in fed.feeds:
        if "," in feed.name:
            raise TargetFailed(f"benchmark_model cannot be told of input {feed.name!r}: its comma")
    sizes = [",".join(map(str, feed.shape)) for feed in fed.feeds]
    files = [
        f"{feed.name.replace(':', '::')}:{push(values_file(feed.values))}"
        for feed in fed.feeds
        if feed.values is not None
    ]
    return [
        *graph,
        f"--input_layer={','.join(feed.name for feed in fed.feeds)}",
        f"--input_layer_shape={':'.join(sizes)}",
        *([f"--input_layer_value_files={','.join(files)}"] if files else []),
    ]


def check_taken(fed: Feeding, output: str) -> None:
    """Raises TargetFailed where the runner has run something else than it was asked to."""
    ignored = _IGNORED.search(output)
    lines = f"Using signature: {fed.signature}", f"Signature to run: [{fed.signature}]"
    if ignored or (fed.signature and not any(each in output for each in lines)):
        flag = ignored[1] if ignored else "--signature_to_run_for"
        raise TargetFailed(
            f"this benchmark_model is too old: it does not know {flag}, and would time another "
            "network than was asked for"
        )
