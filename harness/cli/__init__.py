"""The command line: expected errors become one line and their exit code."""

import signal
import sys
import threading
import traceback
from typing import NoReturn

import typer

from harness.cli import benchmark, networks, reporting  # add commands to `app`, as `training` does
from harness.cli.carbon import carbon_app
from harness.cli.catalogues import devices_app, spaces_app, tables_app
from harness.cli.commands import app
from harness.cli.training import accuracy_app
from harness.errors import HarnessError, Interrupted, UsageError, WorkspaceError

__all__ = ["app", "benchmark", "main", "networks", "reporting"]

AGAIN_S = 0.5
STOPPED = "stopped; start the same command again, without --fresh, to go on"
_Misspelt: type[Exception] = typer.BadParameter.__mro__[1]  # click's UsageError; typer hides it

app.add_typer(accuracy_app, name="accuracy")
app.add_typer(carbon_app, name="carbon")
app.add_typer(devices_app, name="devices")
app.add_typer(spaces_app, name="spaces")
app.add_typer(tables_app, name="tables")


_pressed = threading.Event()  # Ctrl-C, in this command
_reminding = threading.Event()  # the signal that comes is no one's Ctrl-C, but says it again
_ended = threading.Event()


def _interrupt(_signum: int, _frame: object) -> None:
    if _reminding.is_set():
        _reminding.clear()
        if _ended.is_set() or _is_stopping(sys.exception()):
            return
    elif not _pressed.is_set():
        _pressed.set()
        threading.Thread(target=_remind, daemon=True).start()
    raise Interrupted(STOPPED)


def _is_stopping(handled: BaseException | None) -> bool:
    """Whether what is done now is cleaning up after Ctrl-C."""
    while handled is not None and not isinstance(handled, Interrupted):
        handled = handled.__context__
    return handled is not None


def _remind() -> None:
    """Say it again until the command ends: some code catches all there is, and goes on."""
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    while not _ended.wait(AGAIN_S):
        _reminding.set()
        signal.pthread_kill(main_thread, signal.SIGINT)  # also wakes what waits


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """Where Ctrl-C comes while an object is being deleted, Python drops what it raises."""
    if not isinstance(lost.exc_value, Interrupted):
        sys.__unraisablehook__(lost)


def main() -> None:
    """The entry point: expected errors become one line and their exit code."""
    debug = "--debug" in sys.argv
    for event in (_pressed, _reminding, _ended):
        event.clear()
    signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable
    try:
        app([word for word in sys.argv[1:] if word != "--debug"], standalone_mode=False)
    except (HarnessError, Interrupted) as error:
        _fail(str(error), error.exit_code, debug)
    except _Misspelt as error:
        _fail(str(getattr(error, "format_message", error.__str__)()), UsageError.exit_code, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", WorkspaceError.exit_code, debug)
    except Exception:
        if not _pressed.is_set():
            raise
        _fail(STOPPED, Interrupted.exit_code, debug)  # some modules start by an error of their own
    finally:
        _ended.set()


def _fail(message: str, exit_code: int, debug: bool) -> NoReturn:
    """End with the code; `debug` adds how it came to that."""
    if debug:
        traceback.print_exc()
    if message:  # none where the help was shown
        sys.stderr.write(f"harness: {' '.join(message.split())}\n")
    raise SystemExit(exit_code)
