"""What is said while a run goes on."""

from typing import assert_never

from harness.cli.words.table import describe_table
from harness.pipeline.notices import (
    AccuracyNotCalled,
    AnswersNotCompared,
    Fetched,
    KernelsTimed,
    MeasuredAlready,
    NewHead,
    NoAccuracies,
    Notice,
    OddBlocks,
    Refreshed,
    Remark,
    StartUnknown,
    TableState,
    WithoutEnergies,
)


def words(notice: Notice) -> str:
    """The notice in a line."""
    match notice:
        case Remark(text):
            return text
        case TableState():
            return describe_table(notice)
        case NoAccuracies(space):
            return (
                f"no accuracies for {space} come from here: a search in this table will need "
                "--accuracy (a released predictor, a CSV of evaluated networks, a function)"
            )
        case AccuracyNotCalled(source):
            return f"no accuracies: they came from {source}, which --accuracy has to name"
        case MeasuredAlready(device, space):
            return (
                f"{device} is measured for {space} already; --fresh measures anew, "
                "--refit only calibrates anew, --refresh looks for what has changed"
            )
        case KernelsTimed(device, timed, of, error, before):
            return (
                f"{device}: {timed} of {of} kernels timed; those left out are off by {error:.1%} "
                f"of their time (before: {before:.1%})"
            )
        case OddBlocks(device, times, more, filled):
            return (
                f"{device}: its blocks are {times:.1f} times less alike than those of other "
                f"devices: {more} more are visited, {filled} are filled in"
            )
        case Refreshed():
            return _refreshed(notice)
        case WithoutEnergies(why):
            return f"without energies: {why}"
        case AnswersNotCompared(model):
            return (
                f"{model}: answers were not compared with onnxruntime's: only those to images in "
                "float32 are"
            )
        case StartUnknown(why):
            return f"how it starts is not known: {why}"
        case Fetched(path, _, before=True):
            return f"{path}: sha256 as at the first download"
        case Fetched(path, sha256):
            return (
                f"{path}: sha256 {sha256}, recorded at this first download; nobody vouches for it"
            )
        case NewHead(network, classes, others):
            return f"a new head: {network} has {classes} classes, the data {others} others"
        case _:
            assert_never(notice)


def _refreshed(found: Refreshed) -> str:
    everything = f"everything takes {found.shift:.3f} times as long as when it was measured"
    if found.updated:
        everything += f", and {' and '.join(found.updated)} changed since then"
    if not found.again:
        return f"{everything}; none of {found.compared} blocks moved beyond that"
    return (
        f"{everything}; {found.moved} of {found.compared} blocks moved beyond that: "
        f"{found.again} of {found.blocks} like them are measured again"
    )
