"""Images in folders: ROOT/train/CLASS/*.jpg and ROOT/val/CLASS/*.jpg, or as `layouts` reads them.

Some training images are held out, for choosing between networks; ROOT/val is the test, or, where
there is none, others of the training images. Neither is ever trained on.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.errors import FileFormatError, UsageError
from harness.training.augment import AREA, MILD
from harness.training.draws import Draw
from harness.training.judging import TestImages
from harness.training.layouts import Listing, list_images
from harness.training.look import Look, look
from harness.training.reading import Batch, Files, Lazy, Task, read
from harness.training.splits import split

VAL = ("val", "valid", "validation")
COLOUR = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation, of ImageNet
GREY = (0.449, 0.226)  # the means of these
CALIBRATION_IMAGES = 2000  # as in the reference
FEW_JUDGES, FEW_TESTS, FEW_CALIBRATION = 700, 1000, 256  # about as many as digits have
BATCH_SIZE = 100  # of images that are not trained on
_CALIBRATE = 12  # a stream of random numbers, besides those of draws.py and splits.py


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
    channels: int = 3  # that images are read in; 1: grey
    calibration_images: int = CALIBRATION_IMAGES
    smallest_crop: float = AREA[0]  # share of an image's area
    _damaged: dict[str, None] = field(default_factory=dict)
    keeps_all: bool = False  # resolutions of images that judge; else the newest alone
    _kept: dict[tuple[str, int], list[Batch]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        root: Path,
        seed: int = 0,
        workers: int | None = None,
        held_out: int = 10_000,
        channels: int = 3,
    ) -> "ImageFolder":
        """List the files; no image is opened. The same seed holds out the same images.

        At most `held_out` images, as `split` chooses them. Unless told, as many workers as
        processors, shared with the other ranks of this machine. Whatever the files have, images
        come in 3 `channels`, or in grey (1).

        Raises:
            UsageError: there is no such folder, it cannot be listed, or has no such channels.
            FileFormatError: the folders in it are not as described above.
        """
        if not root.is_dir():
            raise UsageError(f"there is no folder {root}")
        if channels not in (1, 3):
            raise UsageError(
                f"images of {root} have 3 channels, or 1 in grey: none for networks of {channels}"
            )
        train = root / "train"
        vals = [root / name for name in VAL if (root / name).is_dir()]
        if vals and not train.is_dir():  # the class folders are in ROOT itself
            raise FileFormatError(
                f"{root} has no train; its {vals[0].name} alone: --data {vals[0]}"
            )
        if len(vals) > 1:
            names = " and ".join(path.name for path in vals)
            raise FileFormatError(f"{root} has {names}: leave there the one that judges")
        folder = train if train.is_dir() else root
        listing = list_images(folder)
        classes = tuple(listing)
        files = _files(folder, listing, classes)
        held, test = split(files.labels, held_out, seed)
        if not held.any():
            raise FileFormatError(f"{folder} has one image a class: none can be held out")
        if vals:
            test[:] = False
            tested = _files(vals[0], list_images(vals[0]), classes)
        else:
            tested = files.take(np.flatnonzero(test))
        trained = ~(held | test)
        facts = {
            "images": len(files),
            "classes": len(classes),
            "held_out": int(held.sum()),
            "test": int(test.sum()),
            "channels": channels,
            "seed": seed,
            "digest": _digest(listing),
        }
        return cls(
            root=root,
            classes=classes,
            train=files.take(np.flatnonzero(trained)),
            held_out=files.take(np.flatnonzero(held)),
            tested=tested if len(tested) else None,
            seed=seed,
            workers=_processors() if workers is None else workers,
            facts=facts,
            count=int(trained.sum()),
            channels=channels,
        )

    def look(self) -> Look:
        """What kind of images there are, by a look at some of them.

        Raises:
            FileFormatError: none of these can be opened.
        """
        others = () if self.tested is None else self.tested.paths
        return look([*self.train.paths, *self.held_out.paths, *others])

    def in_minutes(self) -> "ImageFolder":
        """The same for small networks on a processor: fewer judges, crops that show more."""
        return replace(
            self,
            held_out=_evenly(self.held_out, FEW_JUDGES),
            tested=None if self.tested is None else _evenly(self.tested, FEW_TESTS),
            calibration_images=FEW_CALIBRATION,
            smallest_crop=MILD,
            keeps_all=True,
            _kept={},
        )

    @property
    def mean(self) -> float | tuple[float, ...]:
        return GREY[0] if self.channels == 1 else COLOUR[0]

    @property
    def std(self) -> float | tuple[float, ...]:
        return GREY[1] if self.channels == 1 else COLOUR[1]

    @property
    def lost_colours(self) -> str | None:
        """What to say where coloured images are read in grey."""
        if self.channels != 1 or self.look().channels == 1:
            return None
        return f"the network takes grey images: those of {self.root} have colours, and lose them"

    @property
    def damaged(self) -> tuple[Path, ...]:
        """The damaged images met so far, in the order they were met."""
        return tuple(Path(path) for path in self._damaged)

    @property
    def damage(self) -> str:
        """The same for a person."""
        return told(self.damaged)

    def stream(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each draw: augmented, normalised images [n, channels, r, r]; labels [n].

        The same draw gives the same images, whatever the number of workers, which read ahead.
        They start with the stream: use one for many draws, and close it or let it go.

        Raises:
            FileFormatError: all images of a draw are damaged.
            WorkspaceError: a worker was killed.
        """
        tasks = (
            Task(
                self.train.take(each.indices),
                each.resolution,
                each.seed,
                self.channels,
                self.smallest_crop,
            )
            for each in draws
        )
        for batch in self._read(tasks):
            if not len(batch.labels):
                raise FileFormatError(
                    f"all {len(batch.damaged)} images of a batch are damaged, among them "
                    f"{batch.damaged[0]}; check {self.root}"
                )
            yield batch.normalised(self.mean, self.std)

    def calibration(self, resolution: int) -> Sequence[Tensor]:
        """Batches of 2,000 training images [n, channels, r, r], or of all if there are fewer."""
        rng = np.random.default_rng([self.seed, _CALIBRATE])
        chosen = rng.permutation(self.count)[: self.calibration_images]
        batches = self._keep("calibration", self.train.take(chosen), resolution)
        return Lazy(batches, lambda batch: batch.normalised(self.mean, self.std)[0])

    def judges(self, resolution: int) -> Sequence[tuple[Tensor, Tensor]]:
        """Batches of the held-out images [n, channels, r, r] and labels, class by class."""
        return self._pairs("judges", self.held_out, resolution)

    def test(self, resolution: int) -> Sequence[tuple[Tensor, Tensor]] | None:
        """The same of the test images, where there are any."""
        return None if self.tested is None else self._pairs("test", self.tested, resolution)

    def tests(self, resolution: int) -> TestImages:
        """All test images at a resolution; those held out where there is no test."""
        images, labels = zip(*(self.test(resolution) or self.judges(resolution)), strict=True)
        count = sum(map(len, labels))
        return TestImages(torch.cat(images), torch.cat(labels).numpy(), np.arange(count))

    def _pairs(self, what: str, files: Files, r: int) -> Sequence[tuple[Tensor, Tensor]]:
        batches = self._keep(what, files, r)
        return Lazy(batches, lambda batch: batch.normalised(self.mean, self.std))

    def _keep(self, what: str, files: Files, resolution: int) -> list[Batch]:
        """Images that are not augmented, kept as bytes."""
        kept = self._kept.get((what, resolution))
        if kept is not None:
            return kept
        if not self.keeps_all:  # makes room first
            for old in [key for key in self._kept if key[0] == what]:
                del self._kept[old]
        parts = np.split(np.arange(len(files)), range(BATCH_SIZE, len(files), BATCH_SIZE))
        tasks = [Task(files.take(part), resolution, None, self.channels) for part in parts]
        batches = [batch.copy() for batch in self._read(tasks) if len(batch.labels)]
        if not batches:
            raise FileFormatError(f"all {len(files)} {what} images of {self.root} are damaged")
        self._kept[what, resolution] = batches
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


def _evenly(files: Files, count: int) -> Files:
    """At most so many of them, as many of each class."""
    return files.take(np.linspace(0, len(files) - 1, min(count, len(files))).astype(np.int64))


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
