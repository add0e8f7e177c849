"""``stream-classify report``."""

from __future__ import annotations

import sys
import time

import click

from stream.cli.help import TaskCommand, section
from stream.errors import OutputError, UsageError

EXAMPLES = """\b
Examples:
  stream-classify report --history heard.sqlite
  stream-classify report --history heard.sqlite --last 7d --html week.html
  stream-classify report --history heard.sqlite --day yesterday --csv day.csv
"""


@click.command(cls=TaskCommand, epilog=EXAMPLES)
@section(
    "What to report",
    click.option(
        "--history",
        required=True,
        metavar="FILE",
        type=click.Path(),
        help="What listening with --history wrote; it may be written to meanwhile.",
    ),
    click.option(
        "--day", metavar="DATE", help="A date such as 2026-11-26, today or yesterday.  [default: today]"
    ),
    click.option("--last", metavar="DAYS", help="So many days up to today: 7d."),
    click.option("--source", metavar="NAME", help="Only what this source heard. Default: all together."),
)
@section(
    "Where to",
    click.option(
        "--html",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Also write a page with pictures: one file that needs no network and no script.",
    ),
    click.option(
        "--csv",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Also write all events; - is standard output.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead of the tables."),
)
def report(
    history: str,
    day: str | None,
    last: str | None,
    source: str | None,
    html: str | None,
    csv: str | None,
    as_json: bool,
) -> None:
    """Print what was heard in a day, or in some days: classes, a timeline, hours, false alarms promised and observed.

    Days are those of the local time zone (the variable TZ chooses another).
    """
    from stream.logbook.reader import HistoryReader
    from stream.report.days import chosen_days
    from stream.report.false_alarms import false_alarms
    from stream.report.figures import read_figures
    from stream.report.verdicts import read_verdicts

    if csv == "-" and as_json:
        raise UsageError("--csv - and --json: both go to standard output; give a file to --csv")
    now = time.time()
    days = chosen_days(day, last, now)
    with HistoryReader(history, now) as opened:
        figures = read_figures(opened, days, source, now)
    verdicts = read_verdicts(figures.events)
    alarms = false_alarms(figures, verdicts)
    if html is not None:
        from stream.report.page import page

        _write("--html", html, page(figures, alarms, verdicts), begins=b"<!doctype html>")
    if csv is not None:
        from stream.report.event_list import COLUMNS, event_csv

        text = event_csv(figures, verdicts)
        if csv == "-":
            click.echo(text, nl=False)
            return
        _write("--csv", csv, text, begins=",".join(COLUMNS[:3]).encode())
    if as_json:
        import msgspec

        from stream.printable import printable_json
        from stream.report.as_data import as_data

        data = msgspec.json.format(msgspec.json.encode(as_data(figures, alarms, verdicts)), indent=2)
        click.echo(printable_json(data).decode())
        return
    from rich.console import Console

    from stream.report.day_text import DayText

    console = Console(file=sys.stdout)
    with console.capture() as drawn:  # rich stops with an error where the reader of a pipe has left
        DayText(console).show(figures, alarms)
    encoding = console.encoding
    click.echo(drawn.get().encode(encoding, "replace").decode(encoding), nl=False, color=True)


def _write(option: str, path: str, text: str, begins: bytes) -> None:
    """Write a file whole or not at all; one that is there must be of the same kind."""
    from stream.atomic import write_bytes

    try:
        with open(path, "rb") as there:
            beginning = there.read(len(begins))
    except (OSError, ValueError):  # not there yet, or writing will say what is wrong
        beginning = b""
    if beginning and beginning.lower() != begins:
        raise OutputError(f"{option} {path}: holds something else, which would be lost; give another file")
    write_bytes(path, text.encode("utf-8", "replace"))
