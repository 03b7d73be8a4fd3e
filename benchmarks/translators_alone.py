"""What sub-networks of `hat-small` translate, beside the same networks trained alone.

Three of them, each trained by the supernet's recipe for as many steps as the supernet, whose steps
all its sub-networks share. Judged by BLEU on test sentences. Trained once under --root; goes on
where it was stopped. Prints, as its last line, one JSON object.

    python benchmarks/translators_alone.py --root FOLDER
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from harness.cli.terminal import Terminal
from harness.effort import NORMAL, QUICK
from harness.pipeline import steps
from harness.pipeline.job import Run
from harness.spaces.arch import Arch
from harness.spaces.translation import HAT_SMALL
from harness.supernet.translating import TranslatingSupernet
from harness.training import loop
from harness.training.translating import TranslationEvaluator
from harness.workspace import Workspace

ALIKE = {
    "small": {"embeds": (64,), "ffns": (128,), "heads": (2,), "depths": (1,), "cross_layers": (1,)},
    "middle": {
        "embeds": (64,),
        "ffns": (256,),
        "heads": (2,),
        "depths": (2,),
        "cross_layers": (1,),
    },
    "large": {
        "embeds": (128,),
        "ffns": (512,),
        "heads": (4,),
        "depths": (3,),
        "cross_layers": (2,),
    },
}
"""Choices of three networks, the same in all layers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else NORMAL
    job = Run(Workspace(arguments.root), HAT_SMALL, Terminal(), effort)
    shared = steps.train(job)
    assert isinstance(shared, TranslationEvaluator)
    recipe, found = job.supernet.recipe, {}
    for name, choices in ALIKE.items():
        space = replace(HAT_SMALL, **choices)  # type: ignore[arg-type]
        path = job.supernet.path / "alone" / name / "supernet.pt"
        with job.listener.step(f"train {name} alone") as progress:
            network = loop.train(space, shared.data, recipe, path, progress)
        assert isinstance(network, TranslatingSupernet)
        own = TranslationEvaluator(network, shared.data)
        arch = space.largest
        found[name] = {
            "params_k": round(sum(block.params for block in space.blocks(arch)) / 1e3),
            "of_supernet": tested(shared, as_subnetwork(arch)),
            "alone": tested(own, arch),
        }
    print(json.dumps({"steps": recipe.steps, **found}))


def as_subnetwork(arch: Arch) -> Arch:
    """The same with places for the layers that it has not."""
    values = {}
    for gene in HAT_SMALL.genes:
        part = arch.part(gene.part)
        values[gene.part, gene.index] = part[gene.index] if gene.index < len(part) else 0
    return Arch.of(values)


def tested(evaluator: TranslationEvaluator, arch: Arch) -> dict[str, float]:
    """BLEU on the test sentences, and the ends of its 95 % interval."""
    test = evaluator.data.test
    bleu, (low, high) = test.judged(evaluator.translated(arch, test))
    return {"bleu": round(bleu, 2), "low": round(low, 2), "high": round(high, 2)}


if __name__ == "__main__":
    main()
