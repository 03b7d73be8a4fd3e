import numpy as np
import pytest

from harness.errors import TableError
from harness.predictors.neighbours import Neighbours
from harness.tables.imported import ImportedDevice, NetworkTime

NETWORKS = ("a", "b", "c")


def device(
    title: str, times_ms: tuple[float, ...], processor: str = "cpu", threads: int = 1
) -> ImportedDevice:
    networks = {n: NetworkTime(ms, ms, ms) for n, ms in zip(NETWORKS, times_ms, strict=False)}
    return ImportedDevice(title, title, "r", processor, networks, None, threads)  # type: ignore[arg-type]


def devices(count: int, seed: int = 0) -> list[ImportedDevice]:
    """CPUs on which `b` takes 2 times as long as `a`, but 3 times with 8 threads, and GPUs on which
    it takes half; all within 3 %."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        processor, threads, ratio = [("cpu", 1, 2.0), ("cpu", 8, 3.0), ("gpu", 1, 0.5)][number % 3]
        level = float(np.exp(rng.normal()))
        noise = np.exp(0.03 * rng.normal(size=2))
        times = (level, level * ratio * noise[0], 4 * level * noise[1])
        found.append(
            device(f"device {chr(97 + number % 26) * 3} {number}", times, processor, threads)
        )
    return found


@pytest.mark.parametrize(
    ("processor", "threads", "ratio"), [("cpu", 1, 2.0), ("cpu", 8, 3.0), ("gpu", 1, 0.5)]
)
def test_settings_alike_tell_the_ratio(processor: str, threads: int, ratio: float) -> None:
    target = device("new", (5.0,), processor, threads)
    (told,) = Neighbours(tuple(devices(90))).predict(target, ["a"], ["b"])
    assert told.latency_ms == pytest.approx(5 * ratio, rel=0.03)
    assert told.interval[0] < 5 * ratio < told.interval[1]
    assert told.devices == 90


def test_intervals_hold_the_share_that_they_claim() -> None:
    """Over devices that nothing was fitted to."""
    among, covered = Neighbours(tuple(devices(90))), []
    for each in devices(120, seed=1):
        (told,) = among.predict(each, ["a"], ["b"])
        covered.append(told.interval[0] <= each.networks["b"].latency_ms <= told.interval[1])
    assert 0.9 <= np.mean(covered) < 1.0


def test_a_second_known_network_tells_what_kind_of_device_it_is() -> None:
    """Builds that nothing but another network tells apart."""
    rng = np.random.default_rng(2)
    found = []
    for number in range(60):
        build = 1.0 + number % 2
        times = (1.0, build * float(np.exp(0.02 * rng.normal())), 3 * build)
        found.append(device(f"device {number}", times))
    target = device("new", (1.0, 2.0))
    alone = Neighbours(tuple(found)).predict(target, ["a"], ["c"])[0]
    both = Neighbours(tuple(found)).predict(target, ["a", "b"], ["c"])[0]
    assert both.latency_ms == pytest.approx(6.0, rel=0.03)
    assert both.interval[1] / both.interval[0] < alone.interval[1] / alone.interval[0] / 1.5


def test_the_target_s_own_other_settings_do_not_count() -> None:
    own = [device("new", (1.0, 50.0), "cpu", threads) for threads in range(1, 9)]
    target = device("new", (1.0,))
    others = devices(60)
    told = Neighbours((*others, *own)).predict(target, ["a"], ["b"])
    assert told == Neighbours(tuple(others)).predict(target, ["a"], ["b"])


def test_too_few_devices_or_an_unknown_network_are_one_line() -> None:
    with pytest.raises(TableError, match="only 4 other devices"):
        Neighbours(tuple(devices(4))).predict(device("new", (1.0,)), ["a"], ["b"])
    with pytest.raises(TableError, match="nobody timed b"):
        Neighbours(tuple(devices(9))).predict(device("new", (1.0,)), ["b"], ["c"])
