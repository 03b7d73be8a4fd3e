"""The agent as one file that a device's Python runs."""

import hashlib
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from harness.errors import UsageError
from harness.files import replace_atomically
from harness.runtimes.conversion.cache import CHOOSE_CACHE, LAYERS, cache_folder

AGENT = Path(__file__).with_name("agent")


def agent_file(runtime: Path) -> Path:
    """The agent, the runtime's side of it and the layers as one file that Python runs.

    Its name tells its content.
    """
    if runtime.parent != AGENT and runtime.name in {
        LAYERS.name,
        *(p.name for p in AGENT.iterdir()),
    }:
        raise UsageError(f"{runtime}: a file of ours has that name on the device: choose another")
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for path in (*sorted({*AGENT.glob("*.py"), runtime}), LAYERS):
            archive.writestr(ZipInfo(path.name), path.read_bytes())  # no dates in it
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    path = cache_folder() / "agent" / f"{digest[:16]}.pyz"
    if not path.exists() or path.read_bytes() != content.getvalue():  # or cut off
        replace_atomically(path, content.getvalue(), CHOOSE_CACHE)
    return path
