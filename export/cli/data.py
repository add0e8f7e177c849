"""``stream-classify data``: what a data set holds and what is wrong with it, before anything is trained."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from export.lazy import require
from stream.cli.help import TaskCommand, section
from stream.errors import UsageError

if TYPE_CHECKING:
    from export.data.recording import Dataset
    from export.data.splits import SplitConfig
    from export.data.survey import Survey

WIDTH = 80
PICTURES = (".png",)


@click.command(
    cls=TaskCommand,
    epilog="""\b
Examples:
  stream-classify data recordings/
  stream-classify data recordings/ --picture recordings.png
  stream-classify data ESC-50/ --test-fold 5
  stream-classify data recordings/ --json > recordings.json
""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("data", type=click.Path())
@section(
    "Data and labels",
    click.option("--labels", metavar="A:B:C", help="Classes; others are refused.  [default: all]"),
    click.option("--unknown", metavar="NAME", help="With --labels: the class that all others become."),
    click.option("--validation-fold", metavar="A:B", help="Folds of the manifest for validation."),
    click.option("--test-fold", metavar="A:B", help="Folds for the test."),
    click.option("--validation-group", metavar="A:B", help="Speakers or sources for validation."),
    click.option("--test-group", metavar="A:B", help="Speakers or sources for the test."),
    click.option(
        "-r",
        "--sample-rate",
        type=click.IntRange(1000, 768_000),
        metavar="HZ",
        default=16_000,
        show_default=True,
        help="To which training will resample.",
    ),
    click.option("--all", "everything", is_flag=True, help="Read every recording, also of very large data."),
)
@section(
    "Output",
    click.option(
        "--picture",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE.png",
        help="Draw sound, levels and lengths by class.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON."),
    click.option("-q", "--no-progress", is_flag=True, help="No progress, only the result."),
)
def data(
    data: str,
    labels: str | None,
    unknown: str | None,
    validation_fold: str | None,
    test_fold: str | None,
    validation_group: str | None,
    test_group: str | None,
    sample_rate: int,
    everything: bool,
    picture: Path | None,
    as_json: bool,
    no_progress: bool,
) -> None:
    """Look at labelled recordings before training on them.

    DATA is read as stream-classify train reads it. The table has a row for each class; below it stand what is held
    out and why, and what is likely to spoil training. Of data sets with more than 10000 recordings, 500 of each class
    are read.
    """
    if picture is not None:
        _check_picture(picture)
    from export.data.dataset import read_dataset
    from export.data.splits import SplitConfig

    if unknown is not None and labels is None:
        raise UsageError(f"--unknown {unknown}: is the class of all others: name the classes with --labels")
    found = read_dataset(data, None if labels is None else _listed(labels), unknown=unknown)
    plan = SplitConfig(
        validation_folds=_listed(validation_fold), test_folds=_listed(test_fold),
        validation_groups=_listed(validation_group), test_groups=_listed(test_group),
    )  # fmt: skip
    seen = _surveyed(found, plan, everything, sample_rate, no_progress)
    if picture is not None:
        seen.draw(picture)
    if as_json:
        click.echo(json.dumps(seen.to_json(), indent=2))
    else:
        _show(seen)
    if picture is not None:
        from stream.printable import printable

        click.echo(printable(f"wrote {picture}"), err=True)


def _listed(text: str | None) -> tuple[str, ...]:
    """Names joined by colons."""
    return () if text is None else tuple(text.split(":"))


def _check_picture(path: Path) -> None:
    """Before a large data set is read for nothing."""
    require("matplotlib")
    if path.suffix.lower() not in PICTURES:
        raise UsageError(f"--picture {path}: is written as PNG; give a name that ends in .png")
    if not path.parent.is_dir():
        raise UsageError(f"--picture {path}: there is no folder {path.parent}; make it first")


def _surveyed(found: Dataset, plan: SplitConfig, everything: bool, sample_rate: int, quiet: bool) -> Survey:
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


def _show(seen: Survey) -> None:
    """Table and warnings, on standard output: both are what was asked for."""
    from rich.console import Console

    Console(width=WIDTH, highlight=False).print(seen.table())
    for i, each in enumerate(seen.warnings):
        if i == 0:
            click.echo()
        first, *others = textwrap.wrap(
            f"warning: {each}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        click.echo(click.style("warning:", fg="yellow") + first.removeprefix("warning:"))
        for line in others:
            click.echo(line)
