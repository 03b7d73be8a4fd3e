"""What a board says of itself outside any container: model, L4T release, power mode, locked clocks.

One script for all of them; a computer that has none of this answers in milliseconds with nothing.
"""

import re
from collections.abc import Mapping

from harness.runtimes.phone import ask
from harness.runtimes.sensors import Conditions
from harness.transports.plausible import one_line
from harness.transports.transport import Transport

# What ssh leaves out of the path: nvpmodel is in /usr/sbin, an older vcgencmd in /opt/vc/bin.
PATH = "PATH=$PATH:/usr/sbin:/opt/vc/bin"
# jetson_clocks wants root. The files it would read are open to all: say it in its words.
CLOCKS = f"""if {PATH} command -v jetson_clocks >/dev/null; then
    if [ "$(id -u)" = 0 ]; then jetson_clocks --show; else
        for cpu in /sys/devices/system/cpu/cpu[0-9]*/cpufreq; do
            cd "$cpu" && echo "cpu: MinFreq=$(cat scaling_min_freq) MaxFreq=$(cat scaling_max_freq)"
        done
        for gpu in /sys/class/devfreq/*.gpu /sys/class/devfreq/*.g*[0-9]b \
            /sys/class/devfreq/gpu-gpc-*; do
            cd "$gpu" && echo "GPU MinFreq=$(cat min_freq) MaxFreq=$(cat max_freq)"
        done
    fi
fi"""
PACKAGES = """if [ -e /etc/nv_tegra_release ]; then
    dpkg-query --show --showformat='${Package} ${Version}\\n' nvidia-jetpack tensorrt
fi"""
FACTS = {
    "model": "tr -d '\\0' </proc/device-tree/model",
    "l4t": "head -n 1 /etc/nv_tegra_release",
    "power_mode": f"{PATH} nvpmodel -q",
    "jetson_clocks": f"( {CLOCKS} )",
    "packages": f"( {PACKAGES} )",
}
CHANGING = ("power_mode", "jetson_clocks")  # facts that somebody may change while we measure
CONDITIONS = {name: FACTS[name] for name in CHANGING} | {
    "throttled": f"{PATH} vcgencmd get_throttled"
}
# Bits of `vcgencmd get_throttled` (Raspberry Pi documentation); 16 higher: since it was started.
THROTTLING = ("under-voltage", "frequency capped", "throttled", "temperature limit")
SINCE_START = 16


def read_facts(transport: Transport) -> dict[str, str]:
    """Facts for the environment, only those that the board tells: `model`, `l4t`, `power_mode`,
    `jetson_clocks`, `jetpack`, `tensorrt`.

    Raises:
        TargetLost, TargetStalled: it does not answer.
    """
    return describe_facts(ask(transport, FACTS))


def describe_facts(answers: Mapping[str, str]) -> dict[str, str]:
    packages = dict(re.findall(r"^(\S+) (\S+)$", answers["packages"], re.MULTILINE))
    facts = {
        "model": answers["model"],
        "l4t": _release(answers["l4t"]),
        **_settings(answers),
        "jetpack": packages.get("nvidia-jetpack"),
        "tensorrt": packages.get("tensorrt"),
    }
    return {name: one_line(fact) for name, fact in facts.items() if fact}


def _settings(answers: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "power_mode": _power_mode(answers.get("power_mode", "")),
        "jetson_clocks": _clocks_locked(answers.get("jetson_clocks", "")),
    }


def _release(line: str) -> str | None:
    """R32.7.1, as NVIDIA writes the release that the line describes."""
    found = re.match(r"# (R\d+) \(release\), REVISION: ([\d.]{1,20})", line)
    return f"{found[1]}.{found[2]}" if found else None


def _power_mode(answer: str) -> str | None:
    """The mode's name as the board has it: MAXN, 15W, MODE_15W_6CORE, ..."""
    found = re.search(r"NV Power Mode: *([\w.+-]{1,100})$", answer, re.MULTILINE)
    return found[1] if found else None


def _clocks_locked(answer: str) -> str | None:
    """Whether processors (but those offline) and GPU may only run at their highest clock.

    "unknown" where the answer tells only of some of them, which do: newer boards have other names.
    """
    limits = re.findall(
        r"^(cpu|gpu)(?!.*Online=0).*?MinFreq=(\d+) MaxFreq=(\d+)",
        answer,
        re.MULTILINE | re.IGNORECASE,
    )
    if any(lowest != highest for _, lowest, highest in limits):
        return "off"
    units = {unit.lower() for unit, _, _ in limits}
    return "on" if units == {"cpu", "gpu"} else "unknown" if units else None


def is_board(facts: Mapping[str, str]) -> bool:
    """Whether `read_conditions` has something to tell, by what `read_facts` told."""
    return "Raspberry" in facts.get("model", "") or any(name in facts for name in CHANGING)


def read_conditions(transport: Transport) -> Conditions:
    """What the agent cannot read itself; nothing where the board has nothing to say.

    Raises:
        TargetLost, TargetStalled: it does not answer.
    """
    return describe_conditions(ask(transport, CONDITIONS))


def describe_conditions(answers: Mapping[str, str]) -> Conditions:
    settings: Conditions = {name: fact for name, fact in _settings(answers).items() if fact}
    found = re.fullmatch(r"throttled=0x([0-9a-fA-F]{1,16})", answers["throttled"])
    if not found:
        return settings
    bits = int(found[1], 16)
    return settings | {
        "throttled": _reasons(bits),
        "throttled_since_start": _reasons(bits >> SINCE_START),
    }


def _reasons(bits: int) -> str:
    return ", ".join(name for bit, name in enumerate(THROTTLING) if bits >> bit & 1) or "no"
