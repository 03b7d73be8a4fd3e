"""The spaces that a name on the command line can mean."""

import re
from collections.abc import Callable
from itertools import pairwise

from harness.errors import UsageError
from harness.hints import nearest
from harness.own_code import imported
from harness.registry import Registry
from harness.spaces.digits import DIGITS
from harness.spaces.images import EXAMPLE, is_images, named
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0, OFA_MBV3_W1_2, ofa_mbv3
from harness.spaces.ofa_proxyless import OFA_PROXYLESS_W1_3, ofa_proxyless
from harness.spaces.resnet import OFA_RESNET50, ofa_resnet50
from harness.spaces.space import Space
from harness.spaces.translation import HAT
from harness.spaces.vit import AUTOFORMER, VIT_DIGITS

SPACES: dict[str, Space] = {
    space.name: space
    for space in (
        *(DIGITS, OFA_MBV3_W1_0, OFA_MBV3_W1_2, OFA_PROXYLESS_W1_3, OFA_RESNET50),
        VIT_DIGITS,
        *AUTOFORMER,
        *HAT,
    )
}


OTHERS = Registry("harness.spaces", "SPACE", Space)  # type: ignore[type-abstract]
"""Those of other packages."""

_FAMILIES: dict[str, Callable[[tuple[float, ...]], Space]] = {
    "ofa-mbv3": lambda widths: ofa_mbv3(widths[0]),
    "ofa-proxyless": lambda widths: ofa_proxyless(widths[0]),
    "ofa-resnet50": ofa_resnet50,
}
"""Families that exist at any width: `ofa-mbv3-w0.35`, `ofa-resnet50-w0.12-0.16`."""


def find_space(name: str) -> Space:
    """The space called `name`, at any width or size, or a user's own as `package.module:SPACE`.

    Other packages have some, too: by entry points `harness.spaces`.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if name in SPACES:
        return SPACES[name]
    if images := named(name):
        return images
    if ":" in name:
        return _own(name, imported(name))
    match = re.fullmatch(r"(ofa-[a-z0-9]+)-w(\d\.\d+(?:-\d\.\d+)*)", name)
    if match and match[1] in _FAMILIES:
        widths = tuple(float(width) for width in match[2].split("-"))
        ascending = all(small < large for small, large in pairwise((0.0, *widths)))
        if ascending and (len(widths) == 1 or match[1] == "ofa-resnet50"):
            return _FAMILIES[match[1]](widths)
    if name in OTHERS.names():
        return _own(name, OTHERS.find(name))
    known = (*SPACES, *OTHERS.names(), EXAMPLE)
    raise UsageError(f"no space called {name!r}; {nearest(name, known)}")


def _own(name: str, space: object) -> Space:
    """A space of the user's, or of another package."""
    if not isinstance(space, Space):
        raise UsageError(f"{name!r} is no space but {type(space).__name__}")
    taken = space.name in (*SPACES, "baselines", "kernels") or is_images(space.name)
    taken = taken or space.name.startswith("ofa-")
    if taken or not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", space.name):
        raise UsageError(
            f"the space {name!r} is named {space.name!r}; it needs a name of its own, of small "
            "letters, digits, dots and dashes: files are named after it"
        )
    return space


def part_of(space: Space, resolutions: str | None) -> Space:
    """The space at a list of resolutions such as `160,192`; all of it where None.

    Raises:
        UsageError: the list is malformed, or the space lacks one.
    """
    if resolutions is None:
        return space
    words = resolutions.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"--resolutions {resolutions!r} is no list of numbers; write 160,192,224")
    return space.at([int(word) for word in words])
