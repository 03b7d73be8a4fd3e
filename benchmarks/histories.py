"""How often does `harness history` find a block that became slower, and how often does it cry wolf?

Simulated campaigns of the 145 blocks of the digits' space, as tests have them: the machine's level
differs by 2 % from campaign to campaign, each block by 1 % besides, records claim the noise that
they have. Each history also has a level that jumps by 30 % for no reason, and an update that does
nothing. Prints a table and, as its last line, one JSON object.

    PYTHONPATH=. python benchmarks/histories.py
"""

import argparse
import json

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.tables.history import History, history
from tests.tables.test_compare import BLOCKS
from tests.tables.test_history import CAMPAIGNS, SERIES, points

FACTORS = (1.03, 1.05, 1.08, 1.12, 1.25)
SINCE = (2, CAMPAIGNS // 2, CAMPAIGNS - 1)  # the last: seen once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=20, help="of each kind")
    count = parser.parse_args().histories
    table = Table("times as slow", "since campaign", "found there", "other steps, a history")
    figures: dict[str, float] = {}
    for factor in FACTORS:
        for since in SINCE:
            told = [made(seed, factor, since) for seed in range(count)]
            found = np.mean([is_found(each, since) for each in told])
            others = np.mean([others_in(each) for each in told])
            table.add_row(f"{factor:g}", f"{since} of {CAMPAIGNS}", f"{found:.0%}", f"{others:.2f}")
            figures[f"found_{factor:g}_{since}"] = round(float(found), 3)
    quiet = [made(seed, 1.0, 1) for seed in range(2 * count)]
    figures["false_steps"] = round(float(np.mean([len(each.steps) for each in quiet])), 3)
    counted = [update.counts for each in quiet for update in each.updates]
    figures["updates_blamed"] = round(float(np.mean(counted)), 3)
    Console(width=100).print(table)
    print(
        f"no block slower: {figures['false_steps']} steps a history; the update that does nothing"
    )
    print(f"is blamed in {figures['updates_blamed']:.0%}")
    print(json.dumps(figures))


def made(seed: int, factor: float, since: int) -> History:
    block = BLOCKS[seed % len(BLOCKS)]
    return history(SERIES, points(seed, {block: (since, factor)}, level=(4, 1.3), updated=9))


def is_found(told: History, since: int) -> bool:
    return any(step.at == since and step.ratio > 1 for step in told.steps)


def others_in(told: History) -> int:
    return max(0, len(told.steps) - 1)


if __name__ == "__main__":
    main()
