"""Do blocks take as long over SSH as here? Through a real sshd on this computer, taken in turns.

The agents of both ways stay on the same core, and are asked in turn for each block: OFA's and the
digits', by torch and onnxruntime. What a block takes is its fastest run. Needs openssh-server.
Prints a table and, as its last line, one JSON object; its figures are over all blocks and runtimes.

    python benchmarks/board_link.py --rounds 12
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table as Printed
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.device.device import Device
from harness.runtimes.session import Session, Workload
from harness.spaces.catalogue import find_space
from tests.real.conftest import write_board
from tests.real.real_sshd import RealSshd

RUNTIMES = ("torch", "onnxruntime")
RUNS = 10


def blocks() -> list[Workload]:
    """A mixed set: OFA's from small to large, and the digits'."""
    ofa = sorted(find_space("ofa-mbv3-w1.0").at((160, 224)).distinct_blocks(), key=lambda b: b.macs)
    digits = sorted(find_space("digits").distinct_blocks(), key=lambda block: block.macs)
    return [(block,) for block in [*ofa[:: len(ofa) // 60], *digits[:: len(digits) // 20]]]


def write_devices(folder: Path, board: RealSshd) -> None:
    """Two devices of each runtime, which differ in nothing but the way."""
    write_board(folder, board)
    for runtime in RUNTIMES:
        head = f'title = "x"\nruntime = "{runtime}"\n'
        (folder / f"devices/there-{runtime}.toml").write_text(head + 'extends = "loopback-board"\n')
        (folder / f"devices/here-{runtime}.toml").write_text(
            head + 'transport = "local"\n[runtime_options]\ncpus = "one"\n'
        )


def fastest_ns(sessions: tuple[Session, Session], rounds: int) -> npt.NDArray[np.int64]:
    """The fastest run of each block: a row for each way."""
    chosen = blocks()
    sessions[0].prepare(chosen)
    found: list[list[list[int]]] = [[], []]
    for number in range(rounds):
        turns = (0, 1) if number % 2 else (1, 0)
        row: list[list[int]] = [[], []]
        for block in chosen:
            for turn in turns:
                row[turn].append(min(sessions[turn].visit(block, RUNS).values["wall"]))
        for turn in turns:
            found[turn].append(row[turn])
    fastest: npt.NDArray[np.int64] = np.min(np.array(found), axis=1)
    return fastest


def figures(there: npt.NDArray[np.int64], here: npt.NDArray[np.int64]) -> dict[str, float]:
    ratio = there / here
    return {
        "median_ratio": float(np.median(ratio)),
        "spearman": float(spearmanr(there, here).statistic),
        "within_10": float(np.mean(np.abs(ratio - 1) <= 0.1)),
    }


def measured(board: RealSshd, folder: Path, rounds: int) -> dict[str, npt.NDArray[np.int64]]:
    """The fastest runs there and here, by runtime."""
    write_devices(folder, board)
    found = {}
    for runtime in RUNTIMES:
        with (
            Device.find(f"there-{runtime}", folder).open() as there,
            Device.find(f"here-{runtime}", folder).open() as here,
        ):
            found[runtime] = fastest_ns((there, here), rounds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        board = RealSshd(folder / "server", folder / "client")
        os.environ["HOME"] = str(board.client)  # with the configuration and keys for it
        os.environ.pop("SSH_AUTH_SOCK", None)
        board.start()
        try:
            found = measured(board, folder, rounds)
        finally:
            board.stop()
    both = np.concatenate(list(found.values()), axis=1)
    table = Printed("runtime", "blocks", "median ratio", "Spearman", "within 10 %")
    for name, (there, here) in [*found.items(), ("all", both)]:
        row = figures(there, here)
        table.add_row(
            name,
            str(len(here)),
            f"{row['median_ratio']:.3f}",
            f"{row['spearman']:.4f}",
            f"{row['within_10']:.2f}",
        )
    Console().print(table)
    print(json.dumps({name: round(value, 4) for name, value in figures(*both).items()}))


if __name__ == "__main__":
    main()
