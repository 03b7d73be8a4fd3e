"""The device's own lock: it keeps other computers away, and who measures on the device itself."""

import logging

from harness.errors import DeviceBusy, TargetFailed
from harness.locks import printable

SILENCE_S = 60  # after signs of life: then who held the lock is gone, which a link may not notice
HELD, BUSY, NO_LOCK = "held", "busy ", "no lock"
ANSWER_S = 30.0

# Arguments: who holds it; the folder, where it is not the one that devices/lock.py would choose
# there; and how long it may be silent, where it gives signs of life. A former link of ours may
# need a moment to end. As anybody may hold it, the file is opened to read, and written to if that
# is allowed. The lock ends with the shell.
HOLD = f"""
folder=$2
if [ -z "$folder" ]; then
    folder=/tmp; [ -k /run/lock ] && folder=/run/lock; folder=${{HARNESS_LOCKS:-$folder}}
fi
file=$folder/harness.local.lock
umask 0; mkdir -p "$folder"; [ -e "$file" ] || ( : >"$file" )
[ -r "$file" ] || {{ echo "it cannot make $file"; exit; }}
exec 9<"$file"
command -v timeout >/dev/null || set -- "$1" "$2" ""
command -v flock >/dev/null || {{ echo "{NO_LOCK}"; exit; }}
tries=0
until flock -n 9; do
    tries=$((tries + 1)); [ $tries = 4 ] && {{ echo "{BUSY}$(head -n 1 "$file")"; exit; }}
    sleep 1
done
note() {{ ( printf "%s\\n" "$1" >"$file" ) 2>/dev/null; }}
note "$1"; trap 'note ""' EXIT
echo {HELD}
while ${{3:+timeout $3}} sh -c "read -r _" 9<&-; do :; done
"""


def hold_command(owner: str, folder: str = "", silence_s: int | None = None) -> list[str]:
    """What holds the lock as long as it runs; its first line is the answer."""
    silence = "" if silence_s is None else str(silence_s)
    return ["sh", "-c", HOLD, "sh", owner, folder, silence]


def check_held(answer: str | None, device: str) -> None:
    """Whether it is ours.

    Raises:
        DeviceBusy: another computer has it.
        TargetFailed: the device cannot lock.
    """
    if answer == NO_LOCK:
        logging.getLogger(__name__).warning(
            "harness: %s has no flock: nothing keeps other computers from measuring it now", device
        )
    elif answer is not None and answer.startswith(BUSY.rstrip()):
        raise DeviceBusy(f"{device} is in use by {printable(answer.removeprefix(BUSY))}")
    elif answer != HELD:
        raise TargetFailed(f"{device} cannot keep a lock: it says {answer!r:.200}")
