"""Old names of options: accepted for one release, with a warning that says the new name."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import click

_WARNED = "stream.cli.deprecated"  # key of ctx.meta: names this run has warned about


class RenamedOption(click.Option):
    """An option that also answers to the names it had in the last release.

    Old names are in no help text and no completion. Their first use in a run writes a warning to standard error;
    then the value goes where that of the new name goes.

        @click.option("--peak-threshold", cls=RenamedOption, was="--confirm", multiple=True)

    Args:
        was: the old name, or several, with their dashes.
    """

    def __init__(self, *args: Any, was: str | Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.was = (was,) if isinstance(was, str) else tuple(was)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        new = max(self.opts, key=len)
        for old in self.was:
            table = parser._long_opt if old.startswith("--") else parser._short_opt
            entry = copy((parser._long_opt if new.startswith("--") else parser._short_opt)[new])
            entry.process = _warning(ctx, old, new, entry.process)
            table[old] = entry


def _warning(ctx: click.Context, old: str, new: str, process: Any) -> Any:
    def warn_and_process(value: Any, state: Any) -> None:
        if not ctx.resilient_parsing:
            warn_renamed(ctx, old, new)
        process(value, state)

    return warn_and_process


def warn_renamed(ctx: click.Context, old: str, new: str) -> None:
    """Say once in a run that ``old`` is now ``new``: an option, a setting, a value."""
    warned = ctx.meta.setdefault(_WARNED, set())
    if old not in warned:
        warned.add(old)
        click.echo(
            f"stream-classify: warning: {old} is now called {new}; the next release no longer knows {old}",
            err=True,
        )
