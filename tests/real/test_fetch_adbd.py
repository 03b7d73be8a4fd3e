"""The script that fetches Debian's adbd and adb, on a machine whose package sources are ours."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fetch-adbd")
NEEDED = ("apt-get", "dpkg", "cc")


@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="fetch-adbd is for Debian's kin")
def test_packages_come_from_the_machines_own_sources_and_no_others(tmp_path: Path) -> None:
    ended = fetch(tmp_path, f"deb [trusted=yes] file:{tmp_path}/mirror bookworm main\n")
    assert ended.returncode == 1
    assert f"none of this machine's package sources (file:{tmp_path}/mirror/)" in ended.stderr
    assert "http" not in ended.stdout


@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="fetch-adbd is for Debian's kin")
def test_a_machine_without_package_sources_is_told_to_name_a_mirror(tmp_path: Path) -> None:
    ended = fetch(tmp_path, "")
    assert ended.returncode == 1
    assert "name one by DEBIAN_MIRROR=URL" in ended.stderr


def fetch(folder: Path, sources: str) -> subprocess.CompletedProcess[str]:
    (folder / "sources.list").write_text(sources)
    settings = folder / "apt.conf"
    settings.write_text(
        f'Dir::Etc::SourceList "{folder}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
    )
    environment = os.environ | {"APT_CONFIG": str(settings)}
    environment.pop("DEBIAN_MIRROR", None)
    command = [str(SCRIPT), str(folder / "adbd")]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
