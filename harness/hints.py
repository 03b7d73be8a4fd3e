"""What an error tells the user to try: the nearest name, the command that installs a part."""

import shlex
from collections.abc import Iterable
from difflib import get_close_matches

from harness.errors import MissingExtra

MOST = 12  # names that a line lists


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or what is known where nothing is near; capitals do not count."""
    names = list(known)
    lower = {each.lower(): each for each in reversed(names)}
    near = get_close_matches(name.lower(), lower, n=1)
    if near:
        return f"did you mean {lower[near[0]]!r}?"
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"known: {', '.join(names[:MOST])}{more}"


def command(*words: str) -> str:
    """`harness` and these words, quoted for a shell: a file or device may be called anything."""
    return f"`{shlex.join(['harness', *words])}`"


def install(extra: str) -> str:
    """The command that installs an optional part, in the versions that are tested together.

    Without them pip brings another torch, and several GB with it.
    """
    return f"pip install -c constraints.txt '.[{extra}]'"


def missing(needing: str, package: str | None, extra: str) -> MissingExtra:
    """That a package is not installed; `needing`: "making .onnx files needs", or the like."""
    return MissingExtra(
        f"{needing} the package {package}, which is not installed: {install(extra)}"
    )


def versions(needing: str, extra: str, *packages: str) -> dict[str, str]:
    """Of packages, by their names. Raises MissingExtra, as `missing` says it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return {name: version(name) for name in packages}
    except PackageNotFoundError as error:
        raise missing(needing, error.name, extra) from error
