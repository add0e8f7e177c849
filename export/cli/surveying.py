"""A data set listened to and shown, for the commands data and train."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from export.data.recording import Dataset
from export.data.splits import SplitConfig

if TYPE_CHECKING:
    from export.data.survey import Survey

WIDTH = 80


def surveyed(
    found: Dataset, plan: SplitConfig, *, everything: bool = False, sample_rate: int, quiet: bool
) -> Survey:
    """The survey, with a bar on a terminal while recordings are read."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from export.data.survey import survey

    console = Console(stderr=True)
    columns = (TextColumn("reading recordings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        return survey(
            found,
            plan,
            everything=everything,
            sample_rate=sample_rate,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def show_survey(seen: Survey, *, err: bool = False) -> None:
    """Table and warnings, on standard output or, with ``err``, on standard error."""
    from rich.console import Console

    Console(width=WIDTH, highlight=False, stderr=err).print(seen.table())
    for i, each in enumerate(seen.warnings):
        if i == 0:
            click.echo(err=err)
        first, *others = textwrap.wrap(
            f"warning: {each}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        click.echo(click.style("warning:", fg="yellow") + first.removeprefix("warning:"), err=err)
        for line in others:
            click.echo(line, err=err)
