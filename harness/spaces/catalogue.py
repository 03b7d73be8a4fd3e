"""The spaces that a name on the command line can mean."""

from difflib import get_close_matches

from harness.errors import UsageError
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0, OFA_MBV3_W1_2
from harness.spaces.space import Space

SPACES = {space.name: space for space in (DIGITS, OFA_MBV3_W1_0, OFA_MBV3_W1_2)}


def find_space(name: str) -> Space:
    """The space called `name`.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    if name in SPACES:
        return SPACES[name]
    near = get_close_matches(name, SPACES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(SPACES)}"
    raise UsageError(f"no space called {name!r}; {hint}")


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
