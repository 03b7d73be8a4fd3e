"""What the tests start under torchrun: a few steps of training on digits.

train_ranks.py FOLDER [STEP]   (rank 1 is killed after that step, once)
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from harness.progress import Progress, silent
from harness.spaces.digits import DIGITS
from harness.training import loop
from harness.training.data import Digits
from harness.training.distributed import joined
from harness.training.recipe_files import digits_recipe

SPACE = replace(DIGITS, resolutions=(8, 12), depths=(1, 2))
WHOLE = digits_recipe(12, seed=1, distill=0.5)
RECIPE = replace(
    WHOLE,
    batch_size=16,
    stages=tuple(replace(stage, steps=2) for stage in WHOLE.stages),
    dropout=0.1,
    initialisation="he_fout",
    teacher_in_training_mode=True,
)
"""With every kind of stage."""


def train(folder: Path, engine: loop.Engine, on_step: Progress = silent) -> None:
    """In double precision: in single rounding grows to 1e-4 within twenty steps."""
    data = Digits.load()
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        data = replace(data, originals=data.originals.double())
        loop.train(SPACE, data, RECIPE, folder / "supernet.pt", on_step, engine)
    finally:
        torch.set_default_dtype(usual)


def main() -> None:
    folder = Path(sys.argv[1])
    deadly = int(sys.argv[2]) if len(sys.argv) > 2 else None
    torch.set_num_threads(1)
    with joined() as ranks:

        def on_step(done: int, _total: int) -> None:
            marker = folder / "killed"
            if done == deadly and ranks.rank == 1 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        train(folder, loop.Engine(ranks, checkpoint_every_s=0.0), on_step)


if __name__ == "__main__":
    main()
