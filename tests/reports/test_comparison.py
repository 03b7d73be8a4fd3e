"""What a comparison of two tables advises."""

import numpy as np
import pytest

from harness.reports.comparison import Affected, ComparisonPage, verdict
from harness.tables.compare import compare
from tests.tables.test_calibration import made_table


@pytest.mark.parametrize(
    ("best_surely", "advice"),
    [(70.4, "A search anew gains up to 0.4 points"), (70.1, "within what the tables' errors")],
)
def test_a_search_is_advised_only_for_gains_beyond_what_the_tables_errors_allow(
    rng: np.random.Generator, best_surely: float, advice: str
) -> None:
    table = made_table(rng, 0)
    network = Affected("front:0", 1.0, 1.0, 70.0, 70.4, best_surely, ())
    compared = ComparisonPage(
        names=("old", "new"),
        old=table,
        new=table,
        blocks=compare(table, table, table.clock),
        fronts=None,
        why_no_fronts="",
        search="harness search",
        networks=(network,),
        error=0.034,
    )
    told = " ".join(verdict(compared))
    assert advice in told
    assert ("harness search" in told) == (best_surely == 70.4)
