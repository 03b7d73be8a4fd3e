from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TableError
from harness.predictors.transfer import Transferred, transfer
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, sample
from harness.tables.statements import Statement, Statements

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """A device that takes a millisecond for each pixel of height."""

    def predict(self, genomes: Genomes) -> Floats:
        return np.array(DIGITS.resolutions, float)[genomes[:, 0]]

    def smallest(self) -> tuple[float, Genomes]:
        return 8.0, np.zeros(1 + 3 + 18, np.int16)

    @property
    def statements(self) -> Statements:
        return {"full": Statement("full", 1.0, 0.0)}

    def describe(self) -> str:
        return "by height"

    def facts(self) -> dict[str, Any]:
        return {}


def error_of(predictor: Transferred) -> float:
    """Stated for 95 % of networks, in logarithms."""
    error = predictor.statements["full"].log_error
    assert error is not None
    return error


@given(ratio=st.floats(1e-3, 1e3), networks=st.integers(1, 9))
def test_a_device_with_a_constant_ratio_is_predicted_exactly(ratio: float, networks: int) -> None:
    genomes = sample(DIGITS, 50, np.random.default_rng(networks))
    truth_ms = ratio * Known().predict(genomes)
    predictor = transfer(Known(), genomes[:networks], truth_ms[:networks], "known")
    assert predictor.predict(genomes) == pytest.approx(truth_ms)
    assert predictor.ratio == pytest.approx(ratio)
    assert predictor.networks == networks


def test_one_network_leaves_much_open_and_more_that_agree_less(rng: np.random.Generator) -> None:
    genomes = sample(DIGITS, 20, rng)
    measured_ms = 3 * Known().predict(genomes)
    errors = [
        error_of(transfer(Known(), genomes[:n], measured_ms[:n], "known")) for n in (1, 2, 5, 20)
    ]
    assert errors == sorted(errors, reverse=True)
    assert 0.25 < errors[0] < 0.35
    assert errors[-1] < 0.1


@pytest.mark.parametrize("networks", [1, 3, 10])
def test_the_error_stated_holds_for_95_percent_of_networks(networks: int) -> None:
    """Of devices that differ as believed: ratios vary by 0.08, as if seen on five networks."""
    rng = np.random.default_rng(networks)
    genomes = sample(DIGITS, 200, rng)
    held = []
    for ratio_sd in 0.08 * np.sqrt(4 / rng.chisquare(4, 400)):
        truth_ms = 2 * Known().predict(genomes) * rng.lognormal(0, ratio_sd, len(genomes))
        predictor = transfer(Known(), genomes[:networks], truth_ms[:networks], "known")
        errors = np.abs(np.log(predictor.predict(genomes[10:]) / truth_ms[10:]))
        held.append(np.mean(errors <= error_of(predictor)))
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_networks_that_disagree_widen_the_error_and_one_slow_one_moves_nothing(
    rng: np.random.Generator,
) -> None:
    genomes = sample(DIGITS, 5, rng)
    measured_ms = 3 * Known().predict(genomes)
    agreeing = transfer(Known(), genomes, measured_ms, "known")
    measured_ms[2] *= 1.5
    disagreeing = transfer(Known(), genomes, measured_ms, "known")
    assert disagreeing.ratio == agreeing.ratio
    assert error_of(disagreeing) > 1.5 * error_of(agreeing)


def test_nothing_to_go_by_is_one_clear_error() -> None:
    genomes = sample(DIGITS, 2, np.random.default_rng(0))
    with pytest.raises(TableError, match="0 measured networks are too few: 1 are needed"):
        transfer(Known(), genomes[:0], np.ones(0), "known")
    with pytest.raises(TableError, match="network 1 of those measured has a latency of nan ms"):
        transfer(Known(), genomes, np.array([1.0, np.nan]), "known")
