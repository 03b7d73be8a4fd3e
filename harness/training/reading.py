"""Batches of decoded images from worker processes, in order."""

import multiprocessing
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness.errors import WorkspaceError
from harness.orphans import end_with_the_parent
from harness.training.augment import AREA, augmented, centred

T = TypeVar("T")


@dataclass(frozen=True)
class Files:
    """Image files and what they show."""

    paths: tuple[str, ...]
    labels: npt.NDArray[np.int64]  # numbers of classes

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: npt.NDArray[np.int64]) -> "Files":
        return Files(tuple(self.paths[index] for index in indices), self.labels[indices])


@dataclass(frozen=True)
class Task:
    """All that a worker is given: it keeps nothing, so that its start costs little."""

    files: Files
    resolution: int  # pixels
    seed: int | None  # of the augmentation; None: images as they are, from the middle
    channels: int = 3  # 1: grey
    smallest_crop: float = AREA[0]


@dataclass(frozen=True)
class Batch:
    """What a worker answers. Bytes: a quarter of what floats would take in shared memory."""

    pixels: Tensor  # uint8 [n, r, r, channels]
    labels: Tensor  # int64 [n]
    damaged: tuple[str, ...]  # paths

    def copy(self) -> "Batch":
        """Out of the memory shared with a worker, of which there may be little."""
        return Batch(self.pixels.clone(), self.labels.clone(), self.damaged)

    def normalised(
        self, mean: float | tuple[float, ...], std: float | tuple[float, ...]
    ) -> tuple[Tensor, Tensor]:
        """float32 [n, channels, r, r], channels last, of pixels in [0, 1]; and the labels."""
        _, height, width, channels = self.pixels.shape
        centre, spread = (
            torch.tensor(value).expand(channels).repeat(width) for value in (mean, std)
        )
        images = torch.empty(self.pixels.shape)
        # By image, which fits the cache, and by row, not by pixel: several times as fast.
        for image, pixels in zip(images, self.pixels, strict=True):
            rows = pixels.view(height, width * channels).float()
            torch.mul(rows, 1 / (255 * spread), out=image.view(rows.shape)).sub_(centre / spread)
        return images.permute(0, 3, 1, 2), self.labels


class Lazy(Sequence[T]):
    """A sequence whose items are made each time they are asked for."""

    def __init__(self, sources: Sequence[Batch], make: Callable[[Batch], T]) -> None:
        self._sources = sources
        self._make = make

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> "Lazy[T]": ...
    def __getitem__(self, index: int | slice) -> "T | Lazy[T]":
        if isinstance(index, slice):
            return Lazy(self._sources[index], self._make)
        return self._make(self._sources[index])


def read(tasks: Iterable[Task], workers: int) -> Iterator[Batch]:
    """A batch for each task, in their order; `workers` processes read ahead (0: this one reads).

    Raises:
        WorkspaceError: a worker was killed.
    """
    context = None
    if workers:
        # Not "fork": this process may have threads and a GPU, of which a copy breaks. Not "spawn":
        # each worker would import torch anew. The fork server is a clean process that has.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of more workers than processors: the caller chose
        loader = DataLoader(
            _Reader(),
            batch_size=None,  # a task is a batch
            sampler=tasks,
            num_workers=workers,
            multiprocessing_context=context,
            generator=torch.Generator(),  # its own: the default one belongs to training
            worker_init_fn=_begin,
        )
        batches = iter(loader)
    try:
        yield from batches
    except (RuntimeError, EOFError, ConnectionError, FileNotFoundError) as error:
        if isinstance(error, RuntimeError) and "exited unexpectedly" not in str(error):
            raise  # the others: the socket that a batch should have come through is gone
        raise WorkspaceError(
            "a process that reads images was killed; memory or /dev/shm may be full: "
            "use fewer workers"
        ) from error
    finally:
        del batches  # ends the workers, whoever still holds an error that passed here


def _begin(worker: int) -> None:  # noqa: ARG001  DataLoader passes its number
    """The fork server lives on as long as its workers do."""
    end_with_the_parent()


class _Reader(Dataset[Batch]):
    """What DataLoader's workers run."""

    def __getitem__(self, task: Task) -> Batch:
        if task.seed is None:
            return _as_they_are(task)
        return _augmented(task, task.seed)


def _augmented(task: Task, seed: int) -> Batch:
    """The next good image takes the place of a damaged one, so that the batch keeps its size.

    Random numbers belong to the draw and the place in it.
    """
    files = task.files
    pixels = np.empty((len(files), task.resolution, task.resolution, task.channels), np.uint8)
    labels = np.empty(len(files), np.int64)
    damaged: dict[str, None] = {}
    for place in range(len(files)):
        for chosen in (*range(place, len(files)), *range(place)):
            path = files.paths[chosen]
            if path in damaged:
                continue
            image = _decoded(path, task, np.random.default_rng([seed, place]))
            if image is not None:
                pixels[place], labels[place] = image, files.labels[chosen]
                break
            damaged[path] = None
        else:
            return _batch(pixels[:0], labels[:0], damaged)
    return _batch(pixels, labels, damaged)


def _as_they_are(task: Task) -> Batch:
    """From the middle; damaged ones are left out."""
    files, size = task.files, task.resolution
    decoded = {path: _decoded(path, task) for path in files.paths}
    images = [image for image in decoded.values() if image is not None]
    pixels = np.array(images, np.uint8).reshape(-1, size, size, task.channels)
    good = [place for place, path in enumerate(files.paths) if decoded[path] is not None]
    return _batch(pixels, files.labels[good], [p for p in decoded if decoded[p] is None])


def _batch(
    pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], damaged: Iterable[str]
) -> Batch:
    return Batch(torch.from_numpy(pixels), torch.from_numpy(labels), tuple(damaged))


def _decoded(
    path: str, task: Task, rng: np.random.Generator | None = None
) -> npt.NDArray[np.uint8] | None:
    """An image [r, r, channels], augmented where random numbers are given; None: it is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, which do no harm
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            size, channels = task.resolution, task.channels
            if rng is None:
                image = centred(path, size, channels)
            else:
                image = augmented(path, size, rng, channels, task.smallest_crop)
            return np.asarray(image).reshape(size, size, channels)
    except Exception:  # noqa: BLE001  Pillow's decoders raise nearly everything
        return None
