"""The command line on bad days: one clear line, the right exit code, no traceback."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.test_run import one_line, run

GOOD = 'title = "Mine"\ntransport = "local"\nruntime = "torch"\n'


@pytest.mark.parametrize("command", ["run", "measure", "search", "verify", "report"])
def test_a_wrong_device_names_the_nearest(tmp_path: Path, command: str) -> None:
    assert "did you mean 'cpu'" in one_line(run(tmp_path, command, "--device", "cpuu"), 3)


@pytest.mark.parametrize("command", ["run", "train", "measure"])
def test_a_wrong_space_names_the_nearest(tmp_path: Path, command: str) -> None:
    assert "did you mean 'digits'" in one_line(run(tmp_path, command, "--space", "digit"), 2)


def test_a_space_without_data_cannot_be_trained(tmp_path: Path) -> None:
    message = one_line(run(tmp_path, "train", "--space", "ofa-mbv3-w1.0"), 2)
    assert "no data to train ofa-mbv3-w1.0" in message


@pytest.mark.parametrize("text", ["title = \n", GOOD + "colour = 3\n", "\x00"])
def test_broken_toml_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "mine.toml").write_text(text)
    assert "mine.toml" in one_line(run(tmp_path, "run", "--device", "mine"), 3)
    assert "mine.toml" in one_line(run(tmp_path, "devices", "check", "mine"), 3)


@pytest.mark.parametrize("command", ["run", "train", "measure"])
def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    started = time.monotonic()
    message = one_line(run(tmp_path / "file", command, "--quick"), 6)
    assert "choose another --root" in message
    assert time.monotonic() - started < 20


def test_what_is_missing_says_how_to_make_it(tmp_path: Path) -> None:
    for command in ("search", "verify", "report"):
        message = one_line(run(tmp_path, command), 3)
        assert "there is no" in message
        assert "make it with `harness " in message


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ended = run(tmp_path, "measure", "--device", "cpuu", "--debug")
    assert ended.returncode != 0
    assert "Traceback" in ended.stderr


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "train", "--quick", "--root", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for _ in range(600):
            if list(tmp_path.glob("runs/digits-*/supernet.checkpoints/*.pt")):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip().startswith("harness: stopped; start the same command again")
    assert len(errors.strip().splitlines()) == 1


def test_every_command_explains_itself(tmp_path: Path) -> None:
    del tmp_path
    for words in ((), ("devices",), ("tables",), ("accuracy",), ("run",), ("extract",)):
        command = [sys.executable, "-m", "harness", *words, "--help"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0
        assert "Usage" in ended.stdout


def test_devices_check_shows_what_the_device_says_of_itself(tmp_path: Path) -> None:
    shown = run(tmp_path, "devices", "check", "cpu-onnxruntime").stdout
    for wanted in ("processor", "onnxruntime", "num_threads", "load_1m"):
        assert wanted in shown


def stopped(app: str) -> str:
    """What a command says that is stopped by Ctrl-C; `app` is the Python that it does."""
    code = "\n".join(
        [
            "import os, signal, time",
            "from harness import cli",
            "def app(args, standalone_mode):",
            textwrap.indent(textwrap.dedent(app), "    "),
            "cli.app = app",
            "cli.main()",
        ]
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert "start the same command again" in one_line(ended, 130)
    return ended.stdout


def test_an_interrupt_that_python_drops_is_not_lost() -> None:
    """As where it comes in the middle of deleting an object."""
    stopped("""
        class Deleted:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
        Deleted()
        time.sleep(60)
    """)


def test_an_interrupt_that_is_caught_with_all_else_comes_again_and_lets_cleaning_up_end() -> None:
    said = stopped("""
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        except BaseException:
            pass
        try:
            time.sleep(60)
        finally:
            time.sleep(2)
            print('cleaned up')
    """)
    assert said == "cleaned up\n"


def test_an_interrupt_that_a_module_takes_for_an_error_of_its_own_is_one() -> None:
    """As compiled modules do that are being imported."""
    stopped("""
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            raise ImportError('initialization failed') from None
    """)


def test_the_page_of_commands_is_made_from_the_commands(tmp_path: Path, repository: Path) -> None:
    made = tmp_path / "commands.md"
    words = ["harness.cli", "utils", "docs", "--name", "harness", "--output", str(made)]
    subprocess.run([sys.executable, "-m", "typer", *words], check=True, capture_output=True)
    kept = repository / "docs" / "commands.md"
    assert kept.read_text() == made.read_text(), f"again: typer {' '.join(words[:-1])} {kept}"
