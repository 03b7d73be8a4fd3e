"""What all tests share: a converter cache and locks of their own, and small real things."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from harness.spaces.digits import DIGITS
from harness.spaces.space import Space
from harness.supernet.supernet import Supernet

# Other programs may make an example slow. The same examples each time: what fails is our change.
settings.register_profile("harness", deadline=None, derandomize=True)
settings.load_profile("harness")

ALONE = (
    "tests/measuring/test_campaign.py::test_unsteady_workloads",
    "tests/measuring/test_campaign.py::test_visits_are_judged",
    "tests/measuring/test_campaign.py::test_what_an_older_version",
    "tests/measuring/test_sustained.py",
    "tests/real/test_energy_board.py",
    "tests/real/test_measure_board.py::test_blocks_take_as_long",
    "tests/real/test_measure_phone.py::test_blocks_take_as_long",
    "tests/runtimes/test_slow_networks.py::test_trtexec_is_asked_for_one_run",
)
LONGEST_FIRST = (
    "tests/real/test_faults_phone.py",
    "tests/test_run.py",
    "tests/real/test_measure_phone.py",
    "tests/runtimes/test_sessions.py",
    "tests/test_from_outside.py",
    "tests/pipeline/test_search.py",
    "tests/real/test_faults_board.py",
    "tests/reports/test_page_in_browser.py",
    "tests/training/test_distributed.py",
    "tests/pipeline/test_at_once.py",
    "tests/real/test_lock.py",
    "tests/real/test_measure_board.py",
    "tests/pipeline/test_measure.py",
    "tests/runtimes/test_slow_networks.py",
    "tests/pipeline/test_report.py",
    "tests/pipeline/test_benchmark.py",
    "tests/pipeline/test_finetune.py",
)
"""Files that take half a minute and more: begun last, one of them would run while others idle."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What runs alone is in few files: importing all others would take as long as some of it."""
    if config.option.markexpr != "alone" or not collection_path.name.startswith("test_"):
        return None
    files = {each.partition("::")[0] for each in ALONE}
    return collection_path.relative_to(config.rootpath).as_posix() not in files or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what measures times: tests that run beside it would make them long."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Half of a run in two halves may have nothing to do, as with `tox -- tests/spaces`."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.option.markexpr:
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Converted files are made once for all workers of a run; locks are each worker's own."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(run / "converted"))
        patch.setenv("HARNESS_LOCKS", str(tmp_path_factory.mktemp("locks")))
        torch.set_num_threads(1)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def lively_supernet(space: Space = DIGITS) -> Supernet:
    """A supernet whose BN statistics, scales and transforms are all different from the default.

    With fresh ones a layer that is left out or mixed up could go unnoticed. Weights keep the size
    of what passes through (He et al. 2015): with torch's own the answer would not depend on the
    image.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        supernet = Supernet(space)
        for module in supernet.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.uniform_(0.5, 2)
                module.bias.normal_(0, 0.2)
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_(0, 0.2)
        for name, parameter in supernet.named_parameters():
            if "matrices" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)
    return supernet.eval()


@torch.inference_mode()
def predict(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits [n, classes], in batches as a session has them.

    They depend on the images: else whatever is compared with them would prove nothing.
    """
    logits = torch.cat([network(batch) for batch in images.split(64)])
    assert len(images) == 1 or apart(logits) > 0.05
    return logits


def apart(logits: torch.Tensor) -> float:
    """How far answers to different images are apart, relative to the largest."""
    return float((logits - logits.roll(1, 0)).abs().max() / logits.abs().max())


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parents[1]
