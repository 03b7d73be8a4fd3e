"""`harness` with a shorter `--quick`, for tests that start it as a process of its own."""

from dataclasses import replace

from harness import effort
from harness.effort import QUICK

SHORT = replace(
    QUICK,
    training_steps=100,
    subnets=40,
    evaluations=2_000,
    points=7,
    table=replace(QUICK.table, min_visits=5, max_visits=8, duration_s=1.0),
    verification=replace(
        QUICK.verification, min_visits=5, max_visits=8, duration_s=1.0, anchors=5, sustain_s=0.2
    ),
)
"""All of its steps, each with less to do."""

if __name__ == "__main__":
    effort.QUICK = SHORT
    from harness.cli import main

    main()
