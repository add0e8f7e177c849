"""``stream-classify data``: what a data set holds and what is wrong with it, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import click

from export.cli.surveying import show_survey, surveyed
from export.lazy import require
from stream.cli.help import TaskCommand, section
from stream.errors import UsageError

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
    seen = surveyed(found, plan, everything=everything, sample_rate=sample_rate, quiet=no_progress)
    if picture is not None:
        seen.draw(picture)
    if as_json:
        click.echo(json.dumps(seen.to_json(), indent=2))
    else:
        show_survey(seen)
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
