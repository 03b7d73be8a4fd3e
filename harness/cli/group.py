"""Commands and options that are not there: said in one line, with the nearest that is."""

import re
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from typer.core import TyperGroup

from harness.errors import UsageError
from harness.hints import nearest


class Commands(TyperGroup):
    """A group of commands that looks for names itself: click says little, by version."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # click's types are not public
        """Raises UsageError for an option in front of the command that the group does not have."""
        in_front = takewhile(lambda word: word.startswith("-"), args)
        _check_options(f"in front of a command of `{_path(ctx)}`", in_front, self.get_params(ctx))
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Raises UsageError where there is no such command, or it has no such option."""
        name, *words = args
        command = self.get_command(ctx, name)
        if command is None:
            hint = nearest(name, self.list_commands(ctx))
            raise UsageError(f"no command `{_path(ctx)} {name}`; {hint}")
        if not isinstance(command, Commands):
            _check_options(f"of `{_path(ctx)} {name}`", words, command.get_params(ctx))
        return super().resolve_command(ctx, args)


def _path(ctx: Any) -> str:
    """`harness`, `harness tables`, however it was started."""
    above = ctx.parent
    return "harness" if above is None else f"{_path(above)} {ctx.info_name}"


def _check_options(where: str, words: Iterable[str], parameters: Iterable[Any]) -> None:
    """Raises UsageError for a word that looks like an option and is none of these parameters."""
    known = {
        name: each for each in parameters if each.param_type_name == "option" for name in each.opts
    }
    values = 0  # of the last option, that are still to come
    for word in words:
        if values:
            values -= 1
            continue
        if word == "--":
            return
        if re.match("--?[A-Za-z]", word):
            name, joined, _ = word.partition("=")
            if name not in known:
                raise UsageError(f"no option {name!r} {where}; {nearest(name, known)}")
            values = 0 if joined or known[name].is_flag else known[name].nargs
