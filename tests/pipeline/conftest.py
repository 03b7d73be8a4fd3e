"""What the tests of whole steps share."""

from dataclasses import replace

import pytest

from harness.effort import QUICK
from harness.pipeline import starting
from harness.reports import style


@pytest.fixture
def short_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `--quick`: a fifth of the networks are looked at."""
    monkeypatch.setattr(starting, "QUICK", replace(QUICK, evaluations=4_000))


@pytest.fixture
def figures_of_pages_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No .png and .pdf beside the .svg that a page has: `tests/reports` tries all of them."""
    monkeypatch.setattr(style, "FORMATS", ("svg",))
