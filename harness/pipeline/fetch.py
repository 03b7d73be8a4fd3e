"""`harness fetch`: what the OFA authors published, for those who have internet."""

import hashlib
import re
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from harness import files
from harness.errors import FileFormatError, UsageError, WorkspaceError
from harness.hints import nearest
from harness.pipeline.notices import Fetched, Listener
from harness.progress import Progress

_FILES = "https://raw.githubusercontent.com/han-cai/files/master/ofa"
# Addresses as the released code (PyPI's ofa, `model_zoo.py` and `tutorial/`) has them.
PUBLISHED = {
    "ofa-mbv3-w1.0": (f"{_FILES}/ofa_nets/ofa_mbv3_d234_e346_k357_w1.0",),
    "ofa-mbv3-w1.2": (f"{_FILES}/ofa_nets/ofa_mbv3_d234_e346_k357_w1.2",),
    "ofa-proxyless-w1.3": (f"{_FILES}/ofa_nets/ofa_proxyless_d234_e346_k357_w1.3",),
    "acc-predictor": (f"{_FILES}/acc_predictor.pth",),
    "note10": tuple(
        f"{_FILES}/note10/{resolution}_lookup_table.yaml"
        for resolution in (160, 176, 192, 208, 224)
    ),
}
SPECIALIZED = f"{_FILES}/ofa_specialized"
CHECKSUMS = "checksums.json"
_CHUNK, _TIMEOUT_S, _ATTEMPTS = 1 << 16, 30, 5
_NO_SUCH_RANGE = 416


def fetch(listener: Listener, name: str, folder: Path, urls: tuple[str, ...] | None = None) -> None:
    """Download what has this name into `folder`; what was half there is gone on with.

    Nobody published checksums: that of the first download is recorded, and later ones must agree.

    Raises:
        UsageError: nothing published has this name.
        FileFormatError: a file is not what it was at first.
        WorkspaceError: the address does not answer, or the disk is full.
    """
    for url in urls or addresses(name):
        path = folder / url.rsplit("/", 1)[-1]
        if name.startswith("specialized:"):
            path = folder / name.removeprefix("specialized:") / path.name
        with files.changing(path):
            with listener.step(f"fetch {path.name}") as progress:
                part = _download(url, path, progress)
            with files.changing(folder / CHECKSUMS):
                kept = _kept(part, path, folder / CHECKSUMS, url)
        listener.tell(kept)


def addresses(name: str) -> tuple[str, ...]:
    """Where the files of a name are.

    Raises:
        UsageError: nothing published has this name.
    """
    if name.startswith("specialized:"):
        network = name.removeprefix("specialized:")
        if not re.fullmatch(r"[A-Za-z0-9_@.-]+", network) or ".." in network:
            raise UsageError(f"{network!r} is no name of a specialised network")
        parts = ("net.config", "run.config", "init")
        return tuple(f"{SPECIALIZED}/{network}/{part}" for part in parts)
    if name not in PUBLISHED:
        raise UsageError(
            f"nothing published is called {name!r} (networks are specialized:NAME; OFA-ResNet50 is "
            f"on Google Drive: see the authors' README); {nearest(name, PUBLISHED)}"
        )
    return PUBLISHED[name]


def _download(url: str, path: Path, progress: Progress) -> Path:
    """The file as `path.part`, gone on with from where an earlier try ended."""
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            if _append(url, part, progress):
                return part
        except urllib.error.HTTPError as error:
            if error.code != _NO_SUCH_RANGE:
                raise WorkspaceError(f"cannot fetch {url}: {error.reason}") from error
            part.unlink()  # it was whole, or of another file
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            if attempt == _ATTEMPTS:
                reason = getattr(error, "reason", error)
                raise WorkspaceError(
                    f"cannot fetch {url}: {reason}; start again to go on where it stopped"
                ) from error
    raise WorkspaceError(f"cannot fetch {url}: it ends early; start again to go on")


def _append(url: str, part: Path, progress: Progress) -> bool:
    """One try; whether all is there now."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - an address of ours
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        resumed = answer.status == 206
        length = answer.headers.get("Content-Length")
        done = have if resumed else 0
        total = done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total or done)
    return total is None or done == total


def _kept(part: Path, path: Path, record: Path, url: str) -> Fetched:
    """Put the file in its place, where it is what it was at first."""
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    known = files.read_json(record) if record.exists() else {}
    first = known.get(url)
    if first not in (None, digest):
        changed = path.with_name(f"{path.name}.changed")
        part.replace(changed)
        raise FileFormatError(
            f"{url} gave sha256 {digest}, at first it was {first}: kept as {changed}"
        )
    part.replace(path)
    if first is not None:
        return Fetched(path, digest, before=True)
    files.write_json(record, known | {url: digest})
    return Fetched(path, digest, before=False)
