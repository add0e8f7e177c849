"""``stream-classify teach --record``: an example for each press of a key."""

from __future__ import annotations

import sys

import click

from export.teaching.ear import Ear
from export.teaching.examples import Example
from stream.capture.opening import open_source
from stream.cli.quiet import quieten_portaudio
from stream.errors import UsageError

TAKE, BACK, DONE = frozenset(" \r\nt"), frozenset("u\x7f\b"), frozenset("qd")
KEYS = "press the space bar each time it has sounded, u to take the last one back, q when done"
NOTHING = "nothing new stood out of the noise in the last seconds; closer, or louder"


def record_examples(device: str | None, sample_rate: int) -> list[Example]:
    """Listen to a microphone until q is pressed; what was taken by then.

    Args:
        device: by number or name; None = the default one.
        sample_rate: Hz, of the examples.

    Raises:
        UsageError: there is no terminal to press keys on.
        StreamClassifyError: the microphone cannot be listened to.
        KeyboardInterrupt: Ctrl-C; nothing is to be taught.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("--record: its keys need a terminal; run it in one, or give recordings by --clips")
    quieten_portaudio()
    found: list[Example] = []
    with Ear(open_source(device), sample_rate) as ear:
        ear.wait_for_sound()
        click.echo(KEYS, err=True)
        while True:
            try:
                key = click.getchar()
            except EOFError:  # the terminal is gone, or Ctrl-D
                break
            if key in DONE or not key:
                break
            if key in BACK and found:
                found.pop()
                click.echo(_count(found), err=True)
            elif key in TAKE:
                example = ear.take()
                if example is None:
                    click.echo(NOTHING, err=True)
                else:
                    found.append(example)
                    seconds = len(example.samples) / sample_rate
                    click.echo(f"{_count(found)}, this one of {seconds:.2f} s", err=True)
    return found


def _count(found: list[Example]) -> str:
    return f"{len(found)} example{'s' * (len(found) != 1)}"
