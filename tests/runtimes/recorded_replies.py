"""Replies of devices, recorded, each with what reads it.

The agent's are those of onnxruntime on a desktop, shortened, and that of `energy` by its form; the
others' sources are named beside them. A reader takes a text, gives a value, and raises nothing but
errors of the device's.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.runtimes import agent_replies, board, phone, trtexec_scripts
from harness.runtimes.benchmark_log import parse_log, parse_ops
from harness.runtimes.replies import checked
from harness.runtimes.sensors import plausible
from harness.runtimes.tegrastats import temperatures_c
from harness.runtimes.trtexec_gpu import gpu_conditions, other_processes, parse_watched
from harness.runtimes.trtexec_log import parse_flags, parse_layers, parse_times
from harness.runtimes.trtexec_log import parse_log as parse_trtexec_log
from harness.transports.listings import free_mb_of, sizes_of

HERE = Path(__file__).parent
Reader = Callable[[str], Any]
Use = Callable[[Any], Any]


def recorded(path: str) -> str:
    return (HERE / path).read_text()


def agents(schema: TypeAdapter[Any], use: Use = lambda reply: reply) -> Reader:
    """What the session makes of a line of the agent."""

    def read(line: str) -> Any:
        return use(checked(schema, agent_replies.decoded(line), "the device's answer"))

    return read


def phones(commands: Mapping[str, str], describe: Use) -> Reader:
    return lambda text: describe(phone.sections(text, commands))


PHONE = f"""=== build
google/sailfish/sailfish:10/QP1A.191005.007.A3/5972272:user/release-keys
=== battery_saver
0
=== present
0-3
=== battery
{(HERE.parent / "real/phone/dumpsys-battery").read_text()}
=== thermal
{(HERE.parent / "real/phone/dumpsys-thermalservice").read_text()}
=== screen
  mWakefulness=Asleep
=== load
1.52 1.20 0.99 2/1034 7
=== memory
MemAvailable:    2048000 kB
=== frequencies
0 1593600 1593600 307200 sched
1 1593600 1593600 307200 sched
2 2150400 1075200 1075200 sched
3 2150400 2150400 1996800 sched
"""
BOARD = f"""=== model
NVIDIA Jetson Nano Developer Kit
=== l4t
{recorded("board_recordings/nv_tegra_release-r32.txt")}
=== power_mode
{recorded("board_recordings/nvpmodel-nano.txt")}
=== jetson_clocks
{recorded("board_recordings/jetson_clocks-nano.txt")}
=== packages
nvidia-jetpack 4.6.1-b110
=== throttled
throttled=0x50005
"""
DF = """Filesystem     1K-blocks    Used Available Use% Mounted on
/dev/fuse       52440344 8237240  44072032  16% /storage/emulated
"""
TEGRASTATS = recorded("tegrastats_logs/lines.txt").splitlines()[-1]
AGENT = dict(line.split(" ", maxsplit=1) for line in recorded("agent_replies.txt").splitlines())

REPLIES: dict[str, tuple[str, Reader]] = {
    "agent open": (AGENT["open"], agents(agent_replies.OPENED)),
    "agent load": (AGENT["load"], agents(agent_replies.LOADED)),
    "agent visit": (AGENT["visit"], agents(agent_replies.VISITED, lambda it: it.samples(5))),
    "agent energy": (AGENT["energy"], agents(agent_replies.USED)),
    "agent profile": (AGENT["profile"], agents(agent_replies.PROFILED)),
    "agent infer": (
        AGENT["infer"],
        agents(agent_replies.INFERRED, lambda it: it.array(2).shape),
    ),
    "agent conditions": (AGENT["conditions"], agents(agent_replies.OBJECT, plausible)),
    "agent error": (
        '{"error": "KeyError: 7"}',
        agents(agent_replies.OBJECT, agent_replies.failure),
    ),
    "phone conditions": (
        PHONE,
        phones(phone.CONDITIONS, lambda answers: phone.describe_conditions(answers, "c")),
    ),
    "phone cores": (
        PHONE,
        phones(
            phone.CONDITIONS,
            lambda answers: phone.choose_cores(answers["frequencies"], answers["present"], "big"),
        ),
    ),
    "board facts": (BOARD, phones(board.FACTS, board.describe_facts)),
    "board conditions": (BOARD, phones(board.CONDITIONS, board.describe_conditions)),
    "benchmark_model": (recorded("benchmark_logs/litert.txt"), parse_log),
    "benchmark_model 2018": (recorded("benchmark_logs/tf-1.12.txt"), parse_log),
    "benchmark_model operators": (recorded("benchmark_logs/profile.txt"), parse_ops),
    "trtexec": (recorded("trtexec_logs/trt-8.6-rtx-3090-unstable.txt"), parse_trtexec_log),
    "trtexec help": (recorded("trtexec_logs/help-10.6.txt"), parse_flags),
    "trtexec times": (
        recorded("trtexec_logs/times-mobilenet.json"),
        lambda text: parse_times(text, 12),
    ),
    "trtexec layers": (recorded("trtexec_logs/profile-8.json"), parse_layers),
    "trtexec opened": (
        f"/home/a/.cache/harness/engines\n{'0123456789abcdef' * 4}  /usr/src/trtexec\n",
        trtexec_scripts.opened,
    ),
    "tegrastats": (TEGRASTATS, temperatures_c),
    "tegrastats temperatures": (TEGRASTATS, lambda text: gpu_conditions(text, "")),
    "nvidia-smi temperature": ("45", lambda text: gpu_conditions("", text)),
    "nvidia-smi watch": (
        "1980, 0x0000000000000004\n1965, 0x0000000000000000\n0921600000\n",
        parse_watched,
    ),
    "nvidia-smi processes": ("4711\n4712\ntold", other_processes),
    "stat": (
        "12345 0123456789abcdef.onnx\n7 fedcba9876543210.pyz\n",
        lambda text: sizes_of(text.splitlines()),
    ),
    "df": (DF, free_mb_of),
}
