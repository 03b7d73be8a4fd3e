"""Locks that die with who holds them: a killed run leaves at most a file that nobody holds."""

import fcntl
import logging
import os
import pwd
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

AGAIN_EVERY_S = 0.05
LONGEST_TEXT = 300  # characters of what a holder says of itself


def taken(path: Path) -> BinaryIO | None:
    """The file, made where it is not there, held for us alone until it is closed.

    None where somebody else holds it, be it another thread of ours. Raises OSError.
    """
    while True:
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        file.close()  # who had it before has moved or deleted it: another file has its name


def _opened(path: Path) -> BinaryIO:
    """For reading and writing, by everybody who may use the folder."""
    while True:
        with suppress(FileNotFoundError):
            return os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b", 0)
        # Only where it is new: in folders like /tmp, O_CREAT on another's file is refused.
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(descriptor, 0o666)  # whatever the umask
            return os.fdopen(descriptor, "r+b", 0)


def folder_taken(path: Path) -> int | None:
    """The same of a folder: its descriptor. None also where it is gone. Raises OSError."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), path.stat()):
            return held
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(held)
        raise
    os.close(held)
    return None


def waited_for(path: Path, what: str = "") -> BinaryIO:
    """The same once it is free; `what` it is about, to be told where that takes a moment."""
    warned = not what
    started = time.monotonic()
    while (file := taken(path)) is None:
        if not warned and time.monotonic() - started > 1:
            logging.getLogger(__name__).warning(
                "harness: waiting for %s, which %s is at work on", what, said(path)
            )
            warned = True
        time.sleep(AGAIN_EVERY_S)
    return file


def say(file: BinaryIO, doing: str = "") -> None:
    """Write into a file that we hold who we are, where there is room for it."""
    with suppress(OSError):
        file.truncate(0)
        file.seek(0)
        file.write(ourselves(doing).encode())


def ourselves(doing: str = "") -> str:
    """This process, for others."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in containers
        user = f"user {os.getuid()}"
    since = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
    return f"process {os.getpid()} of {user}{f', which {doing}' if doing else ''} since {since}"


def said(path: Path) -> str:
    """Who holds the file, in its own words."""
    try:
        text = path.read_bytes()[: 4 * LONGEST_TEXT].decode(errors="replace")
    except OSError:
        text = ""
    return printable(text)


def printable(text: str) -> str:
    """What somebody unknown has written, fit for a message."""
    words = "".join(each if each.isprintable() else " " for each in text[:LONGEST_TEXT])
    return words.strip() or "another process"
