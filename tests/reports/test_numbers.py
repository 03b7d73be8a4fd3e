"""Numbers as pages write them."""

import pytest

from harness.reports.page import short, signed


@pytest.mark.parametrize(
    ("value", "written"),
    [(22530.4, "22530"), (1234.56, "1235"), (0.0123456, "0.01235"), (3, 3), ("local", "local")],
)
def test_four_digits_are_written_out(value: object, written: object) -> None:
    assert short(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(-0.04, "0.0"), (0.04, "0.0"), (-0.06, "-0.1"), (2.0, "+2.0")]
)
def test_what_rounds_to_nothing_has_no_sign(value: float, written: str) -> None:
    assert signed(value) == written
