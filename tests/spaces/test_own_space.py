"""A user's own space from outside the package, as docs/adding-a-space.md shows it."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import UsageError
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, encode, sample
from harness.supernet.supernet import Supernet
from tests.command_line import harness

ACCURACY = """

def accuracy(arch):
    return 60 + arch.resolution / 8 + 2 * sum(arch.depths) + sum(arch.expands)
"""


@pytest.fixture
def folder(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a user works, with the module that the documentation shows."""
    document = (repository / "docs" / "adding-a-space.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", document, flags=re.DOTALL)
    (tmp_path / "my_spaces.py").write_text(code + ACCURACY)
    (tmp_path / "broken.py").write_text("def (")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_spaces", raising=False)
    return tmp_path


def test_the_documented_space_is_a_space_like_ours(folder: Path) -> None:
    space = find_space("my_spaces:TINY")
    rows = sample(space, 30, np.random.default_rng(1))
    assert (encode(space, [decode(space, row) for row in rows]) == rows).all()
    supernet = Supernet(space).eval()
    arch = decode(space, rows[0])
    supernet.activate(arch)
    images = torch.randn(1, 3, arch.resolution, arch.resolution)
    with torch.no_grad():
        assert torch.allclose(supernet(images), supernet.extract(arch)(images), atol=1e-6)
    assert (folder / "my_spaces.py").exists()


def test_its_front_is_found_and_timed_with_the_users_own_accuracies(folder: Path) -> None:
    # Simulated: `tests/test_from_outside.py` measures a space of somebody's on a real runtime.
    words = "run --quick --space my_spaces:TINY --accuracy my_spaces:accuracy --device zu3eg"
    ended = harness(folder, *words.split())
    assert ended.returncode == 0, ended.stderr
    front = json.loads((folder / "reports" / "zu3eg.tiny" / "front.json").read_text())
    assert len(front["points"]) > 3
    assert all(point["latency_ms_measured"] > 0 for point in front["points"])
    assert all(point["accuracy_measured"] is None for point in front["points"])
    accuracies = [point["accuracy"] for point in front["points"]]
    assert accuracies == sorted(accuracies)
    assert "not evaluated" in (folder / "reports" / "zu3eg.tiny" / "index.html").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:TINY", "cannot import"),
        ("my_spaces:NOTHING", "cannot import"),
        ("my_spaces:accuracy", "no space but function"),
        ("broken:TINY", "cannot import"),
        (".x:Y", "cannot import"),
    ],
)
def test_what_is_no_space_is_one_clear_error(folder: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_space(name)
    assert folder.exists()


@pytest.mark.parametrize(
    "name",
    ["ofa-mbv3-w0.35", "ofa-proxyless-w1.0", "ofa-resnet50-w0.12-0.16", "ofa-resnet50-w0.5-1.0"],
)
def test_families_exist_at_any_width(name: str) -> None:
    assert find_space(name).name == name


@pytest.mark.parametrize(
    "name", ["ofa-mbv3-w1.0-1.2", "ofa-mbv3-w0.0", "ofa-resnet50-w1.0-0.65", "ofa-none-w1.0"]
)
def test_widths_that_mean_nothing_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no space called"):
        find_space(name)
