"""What a network file answers right in a runtime, as that runtime's own file."""

from pathlib import Path

from harness.errors import UsageError
from harness.pipeline.evaluate import Accuracy, images_for, renormalised
from harness.runtimes.session import Session

JUDGES = 1000  # images at most


def check_judged(model: Path, folder: Path) -> None:
    """Whether a file can be judged on the images, before it is measured.

    Raises:
        UsageError: it is no network file, or the folder cannot be used or has other classes.
    """
    from harness.networks.file import NetworkFile

    if model.suffix.lower() != ".pt":
        raise UsageError(f"--data judges network files (.pt); {model.name} is none")
    images_for(NetworkFile.load(model), model, folder)


def accuracy_of(session: Session, model: Path, folder: Path) -> Accuracy:
    """Top-1 on the test images of a folder, else on what is held out of it; `check_judged` says
    before whether it can be."""
    import numpy as np
    import torch

    from harness.networks.file import NetworkFile

    network = NetworkFile.load(model)
    data, pixels = images_for(network, model, folder), network.preprocessing
    tests = data.tests(pixels.resolution)
    every = np.linspace(0, len(tests.labels) - 1, min(JUDGES, len(tests.labels))).astype(int)
    images = renormalised(
        tests.images[torch.from_numpy(every)], (data.mean, data.std), (pixels.mean, pixels.std)
    )
    answers = session.infer(model, np.ascontiguousarray(images.numpy())).argmax(1)
    right = int(np.sum(answers == np.asarray(tests.labels)[every]))
    what = "test" if data.tested else "held-out"
    damage = data.damage if data.damaged else ""
    return Accuracy(str(model), str(folder), what, right, len(every), damage)
