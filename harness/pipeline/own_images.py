"""Images of one's own: which space they are for, and what was trained on them before."""

from dataclasses import replace
from pathlib import Path

from harness import files
from harness.errors import FileFormatError
from harness.pipeline.supernet_folder import Kept, Training
from harness.spaces.images import PIXELS, images_space
from harness.spaces.space import Space
from harness.training.stages import Recipe
from harness.workspace import Workspace

ENLARGED = 1.5  # times at most that the typical image is, before a space of larger ones is taken


def space_for(folder: Path) -> Space:
    """The space `images` for the classes, the colours and the size of a folder's images.

    Raises:
        UsageError, FileFormatError: it cannot be used.
    """
    from harness.training.folder import ImageFolder

    images = ImageFolder.open(folder)
    seen = images.look()
    pixels = next((p for p in PIXELS if seen.pixels < ENLARGED * p), PIXELS[-1])
    return images_space(pixels, len(images.classes), seen.channels)


def recorded(workspace: Workspace, supernet: str) -> Training | None:
    """How a supernet was trained on a folder, as its own folder tells; None where it does not.

    Raises:
        FileFormatError: what it tells is broken.
    """
    path = workspace.config(supernet)
    if not path.exists():
        return None
    read = files.read_json(path)
    try:
        if read["data"] is None:
            return None
        kept = Kept(supernet, Recipe.of(read["recipe"]), read["data"]["seed"])
        return replace(Training(**read["training"]), data=Path(read["data"]["folder"]), kept=kept)
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is broken: {error!r}; train again") from error


def trained_before(workspace: Workspace, space: str) -> Training | None:
    """How the newest supernet of the space was trained; None where there is none."""
    found = [path.parent for path in workspace.root.glob(f"runs/{space}-*/supernet.pt")]
    newest = max(found, key=lambda folder: (folder / "supernet.pt").stat().st_mtime, default=None)
    return None if newest is None else recorded(workspace, newest.name)
