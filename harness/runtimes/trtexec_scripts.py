"""Shell scripts around trtexec on a board, and what the board says of itself."""

import re
import shlex

from harness.errors import TargetFailed
from harness.runtimes.agent.system import processor_name, processor_numbers
from harness.runtimes.board import read_facts as board_facts
from harness.runtimes.phone import ask
from harness.runtimes.trtexec_gpu import NVIDIA_SMI, WATCH
from harness.transports.plausible import one_line
from harness.transports.transport import Transport

EXPORTED = "=== exported by trtexec ==="
WATCHED = "=== its GPU meanwhile ==="

OPEN = """
folder="${HARNESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/harness}/engines"
mkdir -p "$folder" && echo "$folder" && sha256sum "$(command -v "$1")"
"""
OPENED = re.compile(r"([^\n]+)\n\\?([0-9a-f]{64}) [^\n]*\n")  # \\: of a path with odd characters
BUILD = """
export CUDA_DEVICE_ORDER=PCI_BUS_ID
engine=$1; part=$1.$$.tmp; shift
"$@" "--saveEngine=$part" && [ -s "$part" ] && mv "$part" "$engine" && exit
status=$?; rm -f "$part"; exit $status
"""
EXPORT = f"""
export CUDA_DEVICE_ORDER=PCI_BUS_ID
limit=$1; flag=$2; file=$(mktemp) && clocks=$(mktemp) || exit; shift 2
timeout "$limit" sh -c {shlex.quote(WATCH)} >"$clocks" 2>/dev/null </dev/null & watch=$!
"$@" "$flag=$file"; status=$?
kill $watch 2>/dev/null
echo; echo "{EXPORTED}"; cat "$file"; echo; echo "{WATCHED}"; cat "$clocks"
rm -f "$file" "$clocks"; exit $status
"""
FACTS = {
    "cpu": "cat /proc/cpuinfo",
    "machine": "uname -m",
    "processors": "nproc",
    "os": "uname -sr",
    # Where it fails it may say so on standard output.
    "gpu": f'gpu=$({NVIDIA_SMI} --query-gpu=name --format=csv,noheader) && echo "$gpu"',
}


def opened(text: str) -> tuple[str, str]:
    """The folder and the SHA-256 that OPEN prints.

    Raises:
        TargetFailed: it prints something else.
    """
    found = OPENED.fullmatch(text)
    if found is None:
        raise TargetFailed(f"the device does not say where it keeps engines, but {text[:200]!r}")
    return found[1], found[2]


def read_facts(transport: Transport) -> dict[str, str]:
    """What may change between campaigns, and `processor` and `gpu`, which may not."""
    board, answers = board_facts(transport), ask(transport, FACTS)
    model = board.get("model", "")
    name = processor_name(answers["cpu"]) or model or processor_numbers(answers["cpu"])
    processor = name or "unknown processor"
    return board | {
        "processor": one_line(
            f"{processor}, {answers['machine']}, {answers['processors']} processors"
        ),
        "os": one_line(answers["os"]),
        "gpu": one_line(answers["gpu"]) or model or "unknown GPU",
    }
