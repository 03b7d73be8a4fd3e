import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from harness.errors import CheckpointError
from harness.networks.build import build_lively
from harness.networks.file import NetworkFile, Preprocessing
from harness.spaces.digits import DIGITS
from tests.conftest import predict


@pytest.fixture
def network_file() -> NetworkFile:
    arch = DIGITS.largest
    blocks = DIGITS.blocks(arch)
    return NetworkFile(
        "digits",
        arch,
        blocks,
        dict(build_lively(blocks, 1).state_dict()),
        Preprocessing(20, 0.3, 0.35),
        ("0", "1"),
        {"supernet": {"recipe": {"steps": 3}}},
    )


def test_a_network_file_reads_back_whole(tmp_path: Path, network_file: NetworkFile) -> None:
    path = tmp_path / "network.pt"
    network_file.save(path)
    loaded = NetworkFile.load(path)
    images = torch.randn(2, 1, 20, 20)
    assert torch.equal(predict(loaded.module(), images), predict(network_file.module(), images))
    for name in ("space", "arch", "blocks", "preprocessing", "classes", "origin"):
        assert getattr(loaded, name) == getattr(network_file, name)


@pytest.mark.parametrize(
    "content", [b"", b"not a network", b".", b"e\n.", pickle.dumps({"kind": "network"})]
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"network\.pt") as raised:
        NetworkFile.load(path)
    assert "weights_only" not in str(raised.value)  # no advice to switch safety off


def test_a_full_disk_is_one_clear_error() -> None:
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from harness.errors import WorkspaceError\n"
        "from harness.networks.file import save_tensors\n"
        "import torch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    save_tensors({'x': torch.zeros(100_000)}, Path(sys.argv[1]))\n"
        "except WorkspaceError as error:\n"
        "    print('cannot write' in str(error))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-c", code, str(Path(folder, "big.pt"))]
        assert subprocess.check_output(argv, text=True).strip() == "True"
        assert not list(Path(folder).iterdir())


def test_a_cut_off_file_is_one_clear_error(tmp_path: Path, network_file: NetworkFile) -> None:
    path = tmp_path / "network.pt"
    network_file.save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError):
        NetworkFile.load(path)


def test_weights_that_do_not_fit_the_blocks_are_refused(
    tmp_path: Path, network_file: NetworkFile
) -> None:
    path = tmp_path / "network.pt"
    network_file.weights.pop(next(iter(network_file.weights)))
    network_file.save(path)
    with pytest.raises(CheckpointError, match="not a network file"):
        NetworkFile.load(path)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_code_in_a_file_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"kind": "network", "schema": 1, "space": _Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError):
        NetworkFile.load(tmp_path / "evil.pt")
    assert not Path("executed").exists()


def test_a_newer_schema_is_refused_saying_so(tmp_path: Path) -> None:
    torch.save({"kind": "network", "schema": 99}, tmp_path / "new.pt")
    with pytest.raises(CheckpointError, match="schema 99"):
        NetworkFile.load(tmp_path / "new.pt")
