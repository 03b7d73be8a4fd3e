"""Text from files in Markdown."""


def cell(text: str) -> str:
    """What stays within its cell, and is no mark-up."""
    shown = " ".join(text.split())
    for mark in "\\|`*_<>[]":
        shown = shown.replace(mark, f"&#{ord(mark)};")
    return shown
