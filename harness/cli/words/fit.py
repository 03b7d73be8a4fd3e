"""How good a fit to a board is, in lines."""

from collections.abc import Iterator

from harness.pipeline.fit import Fit
from harness.runtimes.dpu.fit import FOLDS, SEED, Error


def fit_lines(made: Fit) -> Iterator[str]:
    """Errors before and after, of blocks that were left out, and stage by stage."""
    for path, kind, count in made.aside:
        yield f"{path}: {count} rows of type {kind} left aside"
    yield f"before:   {_error(made.before)}"
    yield f"fitted:   {_error(made.after)}"
    yield (
        f"left out: {_error(made.held_out)} (random {FOLDS} parts, seed {SEED}: each predicted by "
        "a fit to the others)"
    )
    for each in made.stages:
        yield (
            f"without {each.stage or 'the rest'}: mean error {each.error.mape:5.1%} of "
            f"{each.blocks} blocks"
        )


def saved_lines(made: Fit) -> Iterator[str]:
    """The constants, and which of them the blocks do not tell."""
    for constant in made.untold:
        yield f"{constant} is not told by these blocks: measure others too, larger and smaller ones"
    constants = made.constants
    yield (
        f"{made.path}: vector_ns {constants.vector_ns:g}, ddr_share {constants.ddr_share:g}, "
        f"pass_cycles {constants.pass_cycles:g}; new table: harness measure --device {made.name}"
    )


def _error(found: Error) -> str:
    return (
        f"mean error {found.mape:5.1%} of {found.blocks} blocks, {found.within_10:4.0%} within "
        f"10 %, Kendall's tau {found.kendall:.3f}"
    )
