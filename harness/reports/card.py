"""The README of a bundle: what its files are, and what they are worth."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def card(facts: dict[str, Any]) -> str:
    """From the content of `bundle.json`; what looks like HTML in it stays text."""
    environment = Environment(
        loader=PackageLoader("harness.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("card.md").render(facts)
