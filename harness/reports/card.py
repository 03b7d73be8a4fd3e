"""The README of a bundle: what its files are, and what they are worth."""

from typing import Any

from harness.reports.page import templates


def card(facts: dict[str, Any]) -> str:
    """From the content of `bundle.json`."""
    return templates().get_template("card.md").render(facts)
