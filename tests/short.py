"""`harness` with a shorter `--quick`, for tests that start it as a process of its own."""

from dataclasses import replace

from harness import effort
from harness.effort import QUICK

SHORT = replace(
    QUICK,
    training_steps=100,
    subnets=60,
    evaluations=5_000,
    table=replace(QUICK.table, duration_s=1.0),
    verification=replace(QUICK.verification, duration_s=1.0, sustain_s=0.5),
)
"""As many visits and steps, in less time."""

if __name__ == "__main__":
    effort.QUICK = SHORT
    from harness.cli import main

    main()
