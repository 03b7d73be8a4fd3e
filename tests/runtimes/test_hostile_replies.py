"""Whatever a device says is read as what it can be, or is one line that says what is wrong."""

import asyncio
import json
import math
import shlex
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DeviceError, TargetFailed, TargetLost
from harness.runtimes.agent import meters, system
from harness.runtimes.agent_replies import OPENED, VISITED, decoded
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.phone import choose_cores
from harness.runtimes.replies import checked
from harness.runtimes.resident import AGENT, ResidentSession
from harness.runtimes.sensors import plausible
from harness.spaces.digits import DIGITS
from harness.transports.lines import LONGEST_LINE, Lines
from harness.transports.listings import free_mb_of, sizes_of
from harness.transports.local import LocalTransport
from harness.transports.ssh.folder import Folder
from harness.transports.ssh.program import MARK, STDOUT, Part, Program
from harness.transports.transport import Finished
from tests.runtimes.recorded_replies import REPLIES

HOSTILE_VALUES: list[Any] = [
    *(math.nan, math.inf, -math.inf, 1e300, -1e300, -1, 0, 0.0, -0.5, 1e-300, 10**400, 2**63, 1.5),
    *("", "text", "²", "1.2.3", "nan", "-1", "1e300", "9" * 5000, "a\nb", "\x1b[2J", "\ud800"),
    *(None, True, False, [], {}, [[]], {"": ""}, {"wall": []}, [1, [2]], ["x", -1, math.nan]),
]
DEEP = json.loads("[" * 300 + "]" * 300)
HOSTILE_TEXTS = [
    *("nan", "inf", "-1", "0", "1e300", "1e999", "1.2.3", "²", "9" * 5000, "9" * 30, "0x1", "-"),
    *("", "\n", "\0", "0-99999999999999", "99999999999", "=", "%", "\n=== present\n"),
]
LARGEST = 4.2e18  # ns until 2100


def parts(value: object) -> list[object]:
    """All numbers and texts in it."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return [part for pair in value.items() for each in pair for part in parts(each)]
    if isinstance(value, list | tuple | set | frozenset):
        return [part for each in value for part in parts(each)]
    return [value]


def check(sample: str, text: str, reader: Any) -> None:
    """One line of ours, or the same kind of value with nothing absurd in it."""
    try:
        found = reader(text)
    except DeviceError as error:
        told = str(error)
        assert told.isprintable(), told
        assert 10 < len(told) < 1500
        return
    assert found is None or type(found) is type(reader(sample))
    for part in parts(found):
        if isinstance(part, int | float):
            assert math.isfinite(part)
            assert abs(part) < LARGEST
        elif isinstance(part, str):
            assert len(part.encode()) <= 1 << 18


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values in a JSON value but itself."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    found = []
    for key in keys:
        found.append((*path, key))
        if isinstance(value[key], dict | list):
            found += places(value[key], (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: object, drop: bool) -> str:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return json.dumps(copy)


JSON = [name for name, (sample, _) in REPLIES.items() if sample.lstrip()[:1] in ("{", "[")]


@pytest.mark.parametrize("name", REPLIES)
def test_a_recorded_reply_is_read(name: str) -> None:
    sample, reader = REPLIES[name]
    found = reader(sample)
    assert found is not None
    check(sample, sample, reader)


@pytest.mark.parametrize("name", JSON)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_one_wrong_value_in_a_reply_ends_in_a_line_or_does_no_harm(
    name: str, data: st.DataObject
) -> None:
    sample, reader = REPLIES[name]
    value = json.loads(sample)
    path = data.draw(st.sampled_from(places(value)))
    new = data.draw(st.sampled_from([*HOSTILE_VALUES, DEEP]) | st.text() | st.integers())
    check(sample, changed(value, path, new, data.draw(st.booleans())), reader)


@pytest.mark.parametrize("name", REPLIES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_noise_in_a_reply_ends_in_a_line_or_does_no_harm(name: str, data: st.DataObject) -> None:
    sample, reader = REPLIES[name]
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 30)))
    noise = data.draw(st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=20))
    check(sample, sample[:start] + noise + sample[end:], reader)


@pytest.mark.parametrize("name", REPLIES)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_one_wrong_word_in_a_reply_ends_in_a_line_or_does_no_harm(
    name: str, data: st.DataObject
) -> None:
    """A number or a name, between what is neither."""
    sample, reader = REPLIES[name]
    inside = [False, *map(str.isalnum, sample)]
    starts = [n for n in range(len(sample)) if inside[n + 1] > inside[n]]
    start = data.draw(st.sampled_from(starts))
    end = start
    while end < len(sample) and (sample[end].isalnum() or sample[end] in ".+"):
        end += 1
    wrong = data.draw(st.sampled_from(HOSTILE_TEXTS))
    check(sample, sample[:start] + wrong + sample[end:], reader)


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "3", '"text"', "NaN", "[" * 100_000, "{" * 100_000, "9" * 100_000],
    ids=lambda text: f"{text[:6]}",
)
def test_another_reply_altogether_ends_in_a_line_or_tells_nothing(name: str, text: str) -> None:
    check(REPLIES[name][0], text, REPLIES[name][1])


VISIT = {"at_ns": 1_700_000_000_000_000_000, "values": {"wall": [1000, 2000], "thread": [900, 990]}}


def visited(**values: object) -> object:
    return checked(VISITED, VISIT | values, "an answer").samples(2)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"thread": [1000, 1000]},
        {"wall": [1000]},
        {"wall": [1000, 2000], "thread": [900]},
        {"wall": [1000, 2000], "gross": [900, 900]},
        {"wall": [1000, 0]},
        {"wall": [1000, -1]},
        {"wall": [1000, 1e300]},
        {"wall": [1000, 90_000 * 10**9]},
        {"wall": [1000, math.nan]},
        {"wall": [1000, True]},
        {"wall": [1000, "1000"]},
        {"wall": 1000},
    ],
)
def test_a_visit_has_a_possible_time_of_every_run_by_known_clocks(values: object) -> None:
    assert visited()
    with pytest.raises(TargetFailed, match="start again"):
        visited(values=values)


def test_what_is_wrong_is_told_with_its_place_in_one_line() -> None:
    told = {"environment": {"os": 3, "x\n": 3}, "meter": None, "no_meter": "none"}
    with pytest.raises(TargetFailed) as raised:
        checked(OPENED, told, "the device's answer to 'open'")
    assert str(raised.value).startswith(
        "the device's answer to 'open' is not what it should be: environment.os = 3: "
    )
    assert str(raised.value).isprintable()


def test_a_line_that_is_no_object_is_somebody_elses() -> None:
    assert [decoded(line) for line in ("Activating", "3", "[1]", '{"a"', "[" * 10**6)] == [None] * 5
    assert decoded('{"a": NaN}') is not None


@pytest.mark.parametrize("present", ["0-99999999999", "99999999999", f"0-{'9' * 5000}"])
def test_processors_that_cannot_be_are_neither_counted_nor_listed(present: str) -> None:
    with pytest.raises(DeviceError, match="by a mask"):
        choose_cores("0 1593600 - - -", present, "big")
    with pytest.raises(DeviceError, match="by a mask"):
        choose_cores(f"{present} 1593600 - - -", "0", "big")
    assert choose_cores(f"² 9 9 9 x\n{present} 9 9 9 x\n0 9 - - -", "0", "big") == "1"


def test_sensors_that_tell_what_cannot_be_are_unknown() -> None:
    told = {
        "temperature_c": -99.9,
        "gpu_temperature_c": 1000,
        "cpu_temperature_c": 45,
        "frequency_mhz": math.nan,
        "load_1m": 1e300,
        "battery_percent": True,
        "memory_available_mb": [1],
        "governor": "a\nb",
        "gpu_throttled": None,
        "a\nb": 1,
    }
    assert plausible(told) == {
        "temperature_c": None,
        "gpu_temperature_c": None,
        "cpu_temperature_c": 45,
        "frequency_mhz": None,
        "load_1m": None,
        "battery_percent": None,
        "memory_available_mb": None,
        "governor": "a b",
        "gpu_throttled": None,
    }
    json.dumps(plausible(told), allow_nan=False)


def test_listings_are_read_as_far_as_they_are_any() -> None:
    assert sizes_of(["3 a b", "", "x y", "² c", f"{'9' * 5000} d", "7"]) == {"a b": 3}
    assert free_mb_of("Filesystem 1K-blocks Used Available Use%\n/dev/a b 9 8 2048 1% /") == 2
    assert free_mb_of(f"a {'9' * 5000} 1 2") is None


BLOCK = (DIGITS.distinct_blocks()[0],)
OPEN = '{"environment": {"os": "Linux"}, "meter": {"name": "m", "period_s": 0.1}, "no_meter": ""}'
LOAD = '{"run_ns": 1000}'
USES: dict[str, Callable[[ResidentSession], object]] = {
    "load": lambda session: session.load(BLOCK),
    "visit": lambda session: session.visit(BLOCK, 2),
    "energy": lambda session: session.energy(BLOCK, 0.1),
    "profile": lambda session: session.profile_ops(BLOCK),
    "read": lambda session: session.inputs(PurePosixPath("mine.pte"), Path("mine.pte")),
    "infer": lambda session: session.infer(BLOCK, np.zeros((1, 1, 2, 2), np.float32)),
}


def answering(folder: Path, *lines: str) -> ResidentSession:
    """A session with a program that says these lines, one for each that it is told."""
    program = folder / "agent"
    says = "".join(f"read -r _; printf '%s\\n' {shlex.quote(line)}\n" for line in lines)
    program.write_text(f"{says}read -r _; exit 3\n")
    transport = LocalTransport()
    transport.python = ("sh", str(program))
    return ResidentSession(transport, AGENT / "with_torch.py", RuntimeOptions(), lambda _: {})


@pytest.mark.parametrize(
    "reply", [REPLIES["agent visit"][0], '{"run_ns": 0, "values": {"wall": 1}}']
)
def test_an_agent_that_does_not_say_what_it_is_cannot_be_opened(tmp_path: Path, reply: str) -> None:
    with pytest.raises(TargetFailed, match="answer to 'open' is not what it should be"):
        answering(tmp_path, reply)


@pytest.mark.parametrize("use", USES)
def test_an_agent_that_answers_something_else_is_told_of(tmp_path: Path, use: str) -> None:
    before = [] if use in ("load", "read") else [LOAD]
    replies = [OPEN, *before, '{"logits": "?", "values": 1, "ops": [1]}']
    with (
        closing(answering(tmp_path, *replies)) as session,
        pytest.raises(TargetFailed, match=f"answer to '{use}' is not what it should be"),
    ):
        USES[use](session)


def test_an_agent_that_has_ended_is_told_with_its_last_words(tmp_path: Path) -> None:
    with closing(answering(tmp_path, OPEN)) as session:
        session._process.send("")
        session._process._child.wait()  # type: ignore[attr-defined]
        with pytest.raises(TargetLost, match="the agent ended: no message"):
            session.load(BLOCK)


def test_conditions_of_an_agent_that_make_no_sense_are_unknown(tmp_path: Path) -> None:
    said = '{"temperature_c": NaN, "load_1m": 1e300, "frequency_mhz": 1500, "governor": 3.5}'
    with closing(answering(tmp_path, OPEN, said)) as session:
        found = session.conditions()
    assert found == {"temperature_c": None, "load_1m": None, "frequency_mhz": 1500, "governor": 3.5}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("² 3 4", 3.0),
        ("1.2.3 7", 7.0),
        ("nan inf 1e300 5 6", 5.0),
        ("nothing here", None),
        ("", None),
        ("9" * 5000, None),
        ("-40000", -40000.0),
    ],
)
def test_the_agent_takes_the_first_number_that_can_be_one(
    tmp_path: Path, text: str, number: float | None
) -> None:
    (tmp_path / "file").write_text(text)
    assert system.read_number(str(tmp_path / "file"), 1) == number


@pytest.mark.parametrize("text", ["²", "9" * 5000, "nan", "", "1.5", "-300000", "999999"])
def test_a_zone_of_no_possible_temperature_does_not_hide_the_others(
    tmp_path: Path, text: str
) -> None:
    for number, told in enumerate((text, "45000")):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text("cpu-thermal")
        (zone / "temp").write_text(told)
    assert meters.cpu_temperature_c(str(tmp_path)) == 45


@pytest.mark.parametrize("said", ["", "\n", "Welcome!\n/home/a\n", "relative\n3 a\n"])
def test_a_board_that_does_not_say_where_our_files_are_keeps_none(said: str) -> None:
    folder = Folder(lambda *_, **__: Finished(0, said.encode(), b""), "the board", "x")
    with pytest.raises(TargetFailed, match="the board does not say where it keeps our files"):
        folder.send(Path(__file__))


def test_a_line_that_does_not_end_is_given_up() -> None:
    lines = Lines("yes")
    for chunk in (b"a", b"b\nc", b"d\n\n"):
        lines.add(chunk)
    assert [lines.take() for _ in range(4)] == ["ab", "cd", "", None]
    lines.add(bytes(LONGEST_LINE))
    assert lines.take() is None
    lines.add(b"x")
    with pytest.raises(TargetFailed, match="a line of more than 128 MB"):
        lines.take()


@pytest.mark.parametrize("before", ["", "Welcome!\n", f"{MARK.decode()}1\n{MARK.decode()}x\n"])
def test_a_group_that_no_program_can_be_in_is_not_that_of_ours(before: str) -> None:
    """It is killed by that number: 1 would mean all processes of the board."""

    async def said() -> Part | None:
        connection: Any = None
        program = Program(connection, "ours")
        for byte in f"{before}{MARK.decode()}4711\nits words".encode():
            program.data_received(bytes([byte]), None)
        assert program._group == 4711
        return await program.listen(1.0)

    assert asyncio.run(said()) == (STDOUT, b"i")


def test_a_run_that_its_thread_was_charged_nothing_for_is_taken_and_one_of_no_time_is_not() -> None:
    read = VISITED.validate_python
    told = read(VISIT | {"values": {"wall": [1000, 2000], "thread": [0, 990]}}).samples(2)
    assert told.values["thread"] == (0, 990)
    with pytest.raises(TargetFailed, match="no time"):
        read(VISIT | {"values": {"wall": [0, 2000], "thread": [0, 990]}}).samples(2)
