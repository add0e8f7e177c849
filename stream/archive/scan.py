"""Scan: an archive listened to, from what is left to do to the files of results."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from stream.archive.crew import Crew, Done
from stream.archive.inventory import Recording
from stream.archive.journal import Entry, Journal
from stream.archive.listener import Heard, Setup
from stream.archive.result_tables import write_table, writer_for
from stream.archive.workers import processes
from stream.logbook.merging import take_in

ALONE = processes(1)


@dataclass(slots=True)
class Standing:
    """How a scan is getting on.

    Attributes:
        files, files_done: recordings in all, and finished, earlier ones included.
        failed: of those finished, how many could not be read.
        bytes, bytes_done: of the recordings that this scan listens to.
        sound_seconds: that this scan has listened to.
        seconds: since it began.
    """

    files: int
    files_done: int = 0
    failed: int = 0
    bytes: int = 0
    bytes_done: int = 0
    sound_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def speed(self) -> float:
        """Seconds of sound a second."""
        return self.sound_seconds / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """By the bytes that are left; None while nothing is finished."""
        if not self.bytes_done:
            return None
        return self.seconds * (self.bytes - self.bytes_done) / self.bytes_done


@dataclass(slots=True)
class _Sound:
    """Seconds of sound listened to: of finished recordings, and so far of those under way."""

    finished: float = 0.0
    under_way: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.finished + sum(self.under_way.values())


def scan(
    recordings: Sequence[Recording],
    setup: Setup,
    outputs: Sequence[str],
    *,
    history: str | None = None,
    crew: Crew = ALONE,
    progress: Callable[[Standing], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Entry]:
    """Listen to what has not been listened to yet, and write the results of all ``recordings``.

    What is finished stands in a journal beside the first output, so a scan that was stopped or killed goes on where it
    was, and one that is repeated listens to new, changed and failed recordings only.

    Args:
        recordings: all of them, also those of earlier scans.
        setup: how is listened.
        outputs: files for the results, by suffix; written when all is done.
        history: a history file that takes in what is heard.
        crew: who listens.
        progress: told how things stand, some times a second.
        clock: seconds, for what is told.

    Returns:
        What each recording came to, in the order of their names, without the lines.

    Raises:
        UsageError: an output of no known kind, or a journal of other settings.
        OutputError: something cannot be written.
        ModelError: the model cannot be loaded.
    """
    writers = [(path, writer_for(path)) for path in outputs]
    journal_path = journal_beside([*outputs, *([history] if history else [])][0])
    folder = tempfile.mkdtemp(prefix="stream-classify-scan-")
    try:
        with closing(Journal(journal_path, setup)) as journal:
            before = journal.done()
            left = [each for each in recordings if not _is_done(before.get(each.path), each)]
            standing = Standing(
                len(recordings), len(recordings) - len(left), bytes=sum(each.size for each in left)
            )
            _listen(left, setup, crew, folder, journal, history, standing, progress, clock)
            wanted = {each.path for each in recordings}
            for path, writer in writers:
                write_table(path, writer, journal.entries(wanted))
            done = journal.done()
        return [done[each.path] for each in recordings]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def journal_beside(path: str) -> str:
    """Where the journal of a scan lies whose first result is ``path``."""
    return path + ".scan"


def _is_done(entry: Entry | None, recording: Recording) -> bool:
    return entry is not None and entry.recording == recording and not entry.heard.failed


def _listen(
    left: Sequence[Recording],
    setup: Setup,
    crew: Crew,
    folder: str,
    journal: Journal,
    history: str | None,
    standing: Standing,
    progress: Callable[[Standing], None],
    clock: Callable[[], float],
) -> None:
    begin = clock()
    sound = _Sound()
    progress(standing)
    with closing(crew(left, setup, folder)) as messages:
        for message in messages:
            path = message.recording.path
            if isinstance(message, Done):
                _keep(message.recording, message.heard, journal, history)
                sound.under_way.pop(path, None)
                sound.finished += message.heard.seconds
                standing.files_done += 1
                standing.failed += message.heard.failed
                standing.bytes_done += message.recording.size
            else:
                sound.under_way[path] = message.seconds
            standing.sound_seconds, standing.seconds = sound.seconds, clock() - begin
            progress(standing)


def _keep(recording: Recording, heard: Heard, journal: Journal, history: str | None) -> None:
    """First the history, which takes the same run twice as once; then the journal, after which it is not done again."""
    if heard.history and history is not None:
        take_in(history, heard.history)
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(heard.history + suffix):
                os.unlink(heard.history + suffix)
    journal.put(recording, heard)
