"""Images on which the ranges of int8 networks are collected."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import FileFormatError
from harness.files import check_regular

if TYPE_CHECKING:
    from harness.networks.file import Preprocessing

Images = npt.NDArray[np.float32]  # [n, channels, height, width]

AT_MOST = 64  # more change no range by much, and each is run
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")  # in small letters or capitals
MODES = {1: "L", 3: "RGB"}  # Pillow's name for images of so many channels


def network_inputs(source: Path, channels: int, preprocessing: "Preprocessing") -> Images:
    """What a network takes, from a folder of images or an .npy file of pixels in [0, 1].

    Raises:
        FileFormatError: none can be read, or they are not of `channels` channels.
    """
    import torch
    import torch.nn.functional as F

    size = (preprocessing.resolution, preprocessing.resolution)
    prepared = []
    for pixels in _read(source, channels):
        resized = torch.from_numpy(pixels)
        if resized.shape[-2:] != size:
            resized = F.interpolate(
                resized, size, mode="bilinear", antialias=True, align_corners=False
            )
        prepared.append(resized.numpy())
    mean, std = (
        np.asarray(value, dtype=np.float32).reshape(-1, 1, 1)
        for value in (preprocessing.mean, preprocessing.std)
    )
    return (np.concatenate(prepared) - mean) / std


def digest(source: Path) -> str:
    """What decides the images of `source`: a hash of the content of its files.

    Raises:
        FileFormatError: they cannot be read.
    """
    found = hashlib.sha256()
    try:
        for path in _files(source):
            check_regular(path)
            found.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise FileFormatError(f"cannot read {error.filename}: {error.strerror}") from error
    return found.hexdigest()


def _files(source: Path) -> list[Path]:
    """The first images of a folder by name; a file is itself."""
    if not source.is_dir():
        return [source]
    paths = (path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in paths if path.is_file())[:AT_MOST]


def _read(source: Path, channels: int) -> Iterator[Images]:
    """Pixels in [0, 1], images of one size together."""
    if not source.is_dir():
        yield _read_array(source, channels)
        return
    if channels not in MODES:
        raise FileFormatError(
            f"the network takes images of {channels} channels; those in {source} have 1 or 3, "
            "an .npy file can have any number"
        )
    found = [image for path in _files(source) if (image := _read_image(path, channels)) is not None]
    if not found:
        raise FileFormatError(f"no image in {source} can be read ({' '.join(SUFFIXES)})")
    yield from found


def _read_image(path: Path, channels: int) -> Images | None:
    """One image as [1, channels, height, width]; None where the file is damaged."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert(MODES[channels]), dtype=np.float32)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return pixels.reshape(1, *pixels.shape[:2], channels).transpose(0, 3, 1, 2) / np.float32(255)


def _read_array(path: Path, channels: int) -> Images:
    check_regular(path)
    try:
        pixels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(f"cannot read {path}: not a folder, and no .npy file") from error
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.float32 or pixels.ndim != 4:
        raise FileFormatError(f"{path} is no float32 array [images, channels, height, width]")
    if pixels.shape[1] != channels or not pixels.size:
        raise FileFormatError(
            f"{path} has the shape {pixels.shape}; the network takes {channels} channels"
        )
    pixels = pixels[:AT_MOST]
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise FileFormatError(f"{path} has pixels outside of 0 to 1")
    return pixels
