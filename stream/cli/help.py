"""Help grouped by task: every option stands in the section it was declared in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
# What click adds for a range, as in "[default: 1; x>=1]": an error says it to those who leave the range.
_RANGE = re.compile(r"(; |\s*\[)(?:[\d.]+<=?)?x(?:[<>]=?[\d.]+)?\]$")
_SECTIONS = "__sections__"  # attribute of a callback: name of a parameter -> title of its section


def section(title: str, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Declare options that stand together under ``title`` in the help of a `TaskCommand` or `TaskGroup`.

        @click.command(cls=TaskCommand)
        @section("Sound in", click.option("--input"), click.option("--device"))
        @section("Model", click.option("--model"))
        def listen(input, device, model): ...

    Options that are in no section come last, under "Other".
    """

    def declare(function: F) -> F:
        sections: dict[str | None, str] = function.__dict__.setdefault(_SECTIONS, {})
        declared: list[click.Parameter] = function.__dict__.setdefault("__click_params__", [])
        before = len(declared)
        for option in reversed(options):
            function = option(function)
        sections.update({parameter.name: title for parameter in declared[before:]})
        return function

    return declare


class TaskCommand(click.Command):
    """A command whose help lists options by `section`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = getattr(self.callback, _SECTIONS, {})
        other = "Other" if sections else "Options"
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                names, text = record
                text = _RANGE.sub(lambda found: "]" if found[1] == "; " else "", text)
                rows.setdefault(sections.get(parameter.name, other), []).append((names, text))
        if other in rows:
            rows[other] = rows.pop(other)  # last
        for title, records in rows.items():
            with formatter.section(title):
                formatter.write_dl(records)


class TaskGroup(TaskCommand, click.Group):
    """A group with the help of a `TaskCommand`, its commands before the options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        TaskCommand.format_options(self, ctx, formatter)
