import sys
import time
from pathlib import Path

import pytest

from harness.errors import TargetLost, TargetStalled
from harness.transports.local import LocalTransport

ECHO = "import sys\nfor line in sys.stdin: print('<' + line.strip() + '>', flush=True)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_go_there_and_come_back_in_order() -> None:
    process = LocalTransport().start(python(ECHO))
    for line in ("one", "zwei ü", "x" * 200_000):
        process.send(line)
        assert process.receive(10) == f"<{line}>"
    process.kill()


def test_arguments_reach_no_shell() -> None:
    nasty = "$(touch executed); `id` 'quote \" & | > x"
    code = "import sys; print(sys.argv[1])"
    process = LocalTransport().start([*python(code), nasty])
    assert process.receive(10) == nasty
    process.kill()


def test_the_end_of_a_program_is_none_and_what_it_complained_is_kept() -> None:
    process = LocalTransport().start(python("import sys; print('bye'); sys.exit('it broke')"))
    assert process.receive(10) == "bye"
    assert process.receive(10) is None
    assert "it broke" in process.ending()
    process.kill()


def test_an_unfinished_last_line_is_no_answer() -> None:
    process = LocalTransport().start(python("import sys; sys.stdout.write('{\"half')"))
    assert process.receive(10) is None
    process.kill()


def test_a_silent_program_is_stalled_after_the_idle_time_out() -> None:
    process = LocalTransport().start(python("import time; time.sleep(60)"))
    started = time.monotonic()
    with pytest.raises(TargetStalled):
        process.receive(0.2)
    assert time.monotonic() - started < 5
    process.kill()


def test_writing_to_a_program_that_ended_is_a_lost_target() -> None:
    process = LocalTransport().start(python("import sys; sys.exit('no more')"))
    assert process.receive(10) is None

    def send_for_a_while() -> None:
        for _ in range(1000):  # its end of the pipe closes a moment after its output
            process.send("hello")
            time.sleep(0.001)

    with pytest.raises(TargetLost, match="no more"):
        send_for_a_while()
    process.kill()
    process.kill()  # harmless


def test_a_program_that_does_not_exist_is_a_lost_target() -> None:
    with pytest.raises(TargetLost, match="no-such-program"):
        LocalTransport().start(["no-such-program"])


def test_a_pushed_file_can_be_read_there(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("content")
    assert Path(LocalTransport().push(tmp_path / "a file")).read_text() == "content"
