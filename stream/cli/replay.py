"""``stream-classify replay``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.errors import SpecError, UsageError

if TYPE_CHECKING:
    from stream.inference.session import Model
    from stream.replay.event_changes import EventChanges
    from stream.session.recorded import RecordedSession
    from stream.session.segment import Contents, Segment

EPILOG = """\b
Examples:
  stream-classify replay night               the same results again?
  stream-classify replay night --chunk random --from 3600
  stream-classify replay night --model mine.onnx
  stream-classify replay night --jsonl again.jsonl --scores
"""


@click.command(cls=TaskCommand, epilog=EPILOG)
@click.argument("session", type=click.Path())
@click.option(
    "--from",
    "begin",
    metavar="WHEN",
    help="Begin with the last snapshot before this: seconds (83.5), a time (14:03:21) or snapshot N (s3).",
)
@click.option(
    "--chunk",
    metavar="N|random",
    help="Samples to push at a time. Default: the chunks that were recorded.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of random chunks."
)
@click.option(
    "-m",
    "--model",
    metavar="FILE",
    shell_complete=complete_model,
    help="Where the model is now; another model is compared by its events. Default: the recorded one.",
)
@click.option(
    "--jsonl",
    metavar="FILE",
    type=click.Path(),
    help="Write what comes of it now as JSON lines; - is standard output.",
)
@click.option("--scores", is_flag=True, help="JSON lines: also one object for each hop.")
@click.option("--onsets", is_flag=True, help="JSON lines: also one object when an event begins.")
@click.pass_context
def replay(
    ctx: click.Context,
    session: str,
    begin: str | None,
    chunk: str | None,
    seed: int,
    model: str | None,
    jsonl: str | None,
    scores: bool,
    onsets: bool,
) -> None:
    """Hear a recorded SESSION again, and compare every event and every score with those that were recorded.

    They are the same to the byte, whatever the size of the chunks and from whichever snapshot it begins. Exit code 1
    where they are not. With another model, the events that are gone, new or moved are shown.
    """
    from stream.cli.models import load_model
    from stream.replay.comparison import Comparison
    from stream.replay.event_changes import EventCollector
    from stream.replay.finding import recorded_model
    from stream.replay.replaying import Listener, make_classifier
    from stream.replay.replaying import replay as run
    from stream.session.recorded import RecordedSession

    if jsonl is None and (scores or onsets):
        raise UsageError("--scores and --onsets are for JSON lines; add --jsonl FILE")
    sizes = _sizes(chunk, seed)
    recorded = RecordedSession(session)
    first = _first(recorded, begin)
    loaded = load_model(model or str(recorded_model(recorded.description)))
    same = loaded.sha256 == recorded.description.model_sha256
    check_resampling(recorded)
    try:
        classifier = make_classifier(recorded, loaded)
    except SpecError as error:
        raise UsageError(f"--model {model}: does not fit the rules of the session: {error}") from None
    comparison = Comparison(
        recorded.description, classifier.name, loaded.id, chunks_as_recorded=sizes is None
    )
    events = EventCollector()
    listeners: list[Listener] = [comparison if same else events]
    if jsonl is not None:
        listeners.append(_json_lines(recorded, loaded, jsonl, scores=scores, onsets=onsets))
    with _progress(recorded, first) as progress:
        try:
            run(recorded, classifier, first, sizes, listeners=[*listeners, progress])
        finally:
            for listener in listeners:
                listener.close()
    out = sys.stderr if jsonl == "-" else sys.stdout
    if not same:
        for line in change_lines(events.changes(), loaded.card.name):
            click.echo(line, file=out)
        ctx.exit(0)
    for hole in comparison.holes:
        click.echo(f"hole before {hole.second:.2f} s: taken up again with the snapshot there", file=out)
    if comparison.difference:
        click.echo(f"different: {comparison.difference}", file=out)
        for line in machine_lines(recorded):
            click.echo(line, file=out)
        ctx.exit(1)
    click.echo(f"identical: {comparison.events} events, {comparison.rows} rows", file=out)


def check_resampling(session: RecordedSession) -> None:
    """Refuse a session whose sound is resampled in other blocks here, which changes the last bits.

    Raises:
        UsageError: with the variables to set.
    """
    from stream.session.description import BLOCK_VARIABLES, this_machine

    if all(each.beginning.sample_rate == session.description.sample_rate for each in session.segments):
        return
    here, there = this_machine(), session.description.machine
    wrong = [name for name in BLOCK_VARIABLES if here[name] != there.get(name, "")]
    if wrong:
        wanted = " ".join(f"{name}={there.get(name, '')}" for name in wrong)
        raise UsageError(
            f"session {session.folder}: was recorded with {wanted}; run the command with that in front"
        )


def machine_lines(session: RecordedSession) -> Iterator[str]:
    """In what this machine differs from the one that recorded, as far as it is known."""
    from stream.printable import printable
    from stream.session.description import this_machine

    here = this_machine()
    for name, value in session.description.machine.items():
        if here.get(name) != value:
            yield printable(f"{name}: {value} when it was recorded, {here.get(name, 'none')} here")


def change_lines(changes: EventChanges, model: str) -> Iterator[str]:
    """The events that another model changes, and how many it does not."""
    from stream.printable import printable

    moved = [(old, new) for old, new in changes.both if (old.onset, old.offset) != (new.onset, new.offset)]
    rows = [
        (old.onset, f"  gone   {old.onset:9.2f} to {old.offset:9.2f} s  {old.label}, peak {old.peak:.2f}")
        for old in changes.gone
    ]
    rows += [
        (new.onset, f"  new    {new.onset:9.2f} to {new.offset:9.2f} s  {new.label}, peak {new.peak:.2f}")
        for new in changes.new
    ]
    rows += [
        (
            old.onset,
            f"  moved  {old.onset:9.2f} to {old.offset:9.2f} s  {old.label}, now {new.onset:.2f} to {new.offset:.2f} s",
        )
        for old, new in moved
    ]
    yield (
        f"{printable(model)}: {len(changes.both) - len(moved)} events as recorded, {len(moved)} moved, "
        f"{len(changes.gone)} gone, {len(changes.new)} new"
    )
    yield from (printable(text) for _, text in sorted(rows))


def _first(session: RecordedSession, begin: str | None) -> Segment:
    from stream.errors import SessionInvalid
    from stream.replay.finding import moment

    starts = session.starts()
    if not starts:
        raise SessionInvalid(f"session {session.folder}: has no beginning and no snapshot left")
    if begin is None:
        return starts[0]
    if begin[:1] == "s" and begin[1:].isdecimal():
        found = [segment for segment in starts if segment.number == int(begin[1:])]
        if not found:
            numbers = ", ".join(f"s{segment.number}" for segment in starts[:8]) + (
                " …" if len(starts) > 8 else ""
            )
            raise UsageError(f"--from {begin}: no such snapshot; there are {numbers}")
        return found[0]
    when = moment(session, begin)
    if isinstance(when, int):
        raise UsageError(f"--from {begin}: want seconds, a time or a snapshot such as s3")
    last = session.segments[-1]
    if when > last.second and when > (end := _end(last)):
        raise UsageError(f"--from {begin}: session {session.folder} ends at {end:.2f} s")
    return session.start_before(when)


def _end(segment: Segment) -> float:
    """Where a segment ends, in seconds of the stream."""
    chunks = [chunk for _, chunk in segment.chunks(segment.contents()) if chunk is not None]
    return (chunks[-1].end + chunks[-1].missing) / chunks[-1].sample_rate if chunks else segment.second


def _sizes(chunk: str | None, seed: int) -> Any:
    from stream.replay import chunking

    if chunk is None:
        return None
    if chunk == "random":
        return chunking.random(seed)
    if not (chunk.isascii() and chunk.isdecimal()) or len(chunk) > 8 or int(chunk) < 1:
        raise UsageError(f"--chunk {chunk!r}: want a number of samples from 1 on, or random")
    return chunking.fixed(int(chunk))


def _json_lines(session: RecordedSession, model: Model, path: str, *, scores: bool, onsets: bool) -> Any:
    from stream.assembly import same_file
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.records import Origin
    from stream.outputs.session_times import SessionTimes

    if Path(path).resolve().is_relative_to(session.folder.resolve()):
        raise UsageError(f"--jsonl {path}: is in the session itself; name another file")
    if same_file(path, model.path):
        raise UsageError(f"--jsonl {path}: is the file of the model; name another file")
    description, times = session.description, SessionTimes()
    names = (description.settings.stream, model.id)

    class Lines(JsonLines):
        def segment(self, segment: Segment, contents: Contents, fresh: bool) -> None:
            if fresh:
                times.resume(segment.beginning, *names)
            times.begin(segment.beginning)

    origin = Origin(description.source, model.card.name, model.sha256)
    return Lines(path, origin, live=description.live, onsets=onsets, scores=scores, waits=True, times=times)


class _Told:
    """A listener that tells how far a replay has come."""

    def __init__(self, session: RecordedSession, first: Segment, tell: Callable[[float], None]) -> None:
        self._count = max(1, session.segments[-1].number - first.number + 1)
        self._first, self._tell = first.number, tell

    def segment(self, segment: Segment, contents: Contents, fresh: bool) -> None:
        self._tell((segment.number - self._first) / self._count)

    def chunk(self, chunk: Any) -> None: ...

    def result(self, result: Any) -> None: ...

    def status(self, status: Any) -> None: ...

    def close(self) -> None: ...


@contextmanager
def _progress(session: RecordedSession, first: Segment) -> Iterator[_Told]:
    """A bar on a terminal, on stderr; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield _Told(session, first, lambda share: None)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=1.0)
        yield _Told(session, first, lambda share: progress.update(task, completed=share))
