"""Converted files, each made once: what is in a file decides its name."""

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, Protocol

import platformdirs

import harness.networks
from harness import files
from harness.errors import ConversionFailed, HarnessError
from harness.orphans import deaf_to_interrupts, end_with_the_parent
from harness.progress import Progress, silent
from harness.runtimes import model_files
from harness.runtimes.session import Workload
from harness.spaces.kernel import is_kernel
from harness.transports.content import digest

CHOOSE_CACHE = "name another folder for converted files in HARNESS_CACHE"
SOON_S = 10.0  # in so long all is done: nobody needs a warning, or several processes
START_S = 2.0  # of a process that imports torch
TELL_EVERY_S = 0.5  # how far it is, also where it is no further: who is told may end it
LAYERS = Path(harness.networks.__file__).with_name("layers.py")


class Remark(UserWarning):
    """What users shall know of a conversion."""


class Converter(Protocol):
    """Makes one kind of file; a frozen dataclass of all settings that change its content."""

    slow: ClassVar[bool]  # or it talks: always in processes of its own, which nobody hears
    takes_s: ClassVar[tuple[float, float]]  # a block, on a quiet and on a busy machine of 2 cores

    def path(self, workload: Workload) -> Path:
        """Where the file for `workload` is kept; its suffix says which kind of file it is."""

    def make(self, workload: Workload) -> bytes:
        """The file's content."""


def cache_folder() -> Path:
    """Where converted files are kept: `HARNESS_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("HARNESS_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("harness"))


def content_path(suffix: str, content: dict[str, Any], workload: Workload) -> Path:
    """The cache's place for a file; `content` is all besides the workload that decides it."""
    source: Any = (
        model_files.digest(workload)
        if isinstance(workload, Path)
        else [block.key for block in workload]
    )
    key = json.dumps(content | _writer(workload) | {"workload": source}, sort_keys=True)
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()}{suffix}"


def _writer(workload: Workload) -> dict[str, Any]:
    """What of our own code decides the file."""
    if isinstance(workload, Path):
        return {}
    return {"kernels": _kernel_writers()} if is_kernel(workload) else {"layers": _sha256(LAYERS)}


@cache
def _kernel_writers() -> list[str]:
    return [_sha256(each) for each in sorted(Path(__file__).parent.glob("kernel_*.py"))]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def converted(converter: Converter, workload: Workload) -> Path:
    """The file for `workload`, made only where the cache does not have it whole."""
    path = converter.path(workload)
    if not is_whole(path):
        keep(path, converter.make(workload))
    return path


def keep(path: Path, content: bytes) -> None:
    """Write a file of the cache, and beside it what it is checked against."""
    checksum = hashlib.sha256(content).hexdigest().encode()
    for each, written in ((path, content), (_checksum(path), checksum)):
        files.replace_atomically(each, written, CHOOSE_CACHE)


def is_whole(path: Path) -> bool:
    """Whether the cache has this file as it was written: a disk may lose the end of one."""
    try:
        return _checksum(path).read_text() == digest(path)
    except (OSError, UnicodeDecodeError):
        return False


def _checksum(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def convert_all(
    converter: Converter, workloads: Sequence[Workload], on_progress: Progress = silent
) -> None:
    """Make the files that the cache lacks, in several processes where that takes long.

    Raises:
        ConversionFailed: a converting process died.
    """
    missing = [each for each in workloads if not is_whole(converter.path(each))]
    if not missing:
        return
    blocks = sum(1 if isinstance(each, Path) else len(each) for each in missing)
    quick_s, takes_s = (blocks * each_s for each_s in converter.takes_s)
    if not converter.slow and takes_s < SOON_S:
        for done, workload in enumerate(missing, start=1):
            converted(converter, workload)
            on_progress(done, len(missing))
        return
    worth_starting = max(1, round(takes_s / START_S))
    at_once = min(len(missing), os.cpu_count() or 1, worth_starting)
    if takes_s / at_once > SOON_S:
        suffixes = " and ".join(sorted({_suffix(converter, each) for each in missing}))
        logging.getLogger(__name__).warning(
            "harness: %d files have to be converted to %s first, about %.0f to %.0f s; they are "
            "kept for later runs",
            *(len(missing), suffixes, quick_s / at_once, takes_s / at_once),
        )
    context = get_context("spawn")
    line, our_end = context.Pipe(duplex=False)
    with line, our_end, ProcessPoolExecutor(at_once, context, _begin, (line,)) as pool:
        try:
            with deaf_to_interrupts():
                waiting = {pool.submit(_remarked, converter, each): each for each in missing}
            logged: set[str] = set()
            while waiting:
                ready, _ = wait(waiting, TELL_EVERY_S, FIRST_COMPLETED)
                for future in ready:
                    workload = waiting.pop(future)
                    what = f"{named(workload)} to {_suffix(converter, workload)}"
                    for remark in _result(future, what) - logged:
                        logging.getLogger(__name__).warning("harness: %s", remark)
                        logged.add(remark)
                on_progress(len(missing) - len(waiting), len(missing))
        except BrokenProcessPool as error:
            raise ConversionFailed(
                "a converting process died, perhaps for lack of memory; start again to go on"
            ) from error
        except BaseException:
            our_end.close()  # ends the workers, whose conversions may take a minute
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _suffix(converter: Converter, workload: Workload) -> str:
    return "".join(converter.path(workload).suffixes)


def _result(future: Future[set[str]], what: str) -> set[str]:
    """Raises ConversionFailed for whatever a converter of others raises."""
    try:
        return future.result()
    except (BrokenProcessPool, HarnessError):
        raise
    except Exception as error:
        raise ConversionFailed(f"cannot convert {what}: {error!r:.300}") from error


def _remarked(converter: Converter, workload: Workload) -> set[str]:
    """Make a file; what there is to say of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Remark)
        converted(converter, workload)
    return {str(each.message) for each in caught if issubclass(each.category, Remark)}


def _begin(line: Connection) -> None:
    """Converters talk a lot; what matters comes back as an exception."""
    end_with_the_parent(line)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch's: each of us has a processor to itself
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def named(workload: Workload) -> str:
    """The workload in a message."""
    if isinstance(workload, Path):
        return str(workload)
    return workload[0].key if len(workload) == 1 else f"a network of {len(workload)} blocks"
