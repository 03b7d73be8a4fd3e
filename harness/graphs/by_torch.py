"""What torch runs of a program that torch.export made: each call of an operator is a kernel.

The program is run here without numbers (`torch_calls`): torch's own rules tell the sizes of all
that is made, how it lies in memory, and what of it is the memory of something else. Nothing is
fused.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness.errors import FileFormatError, MissingExtra
from harness.graphs.graph import Graph
from harness.hints import install
from harness.runtimes.conversion.cache import cache_folder, is_whole, keep
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.model_inputs.feeding import feeding
from harness.runtimes.model_inputs.model_input import ModelInput
from harness.runtimes.model_inputs.uses import Use
from harness.spaces import kernel as kernels
from harness.spaces import kernel_of_torch
from harness.transports import content


def read_program(model: Path, asked: Asked = NOTHING_ASKED, batch: int = 1) -> Graph:
    """The kernels of a .pt2 file, open sizes as `model_inputs.feeding` resolves them.

    They are kept in the cache, by all that decides them.

    Raises:
        FileFormatError: it is no such file, is broken, or what it runs depends on values.
        UsageError: sizes have to be said first.
        MissingExtra: torch is not installed.
    """
    kept = cache_folder() / "graphs" / f"{_digest(model, asked, batch)}.json"
    if is_whole(kept):
        return Graph.from_json(json.loads(kept.read_bytes()))
    program = loaded(model)
    inputs = _inputs(model, program)
    from harness.graphs.torch_calls import calls_of

    shapes = [feed.shape for feed in feeding(model, asked, batch, inputs).feeds]
    try:
        graph = Graph(tuple(calls_of(program, shapes)))
    except Exception as error:  # whatever torch raises at a program of anybody
        reason, *_ = (str(error).strip() or repr(error)).split("\n")  # then come stacks
        raise FileFormatError(
            f"{model}: what it takes cannot be told without its values: {reason:.300}"
        ) from error
    keep(kept, json.dumps(graph.to_json()).encode())
    return graph


def loaded(model: Path) -> Any:
    """The program.

    Raises:
        FileFormatError: torch cannot read it.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            f"reading .pt2 files needs torch, which is not installed: {install('train')}"
        ) from error
    with warnings.catch_warnings(), _logged_by_torch() as logged:
        warnings.simplefilter("ignore")
        try:
            return torch.export.load(model)
        except Exception as error:  # whatever torch raises at a file of anybody
            cause = next((each.exc_info[1] for each in logged if each.exc_info), error)
            reason = " ".join(str(cause).split()) or repr(cause)
            raise FileFormatError(
                f"torch cannot read {model} as a program: {reason:.300}"
            ) from error


@contextmanager
def _logged_by_torch() -> Iterator[list[logging.LogRecord]]:
    """Kept from people: torch logs there why it cannot read a file, and raises something else."""
    records: list[logging.LogRecord] = []
    logger, keeping = logging.getLogger("torch.export"), logging.Handler()
    keeping.emit = records.append  # type: ignore[assignment,method-assign]
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [keeping], False
    try:
        yield records
    finally:
        logger.handlers, logger.propagate = handlers, propagate


def _digest(model: Path, asked: Asked, batch: int) -> str:
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = ""
    found = hashlib.sha256(content.digest(model).encode())
    found.update(repr((asked, batch, torch)).encode())
    calls = Path(__file__).with_name("torch_calls.py")
    for source in (__file__, calls, kernels.__file__, kernel_of_torch.__file__):
        found.update(Path(source).read_bytes())
    return found.hexdigest()


def _inputs(model: Path, program: Any) -> list[ModelInput]:
    """In the order in which the program takes them."""
    values = {each.name: each.meta.get("val") for each in program.graph.nodes}
    found = []
    for name in program.graph_signature.user_inputs:  # of numbers these are the numbers
        value: Any = values.get(name)
        if not hasattr(value, "shape"):
            raise FileFormatError(f"{model} takes {name}, which is no tensor: nothing else is fed")
        shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
        dtype = str(value.dtype).removeprefix("torch.")
        found.append(ModelInput(name, dtype, shape, Use()))
    return found
