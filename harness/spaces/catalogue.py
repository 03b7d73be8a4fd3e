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
