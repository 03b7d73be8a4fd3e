"""Python of the user's own, named on the command line as `package.module:name`."""

import sys
from importlib import import_module
from typing import Any

from harness.errors import UsageError


def imported(text: str) -> Any:
    """What `text` names; modules are looked for in the current folder, too.

    Raises:
        UsageError: the module or the name is not there, or importing it fails.
    """
    module, _, name = text.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # whatever a module of the user's raises
        raise UsageError(f"cannot import {text!r}: {error!r:.300}") from error
