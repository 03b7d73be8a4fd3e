"""The command line: expected errors become one line and their exit code."""

import signal
import sys
from threading import Timer
from typing import NoReturn

from harness.cli import reporting  # adds its commands to `app`, as `training` does
from harness.cli.catalogues import devices_app, tables_app
from harness.cli.commands import app
from harness.cli.training import accuracy_app
from harness.errors import HarnessError, Interrupted

__all__ = ["app", "main", "reporting"]

AGAIN_S = 0.05

app.add_typer(accuracy_app, name="accuracy")
app.add_typer(devices_app, name="devices")
app.add_typer(tables_app, name="tables")


def _interrupt(_signum: int, _frame: object) -> NoReturn:
    raise Interrupted("stopped; start the same command again, without --fresh, to go on")


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Where Ctrl-C comes while an object is being deleted, Python drops what it raises."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)
        return
    later = Timer(AGAIN_S, signal.raise_signal, (signal.SIGINT,))
    later.daemon = True
    later.start()


def main() -> None:
    """The entry point: expected errors become one line and their exit code."""
    debug = "--debug" in sys.argv
    signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _interrupt_again
    try:
        app(args=[argument for argument in sys.argv[1:] if argument != "--debug"])
    except (HarnessError, Interrupted) as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", 6)


def _fail(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"harness: {' '.join(message.split())}\n")
    raise SystemExit(exit_code)
