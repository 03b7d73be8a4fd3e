"""The commands that train: supernets, accuracy predictors, single networks."""

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.commands import app
from harness.cli.group import Commands
from harness.cli.options import (
    HERE,
    Accumulate,
    AsJson,
    Autocast,
    BatchSize,
    Data,
    EpochsScale,
    Fresh,
    OptionalDistill,
    OptionalSpaceName,
    Quick,
    RecipeName,
    Resolutions,
    Root,
    Seed,
    Subnets,
    Workers,
    check_training,
    job_for,
    terminal,
)

accuracy_app = typer.Typer(cls=Commands, help="The accuracy predictor.", no_args_is_help=True)


@app.command()
def train(
    space: OptionalSpaceName = None,
    data: Data = None,
    recipe: RecipeName = None,
    epochs_scale: EpochsScale = 1.0,
    batch_size: BatchSize = None,
    accumulate: Accumulate = 1,
    bf16: Autocast = False,
    workers: Workers = None,
    resolutions: Resolutions = None,
    quick: Quick = False,
    fresh: Fresh = False,
    seed: Seed = 0,
    distill: OptionalDistill = None,
    root: Root = HERE,
) -> None:
    """Train the supernet by progressive shrinking; on several GPUs under torchrun."""
    from harness.pipeline import training as step
    from harness.pipeline.supernet_folder import Training

    asked = Training(
        data=data,
        recipe=recipe,
        epochs_scale=epochs_scale,
        batch_size=batch_size,
        distill=distill,
        accumulate=accumulate,
        autocast=bf16,
        workers=workers,
    )
    check_training(asked)
    job = job_for(
        space, root, quick, fresh=fresh, seed=seed, resolutions=resolutions, training=asked
    )
    terminal().say(f"supernet: {step.train(job)}")


@accuracy_app.command("fit")
def accuracy_fit(
    space: OptionalSpaceName = None,
    data: Data = None,
    recipe: RecipeName = None,
    epochs_scale: EpochsScale = 1.0,
    batch_size: BatchSize = None,
    accumulate: Accumulate = 1,
    bf16: Autocast = False,
    workers: Workers = None,
    subnets: Subnets = None,
    resolutions: Resolutions = None,
    quick: Quick = False,
    seed: Seed = 0,
    distill: OptionalDistill = None,
    root: Root = HERE,
) -> None:
    """Evaluate random sub-networks and train the accuracy predictor on them.

    With the settings that the supernet was trained with; on several GPUs under torchrun.
    """
    from harness.pipeline import training as step
    from harness.pipeline.supernet_folder import Training

    asked = Training(
        data=data,
        recipe=recipe,
        epochs_scale=epochs_scale,
        batch_size=batch_size,
        distill=distill,
        accumulate=accumulate,
        autocast=bf16,
        workers=workers,
        subnets=subnets,
    )
    check_training(asked)
    job = job_for(space, root, quick, seed=seed, resolutions=resolutions, training=asked)
    path, predictor = step.fit_accuracy(job)
    terminal().say(f"{path}: {predictor.describe()}")


@app.command()
def evaluate(
    network: Annotated[Path, typer.Argument(help="A network file.")],
    data: Annotated[Path, typer.Option(help="Folder of images: val/CLASS/*.jpg, or classes.")],
    as_json: AsJson = False,
) -> None:
    """The accuracy of a network file on a folder of images."""
    from harness.cli.words.network import describe_accuracy
    from harness.pipeline.evaluate import evaluate as step

    accuracy = step(terminal(), network, data)
    terminal().say(json.dumps(accuracy.to_json()) if as_json else describe_accuracy(accuracy))


@app.command()
def finetune(
    network: Annotated[Path, typer.Argument(help="A network file, such as `extract` writes.")],
    output: Annotated[Path, typer.Argument(help="The network file to write.")],
    data: Data = None,
    epochs: Annotated[float, typer.Option(min=0.01)] = 25,
    learning_rate: Annotated[
        float, typer.Option(min=1e-6, help="At the beginning; a cosine takes it to zero.")
    ] = 0.01,
    batch_size: Annotated[int, typer.Option(min=2, help="Images a step, over all ranks.")] = 64,
    supernet: Annotated[
        Path | None,
        typer.Option(help="Distil from its largest network: ours, or as the OFA authors release."),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Of the supernet, where the network file does not tell.")
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.99,
            help="Share of zeros to reach, in all layers but the first and depthwise ones.",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="Of the zeros: unstructured (the smallest, little by little), 2:4, channels (cut "
            "out of blocks), or predefined (at random, and trained from random weights)."
        ),
    ] = None,
    rewind: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Lottery tickets: go back to the weights of this step, prune half, train again, "
            "until --sparsity is reached.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Train a network further, on the same classes or, with a new head, on yours; or thin it."""
    from harness.cli.words.network import describe_finetuned
    from harness.pipeline.finetune import FineTuning
    from harness.pipeline.finetune import finetune as step

    asked = FineTuning(
        network,
        output,
        data=data,
        supernet=supernet,
        space=space,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        sparsity=sparsity,
        pattern=pattern,
        rewind=rewind,
    )
    made = step(terminal(), asked)
    if made is not None:
        terminal().say(describe_finetuned(made))
