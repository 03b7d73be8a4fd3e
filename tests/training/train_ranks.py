"""What the tests start under torchrun: a few steps of training on digits.

train_ranks.py FOLDER ACCUMULATE [STEP]   (rank 1 is killed after that step, once)
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

from harness.spaces.digits import DIGITS
from harness.training import loop
from harness.training.data import Digits
from harness.training.distributed import joined
from harness.training.recipe_files import digits_recipe


def main() -> None:
    folder, accumulate = Path(sys.argv[1]), int(sys.argv[2])
    deadly = int(sys.argv[3]) if len(sys.argv) > 3 else None
    torch.set_num_threads(1)
    data = Digits.load()
    # In single precision rounding grows to 1e-4 within twenty steps.
    torch.set_default_dtype(torch.float64)
    data = replace(data, originals=data.originals.double())
    whole = digits_recipe(20, seed=1, distill=0.5)
    stages = (*(replace(stage, steps=3) for stage in whole.stages[:-1]), whole.stages[-1])
    stages = (*stages[:-1], replace(stages[-1], steps=5))
    recipe = replace(
        whole,
        batch_size=16,
        stages=stages,
        dropout=0.1,
        initialisation="he_fout",
        teacher_in_training_mode=True,
    )
    with joined() as ranks:

        def on_step(done: int, _total: int) -> None:
            marker = folder / "killed"
            if done == deadly and ranks.rank == 1 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        engine = loop.Engine(ranks, accumulate, checkpoint_every_s=0.0)
        loop.train(DIGITS.at([12, 16]), data, recipe, folder / "supernet.pt", on_step, engine)


if __name__ == "__main__":
    main()
