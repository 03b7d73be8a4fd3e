"""What is said of values: whole sentences, with commands that can be pasted."""

from pathlib import Path

import pytest

from harness.cli.words.notices import words
from harness.cli.words.roofline import describe_note
from harness.pipeline.notices import Fetched, Notice, Refreshed, Remark
from harness.predictors.roofline import NoFront

REFRESHED = Refreshed(1.25, ("os",), moved=0, compared=40, again=0, blocks=145)


@pytest.mark.parametrize(
    ("notice", "said"),
    [
        (Remark("as it is"), "as it is"),
        (
            REFRESHED,
            (
                "everything takes 1.250 times as long as when it was measured, and os changed "
                "since then; none of 40 blocks moved beyond that"
            ),
        ),
        (Fetched(Path("w"), "ab", before=True), "w: sha256 as at the first download"),
        (
            Fetched(Path("w"), "ab", before=False),
            "w: sha256 ab, recorded at this first download; nobody vouches for it",
        ),
    ],
)
def test_a_notice_is_a_line(notice: Notice, said: str) -> None:
    assert words(notice) == said


def test_a_command_can_be_pasted_whatever_a_device_is_called() -> None:
    said = describe_note(NoFront(Path("front.json")), "my phone; rm", "digits")
    assert "`harness search --front --device 'my phone; rm' --space digits`" in said
