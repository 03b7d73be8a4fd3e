"""Images in folders: ROOT/train/CLASS/*.jpg and ROOT/val/CLASS/*.jpg, or as `layouts` reads them.

Some training images are held out, for choosing between networks; ROOT/val is the test. Both are
never trained on.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from harness.errors import FileFormatError, UsageError
from harness.training.draws import Draw
from harness.training.layouts import Listing, list_images
from harness.training.reading import Batch, Files, Lazy, Task, read

VAL = ("val", "valid", "validation")
CALIBRATION_IMAGES = 2000  # as in the reference
BATCH_SIZE = 100  # of images that are not trained on
_SPLIT, _CALIBRATE = 11, 12  # streams of random numbers, besides those of draws.py


@dataclass
class ImageFolder:
    """A data set of image files; an ImageData.

    Damaged images are left out: in training another image of the same draw takes the place.
    """

    root: Path
    classes: tuple[str, ...]
    train: Files
    held_out: Files
    tested: Files | None
    seed: int
    workers: int  # processes that decode; 0: this one does
    facts: dict[str, Any]
    count: int
    channels: int = 3
    mean: float | tuple[float, ...] = (0.485, 0.456, 0.406)
    std: float | tuple[float, ...] = (0.229, 0.224, 0.225)
    _damaged: dict[str, None] = field(default_factory=dict)
    _kept: dict[str, tuple[int, list[Batch]]] = field(default_factory=dict)

    @classmethod
    def open(
        cls, root: Path, seed: int = 0, workers: int | None = None, held_out: int = 10_000
    ) -> "ImageFolder":
        """List the files; no image is opened. The same seed holds out the same images.

        `held_out` images, evenly over classes, at most a tenth. Unless told, as many workers as
        processors, shared with the other ranks of this machine.

        Raises:
            UsageError: there is no such folder, or it cannot be listed.
            FileFormatError: the folders in it are not as described above.
        """
        if not root.is_dir():
            raise UsageError(f"there is no folder {root}")
        train = root / "train"
        vals = [root / name for name in VAL if (root / name).is_dir()]
        split = train.is_dir()  # otherwise the class folders are in ROOT itself
        if vals and not split:
            raise FileFormatError(
                f"{root} has no train; its {vals[0].name} alone: --data {vals[0]}"
            )
        if len(vals) > 1:
            names = " and ".join(path.name for path in vals)
            raise FileFormatError(f"{root} has {names}: leave there the one that judges")
        folder = train if split else root
        listing = list_images(folder)
        classes = tuple(listing)
        files = _files(folder, listing, classes)
        held = _held_out(files.labels, held_out, seed)
        if not held.any():
            raise FileFormatError(f"{folder} has one image a class: none can be held out")
        tested = _files(vals[0], list_images(vals[0]), classes) if vals else None
        facts = {
            "images": len(files),
            "classes": len(classes),
            "held_out": int(held.sum()),
            "seed": seed,
            "digest": _digest(listing),
        }
        return cls(
            root=root,
            classes=classes,
            train=files.take(np.flatnonzero(~held)),
            held_out=files.take(np.flatnonzero(held)),
            tested=tested,
            seed=seed,
            workers=_processors() if workers is None else workers,
            facts=facts,
            count=int((~held).sum()),
        )

    @property
    def damaged(self) -> tuple[Path, ...]:
        """The damaged images met so far, in the order they were met."""
        return tuple(Path(path) for path in self._damaged)

    @property
    def damage(self) -> str:
        """The same for a person."""
        return told(self.damaged)

    def stream(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each draw: augmented, normalised images [n, 3, r, r], channels last; labels [n].

        The same draw gives the same images, whatever the number of workers, which read ahead.
        They start with the stream: use one for many draws, and close it or let it go.

        Raises:
            FileFormatError: all images of a draw are damaged.
            WorkspaceError: a worker was killed.
        """
        tasks = (Task(self.train.take(d.indices), d.resolution, d.seed) for d in draws)
        for batch in self._read(tasks):
            if not len(batch.labels):
                raise FileFormatError(
                    f"all {len(batch.damaged)} images of a batch are damaged, among them "
                    f"{batch.damaged[0]}; check {self.root}"
                )
            yield batch.normalised(self.mean, self.std)

    def calibration(self, resolution: int) -> Sequence[Tensor]:
        """Batches of 2,000 training images [n, 3, r, r], or of all where there are fewer."""
        rng = np.random.default_rng([self.seed, _CALIBRATE])
        chosen = rng.permutation(self.count)[:CALIBRATION_IMAGES]
        batches = self._keep("calibration", self.train.take(chosen), resolution)
        return Lazy(batches, lambda batch: batch.normalised(self.mean, self.std)[0])

    def judges(self, resolution: int) -> Sequence[tuple[Tensor, Tensor]]:
        """Batches of the held-out images [n, 3, r, r] and their labels, class by class."""
        return self._pairs("judges", self.held_out, resolution)

    def test(self, resolution: int) -> Sequence[tuple[Tensor, Tensor]] | None:
        """The same of ROOT/val, where there is one."""
        return None if self.tested is None else self._pairs("test", self.tested, resolution)

    def _pairs(self, what: str, files: Files, r: int) -> Sequence[tuple[Tensor, Tensor]]:
        batches = self._keep(what, files, r)
        return Lazy(batches, lambda batch: batch.normalised(self.mean, self.std))

    def _keep(self, what: str, files: Files, resolution: int) -> list[Batch]:
        """Images that are not augmented, kept at the newest resolution only, as bytes."""
        if what in self._kept and self._kept[what][0] == resolution:
            return self._kept[what][1]
        self._kept.pop(what, None)  # makes room first
        parts = np.split(np.arange(len(files)), range(BATCH_SIZE, len(files), BATCH_SIZE))
        tasks = [Task(files.take(part), resolution, None) for part in parts]
        batches = [batch.copy() for batch in self._read(tasks) if len(batch.labels)]
        if not batches:
            raise FileFormatError(f"all {len(files)} {what} images of {self.root} are damaged")
        self._kept[what] = resolution, batches
        return batches

    def _read(self, tasks: Iterable[Task]) -> Iterator[Batch]:
        for batch in read(tasks, self.workers):
            self._damaged.update(dict.fromkeys(batch.damaged))
            yield batch


def told(damaged: Sequence[Path]) -> str:
    """How many damaged images, and the first ten."""
    names = ", ".join(map(str, damaged[:10]))
    rest = len(damaged) - 10
    more = f" and {rest} more" if rest > 0 else ""
    return f"damaged images left out: {len(damaged)}: {names}{more}"


def _files(folder: Path, listing: Listing, classes: tuple[str, ...]) -> Files:
    unknown = [name for name in listing if name not in classes]
    if unknown:
        raise FileFormatError(f"{folder} has the class {unknown[0]}, which train lacks")
    paths = [f"{folder}/{file}" for images in listing.values() for file, _ in images]
    labels = [classes.index(name) for name in listing]
    return Files(tuple(paths), np.repeat(labels, [len(images) for images in listing.values()]))


def _held_out(labels: npt.NDArray[np.int64], limit: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which images are held out: the classes take turns, each gives at most a tenth of its own.

    A class of two to nine images can give one; there are never more than a tenth in all.
    """
    order = np.random.default_rng([seed, _SPLIT]).permutation(len(labels))
    sizes = np.bincount(labels)
    by_class = order[np.argsort(labels[order], kind="stable")]
    turn = np.empty(len(labels), np.int64)  # of an image among those of its class
    turn[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    candidates = order[(turn < np.maximum(sizes // 10, sizes > 1)[labels])[order]]
    in_turn = candidates[np.argsort(turn[candidates], kind="stable")]
    held = np.zeros(len(labels), bool)
    held[in_turn[: min(limit, max(1, len(labels) // 10))]] = True
    return held


def _digest(listing: Listing) -> str:
    """Of class names, file names and sizes, wherever the folder is."""
    digest = hashlib.sha256()
    for images in listing.values():
        lines = [f"{file} {size}\n" for file, size in images]
        digest.update("".join(lines).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _processors() -> int:
    local_ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says it
    return max(1, len(os.sched_getaffinity(0)) // local_ranks)
