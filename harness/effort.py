"""How much work a run does: everything that `--quick` changes, in one place."""

from dataclasses import dataclass

from harness.measuring.plan import Plan


@dataclass(frozen=True)
class Effort:
    """Sizes of the steps."""

    name: str
    training_steps: int
    subnets: int  # evaluated to train and judge the accuracy predictor
    evaluations: int  # of the search
    points: int  # of the front that are verified
    table: Plan
    verification: Plan


FULL = Effort(
    name="full",
    training_steps=800,
    subnets=400,
    evaluations=50_000,
    points=20,
    table=Plan(rounds=45, runs=4, duration_s=45.0),
    verification=Plan(rounds=50, runs=4, duration_s=20.0),
)
QUICK = Effort(
    name="quick",
    training_steps=180,
    subnets=100,
    evaluations=20_000,
    points=10,
    table=Plan(rounds=20, runs=4, duration_s=8.0),
    verification=Plan(rounds=30, runs=4, duration_s=4.0),
)
