"""What it cost to find a front: training, once for all devices, and what each device adds."""

from collections.abc import Iterator, Sequence

from harness.carbon.account import Account
from harness.carbon.place import DATA_CENTRE, Site
from harness.carbon.table_2 import METHODS
from harness.deploy.front import Front

Line = tuple[str, str]  # what, how much


def cost(fronts: Sequence[Front], training: Account | None) -> Iterator[Line]:
    """`training`: of their supernet, where it was trained here and recorded what it used."""
    yield "the supernet, once for all devices", _training(fronts[0], training)
    for front in fronts:
        where = f"{front.device}, " if len(fronts) > 1 else ""
        for what, how_much in _device(front):
            yield f"{where}{what}", how_much


def _training(front: Front, training: Account | None) -> str:
    if front.settings.get("supernet") is None:
        method = next(each for each in METHODS if each.name == "OFA w/ PS")
        gpu_h = method.once_gpu_h
        return (
            f"not trained here. The OFA authors state {gpu_h:,.0f} GPU hours for theirs (Table 2 "
            f"of the paper), by its rules {Site().co2e_lb(gpu_h):,.0f} lb CO2e with {DATA_CENTRE}"
        )
    if training is None:
        return f"trained as {front.settings['supernet']}; no record of what that used is here"
    return f"{duration(training.hours * 3600)} of training and evaluating here; {energy(training)}"


def energy(used: Account) -> str:
    """What is known of it, and how."""
    co2e = f"{used.co2e_kg:.3g} kg CO2e with {used.pue}" if used.co2e_kg is not None else ""
    if used.energy_kwh is not None:
        return f"{used.energy_kwh:.3g} kWh measured, {co2e}"
    if used.assumed_kwh is not None:
        return f"{used.assumed_kwh:.3g} kWh ASSUMED by --watts, {co2e}"
    return f"energy unknown ({'; '.join(used.sources)}); --watts states an assumption"


def _device(front: Front) -> Iterator[Line]:
    campaign = front.table.get("campaign") or {}
    if front.table.get("source"):
        yield "the latency table", "imported, measured by others"
    elif "took_s" in campaign:
        how = "simulated" if front.simulated else "measured on the device"
        yield "the latency table", f"{how} in {duration(campaign['took_s'])}"
    seconds = front.settings.get("search_s")
    effort = front.settings["effort"].get("evaluations")
    if effort is not None:
        took = "" if seconds is None else f" in {duration(seconds)}"
        rounds = front.settings.get("rounds", 1)
        yield "the search", f"{effort * rounds:,} networks looked at, all predicted{took}"
    checked = (front.verification or {}).get("campaign") or {}
    if "took_s" in checked:
        how = "simulating" if front.simulated else "timing"
        took = duration(checked["took_s"])
        yield "verifying", f"{how} {len(front.points)} networks in {took}"


def duration(seconds: float) -> str:
    """As people say it."""
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
