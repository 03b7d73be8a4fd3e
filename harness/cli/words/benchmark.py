"""A benchmark beside a kept one, in words."""

from harness.pipeline.regression import ModelChange
from harness.tables.statements import WORDS


def describe_change(found: ModelChange) -> str:
    """How much longer the model takes, and how much of that is the machine's."""
    low, high = found.interval
    ends = f"{found.beyond:.3f} ({low:.3f} to {high:.3f}, 95 %)"
    if found.machine is None:
        change = f"{ends} times as long as the baseline; what the machine has of that is not known"
    else:
        change = (
            f"{found.ratio:.3f} times as long as the baseline; the machine alone takes "
            f"{found.machine:.3f} times as long, the model {ends} beyond that"
        )
    if found.files:
        then, now = found.files
        change += (
            f"; the baseline is of another file: {then.get('name')} (sha256 "
            f"{then.get('sha256')!s:.12}), this is {now['name']} ({now['sha256']:.12})"
        )
    return f"{WORDS[found.at]}: {change}"
