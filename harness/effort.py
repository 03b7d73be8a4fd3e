"""How much work a run does: everything that `--quick` and `--effort` change, in one place."""

from dataclasses import dataclass, replace

from harness.measuring.plan import Plan


@dataclass(frozen=True)
class Effort:
    """Sizes of the steps."""

    name: str
    training_steps: int
    subnets: int  # evaluated to train and judge the accuracy predictor
    evaluations: int  # of the search
    points: int  # of the front that are verified
    first_look: bool  # a device without a table is judged by few networks
    table: Plan
    energy: Plan  # each visit is a window of time
    memory: Plan  # each visit is a process
    verification: Plan

    def plan(self, quantity: str, simulated_networks: int | None = None) -> Plan:
        """Of a table; a simulated device's is calibrated by so many networks."""
        if simulated_networks is not None:
            return replace(SIMULATED, anchors=simulated_networks)
        return {"latency": self.table, "energy": self.energy, "memory": self.memory}[quantity]


SIMULATED = Plan(min_visits=1, max_visits=1, runs=1, interval=0.0, duration_s=0.0, anchors=100)
"""Of simulated devices: no noise, and networks cost little."""

NORMAL = Effort(
    name="normal",
    training_steps=800,
    subnets=400,
    evaluations=170_000,
    points=20,
    first_look=False,
    table=Plan(
        min_visits=10,
        max_visits=40,
        runs=3,
        interval=0.05,
        duration_s=45.0,
        anchors=20,
        sustain_s=10.0,
        fill_error=0.0075,
    ),
    energy=Plan(min_visits=5, max_visits=10, runs=1, interval=0.025, duration_s=0.0, anchors=20),
    memory=Plan(min_visits=2, max_visits=4, runs=1, interval=0.05, duration_s=0.0, anchors=20),
    verification=Plan(
        min_visits=30,
        max_visits=60,
        runs=4,
        interval=0.03,
        duration_s=20.0,
        anchors=10,
        sustain_s=20.0,
    ),
)
QUICK = Effort(
    name="quick",
    training_steps=180,
    subnets=100,
    evaluations=20_000,
    points=10,
    first_look=True,
    table=Plan(
        min_visits=10,
        max_visits=20,
        runs=4,
        interval=0.05,
        duration_s=8.0,
        anchors=10,
        fill_error=0.015,
    ),
    energy=Plan(min_visits=3, max_visits=4, runs=1, interval=0.05, duration_s=0.0, anchors=10),
    memory=Plan(min_visits=1, max_visits=2, runs=1, interval=0.05, duration_s=0.0, anchors=10),
    verification=Plan(
        min_visits=12,
        max_visits=30,
        runs=4,
        interval=0.05,
        duration_s=4.0,
        anchors=10,
        sustain_s=3.0,
    ),
)

FULL = replace(NORMAL, name="full", table=replace(NORMAL.table, fill_error=0.0))
"""All blocks of a table are visited."""
EFFORTS = {effort.name: effort for effort in (QUICK, NORMAL, FULL)}
