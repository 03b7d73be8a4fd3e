"""Networks pay for weights that no cache keeps for them, and for no others."""

import numpy as np
import pytest

from harness.predictors.kernel_weights import KEPT, fetched, fitted, with_fetched
from harness.tables.calibration import Sums

KEEPS = 2.0**21  # numbers, of the device here


def test_weights_of_a_small_network_stay_in_a_cache() -> None:
    assert fetched(np.full(10, KEEPS / 10), KEEPS).sum() == 0


def test_those_of_a_large_one_are_all_fetched() -> None:
    weights = np.full(10, KEEPS)
    assert fetched(weights, KEEPS) == pytest.approx(weights)


def test_a_kernel_alone_that_no_cache_keeps_fetched_its_weights_when_it_was_timed() -> None:
    weights = np.array([8 * KEEPS, KEEPS / 4])
    assert fetched(weights, KEEPS) == pytest.approx([0, KEEPS / 4])


def test_how_many_weights_are_kept_is_found_from_networks() -> None:
    random = np.random.default_rng(1)
    weights = [random.dirichlet(np.ones(30)) * size for size in np.geomspace(2e5, 3e7, 30)]
    total_ns = random.uniform(1e6, 5e7, len(weights))
    sums = Sums(("moving",), total_ns[:, None], np.full(len(weights), 30.0), np.zeros(30))
    network_ns = 9000 + total_ns + 0.2 * np.array([fetched(w, KEEPS).sum() for w in weights])
    calibration, kept = fitted(sums, weights, network_ns, 9000.0)
    assert abs(KEPT.index(kept) - KEPT.index(KEEPS)) <= 1
    assert calibration.offset == 9000
    told_ns = calibration.network(with_fetched(sums, weights, kept))
    assert told_ns == pytest.approx(network_ns, rel=0.02)


def test_where_no_network_has_weights_they_cost_nothing() -> None:
    total_ns = np.linspace(1e6, 2e6, 8)
    sums = Sums(("moving",), total_ns[:, None], np.full(8, 10.0), np.zeros(8))
    calibration, _ = fitted(sums, [np.zeros(10)] * 8, total_ns, 0.0)
    assert calibration.per_parameter == 0
    assert calibration.network(sums) == pytest.approx(total_ns, rel=0.02)
