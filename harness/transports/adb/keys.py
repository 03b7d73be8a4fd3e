"""The RSA key by which a phone knows this computer."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import platformdirs

from harness.errors import WorkspaceError

NAME = "adbkey"


def signers() -> Sequence[Any]:
    """Keys that sign: the adb client's, which phones may trust already, then our own.

    Our own is made when it is needed first, and only its owner can read it.

    Raises:
        WorkspaceError: it cannot be made.
    """
    from adb_shell.auth.sign_cryptography import CryptographySigner
    from cryptography.exceptions import UnsupportedAlgorithm

    theirs = Path(os.environ.get("ANDROID_USER_HOME", Path.home() / ".android"), NAME)
    own = Path(platformdirs.user_config_dir("harness"), NAME)
    found: list[Any] = []
    for path in (theirs, own):
        if path is own and not found:
            make_key(path)
        try:
            found.append(CryptographySigner(str(path)))
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            continue  # absent, not ours to read, not a key, or locked by a password
    return found


def make_key(path: Path) -> None:
    """A new key at `path` with `.pub` beside it, where there is none yet; private from the start.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    from adb_shell.auth.keygen import keygen

    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # mode 0700
            key = Path(folder, NAME)
            keygen(str(key))
            key.chmod(0o600)
            Path(f"{key}.pub").replace(f"{path}.pub")
            key.replace(path)
    except OSError as error:
        raise WorkspaceError(f"cannot write the adb key {path}: {error.strerror}") from error
