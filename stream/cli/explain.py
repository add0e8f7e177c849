"""``stream-classify explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.cli.values import Number
from stream.errors import ModelError, OutputError, UsageError

if TYPE_CHECKING:
    from stream.session.recorded import RecordedSession

LONGEST_SECONDS = 600.0
WIDEST = 160
EPILOG = """\b
Examples:
  stream-classify explain night e12      event 12, as in the JSON lines
  stream-classify explain night 83.5     why was there no event at 83.5 s?
  stream-classify explain night 14:03:21 --seconds 30 -o why.svg
"""


@click.command(cls=TaskCommand, epilog=EPILOG)
@click.argument("session", type=click.Path())
@click.argument("when", metavar="EVENT|TIME")
@click.option(
    "--seconds",
    type=Number(0.1, LONGEST_SECONDS),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How much to show, around it.",
)
@click.option(
    "-o", "--output", metavar="FILE.svg", type=click.Path(dir_okay=False), help="Also save a picture."
)
@click.option(
    "-m",
    "--model",
    metavar="FILE",
    shell_complete=complete_model,
    help="Where the model is now. Default: where it was.",
)
def explain(session: str, when: str, seconds: float, output: str | None, model: str | None) -> None:
    """Show what was heard around an event or a moment of a recorded SESSION, and what was missing for an event.

    EVENT is e12, with the id of the JSON lines. TIME is in seconds of the stream (83.5) or of the day (14:03:21,
    2026-11-26T14:03:21). Shown are the sound, its spectrum, the averages that are compared with the thresholds, events,
    gaps, and near misses with the reasons that the detector had.
    """
    from rich.console import Console

    from stream.cli.models import load_model
    from stream.cli.replay import check_resampling
    from stream.dashboard.svg import check_svg_path
    from stream.dashboard.theme import Theme
    from stream.replay.explained_svg import to_picture
    from stream.replay.explanation import explain as look
    from stream.replay.finding import recorded_model
    from stream.replay.terminal_view import view
    from stream.session.recorded import RecordedSession

    if output is not None:
        if Path(output).suffix.lower() != ".svg":
            raise UsageError(
                f"--output {output}: pictures are SVG; name it {Path(output).with_suffix('.svg')}"
            )
        check_svg_path(output)
    recorded = RecordedSession(session)
    middle, title = _middle(recorded, when, seconds)
    loaded = load_model(model or str(recorded_model(recorded.description)))
    if loaded.sha256 != recorded.description.model_sha256:
        raise ModelError(
            f"--model {model}: is another model than that of the session; its reasons would not be those of then "
            "(stream-classify replay --model compares two models)"
        )
    check_resampling(recorded)
    begin = max(0.0, middle - seconds / 2)
    found = look(recorded, loaded, begin, begin + seconds)
    title += f": {found.begin:.2f} to {found.end:.2f} s"
    console = Console(highlight=False)
    console.print(view(found, min(console.width, WIDEST), Theme.of(console), title))
    console.print()
    if output is not None:
        try:
            Path(output).write_text(to_picture(found, title), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"--output {output}: {error.strerror}; name another file") from None


def _middle(session: RecordedSession, when: str, seconds: float) -> tuple[float, str]:
    """The middle of what is to be shown, and what that is."""
    from stream.outputs.schema import EventRecord
    from stream.printable import printable
    from stream.replay.finding import find_event, moment

    found = moment(session, when)
    name = printable(session.folder.name or str(session.folder))
    if not isinstance(found, int):
        return found, name
    event = find_event(session, found)
    end = event.offset if isinstance(event, EventRecord) else event.onset
    title = f"{name}, event e{found}, {printable(event.label)}"
    if end - event.onset < 0.8 * seconds:
        return (event.onset + end) / 2, title
    return event.onset + 0.3 * seconds, title  # its beginning is what there is to explain
