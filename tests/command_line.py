"""The command line in this process: what a user types, without the seconds that a start takes."""

import importlib
import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from harness.cli import main


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`harness WORDS` as it is started in a folder."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    interrupt, unraisable = signal.getsignal(signal.SIGINT), sys.unraisablehook
    try:
        with started_in(folder) as patch:
            patch.setattr(sys, "argv", ["harness", *words])
            with redirect_stdout(out), redirect_stderr(err):
                main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = unraisable
    return subprocess.CompletedProcess(["harness", *words], code, out.getvalue(), err.getvalue())


@contextmanager
def started_in(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """Modules in the folder can be imported, and are forgotten after."""
    modules = {*sys.modules}
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setattr(sys, "path", ["", *sys.path])
        patch.setattr(sys, "dont_write_bytecode", True)
        importlib.invalidate_caches()
        try:
            yield patch
        finally:
            for name in {*sys.modules} - modules:
                if str(getattr(sys.modules[name], "__file__", None)).startswith(f"{folder}/"):
                    del sys.modules[name]
