"""``stream-classify review``: a person says which of the kept clips are right."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from stream.cli.help import TaskCommand
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.review.session import Session


@click.command(
    cls=TaskCommand,
    epilog="""\b
Examples:
  stream-classify --clips clips                    first keep sounds
  stream-classify review clips
  stream-classify review --history heard.sqlite
  stream-classify train clips                      learn from what was said
  stream-classify teach --not clips -o mine.onnx   leave out what was wrong
""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path())
@click.option("--history", metavar="FILE", type=click.Path(), help="The clips that this history names.")
@click.option("--again", is_flag=True, help="Also those that were judged before.")
@click.option("--silent", is_flag=True, help="Only show the clips, do not play them.")
def review(folder: str | None, history: str | None, again: bool, silent: bool) -> None:
    """Walk through the clips that --clips kept in DIR, and say which are right.

    Each clip is drawn, and played where there is a loudspeaker. y: right, n: wrong (none of the classes), l: it is
    another class, s: skip, u: undo, q: quit. What is said is kept at once in DIR/review.csv, which train, teach and
    calibrate read; the next review goes on where this one ended.
    """
    if (folder is None) == (history is None):
        raise UsageError("review: give the folder of the clips, or --history FILE")
    from stream.review.session import Session
    from stream.review.waiting import clips_of_folder, clips_of_history

    clips = clips_of_history(history) if history is not None else clips_of_folder(str(folder))
    session = Session(clips, again=again)
    if not session.clips:
        click.echo(f"all {session.done_before} clips are judged; --again shows them once more")
        return
    _sit_down(session, plays=not silent)
    for line in closing_lines(session):
        click.echo(line)


def _sit_down(session: Session, *, plays: bool) -> None:
    """Let a person judge.

    Raises:
        UsageError: there is no terminal to do so.
    """
    import sys

    from stream.cli.quiet import quieten_portaudio
    from stream.cli.screen import terminal_can_draw
    from stream.dashboard.terminal import HAS_KEYS

    if not (HAS_KEYS and terminal_can_draw() and sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError("review: needs a terminal to show clips and to take keys; run it in one")
    from rich.console import Console

    from stream.review.desk import Desk

    if plays:
        quieten_portaudio()
    Desk(session, Console(), plays=plays).run()


def closing_lines(session: Session) -> list[str]:
    """What was said, what is left, and what to do with it."""
    said = session.said
    counts = (
        ", ".join(f"{said[each]} {each}" for each in ("right", "wrong", "other") if said[each]) or "nothing"
    )
    left = len(session.clips) - session.place
    lines = [f"judged: {counts}" + (f"; {left} clip{'s' * (left != 1)} left" if left else "")]
    for folder in session.folders:
        if sum(said.values()):
            name = shlex.quote(str(folder))
            lines.append(f"to learn from it: stream-classify train {name}, or teach --not {name}")
    return lines
