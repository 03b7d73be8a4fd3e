"""Our files on a board: each is named by its content, so that none is sent twice."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from harness.errors import DeviceFull, TargetFailed, TargetLost
from harness.transports.content import digest, name_by_content
from harness.transports.listings import free_mb_of, sizes_of
from harness.transports.plausible import one_line
from harness.transports.transport import Finished

SPARE_MB = 50  # that a board should keep
NO_ROOM, DAMAGED = 3, 4

LIST = """
cd && mkdir -p -- "$1" && cd -- "$1" && pwd || exit
find . -name "*.tmp" -mtime +1 -exec rm -f {} +
for file in *; do [ -f "$file" ] && stat -c "%s %n" "$file"; done; true
"""
RECEIVE = f"""
export LC_ALL=C
new=$1.$$.tmp
trap 'rm -f "$new"' EXIT
cat > "$new" || exit {NO_ROOM}
[ "$(sha256sum "$new" | cut -d " " -f 1)" = "$2" ] || exit {DAMAGED}
mv "$new" "$1"
"""
ARE_TOGETHER = """
cd -- "$1" 2>/dev/null || exit
shift
while [ $# -gt 1 ]; do
    [ "$(stat -c %s "$2" 2>/dev/null)" = "$1" ] || exit
    shift 2
done
"""
# No links: hard or not, those who read weights beside a network refuse them.
MOVE = 'mkdir -p "$(dirname "$2")" && mv -f "$1" "$2"'

Ask = Callable[..., Finished]
"""Runs a script of `sh` there with arguments and, by name, `stdin`."""


class Folder:
    """The folder that holds them, as it was when it was last looked at."""

    def __init__(self, ask: Ask, board: str, where: str) -> None:
        """`where`: relative to the home folder."""
        self._ask = ask
        self._board = board
        self._where = where
        self.forget()

    def forget(self) -> None:
        """Look again before the next file is sent."""
        self._path: PurePosixPath | None = None
        self._sizes: dict[str, int] = {}
        self._together: set[PurePosixPath] = set()

    @property
    def path(self) -> PurePosixPath:
        """Where it is there; made where it is not."""
        if self._path is None:
            listed = self._ask(LIST, self._where)
            if listed.status:
                raise TargetFailed(f"{self._board} cannot keep our files: {listed.complaint()}")
            path, *rows = listed.text.splitlines() or [""]
            if not path.startswith("/"):
                raise TargetFailed(
                    f"{self._board} does not say where it keeps our files, but {one_line(path)!r}"
                )
            self._path = PurePosixPath(path)
            self._sizes = sizes_of(rows)
        return self._path

    def send(self, local: Path) -> PurePosixPath:
        """Under a temporary name until its SHA-256 there is right, where it is not there yet."""
        remote = self.path / name_by_content(local)
        if self._has(local):
            return remote
        done = self._ask(RECEIVE, str(remote), digest(local), stdin=local.read_bytes())
        complaint = done.complaint()
        if done.status == DAMAGED:
            raise TargetLost(f"{local.name} arrived damaged on {self._board}")
        if done.status == NO_ROOM and re.search("No space|quota", complaint):
            raise DeviceFull(
                f"no room on {self._board} for {local.name}: free some space, or delete our files "
                f"in {self.path}"
            )
        if done.status:
            raise TargetFailed(f"{self._board} cannot keep {local.name}: {complaint}")
        self._sizes[remote.name] = local.stat().st_size
        return remote

    def send_with(self, local: Path, beside: Mapping[str, Path]) -> PurePosixPath:
        """In a folder of their own, named by all that is in it."""
        files = {**beside, local.name: local}
        content = "".join(f"{digest(file)} {name}\n" for name, file in sorted(files.items()))
        folder = self.path / hashlib.sha256(content.encode()).hexdigest()[:16]
        sizes = [(str(file.stat().st_size), f"./{name}") for name, file in files.items()]
        there = folder in self._together
        there = there or not self._ask(ARE_TOGETHER, str(folder), *chain(*sizes)).status
        for name, file in () if there else files.items():
            sent = self.send(file)
            moved = self._ask(MOVE, str(sent), str(folder / name))
            del self._sizes[sent.name]
            if moved.status:
                raise TargetFailed(f"{self._board} cannot keep {file.name}: {moved.complaint()}")
        self._together.add(folder)
        return folder / local.name

    def check_room(self, files: Sequence[Path]) -> None:
        """Raises DeviceFull where those that are not there yet do not fit."""
        where = self.path
        needed_mb = sum(file.stat().st_size for file in set(files) if not self._has(file)) / 2**20
        free_mb = self.free_mb()
        if free_mb < needed_mb + SPARE_MB:
            raise DeviceFull(
                f"{needed_mb:.0f} MB have to be sent to {self._board}, and only {free_mb:.0f} MB "
                f"are free there: free some space, or delete our files in {where}"
            )

    def free_mb(self) -> float:
        answer = self._ask('df -Pk "$1"', str(self.path)).text
        free_mb = free_mb_of(answer)
        if free_mb is None:
            raise TargetFailed(f"{self._board} does not say how much room it has: {answer[:200]!r}")
        return free_mb

    def _has(self, local: Path) -> bool:
        """By name, which has the content in it, and size: only verified files have such a name."""
        return self._sizes.get(name_by_content(local)) == local.stat().st_size
