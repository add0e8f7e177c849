"""History: an output that keeps what was heard in one SQLite file, see ``stream/logbook``."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from stream.errors import UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.queued import EVERYTHING, Want
from stream.quantities import duration_seconds

if TYPE_CHECKING:
    from stream.messages import Chunk, Event, Result, Status

WAITING_CLIPS = 64  # events whose clip is looked for
# That the end waits for clips: some of what its queue has for closing, which is more where a recording could wait.
LAST_CLIPS_SECONDS, LAST_CLIPS_OF_RECORDING_SECONDS = 0.6, 8.0
LONGEST_SECONDS = 1e10


def keep_seconds(text: Any) -> float:
    """``90d`` as seconds.

    Raises:
        UsageError: no time, or none at all.
    """
    try:
        seconds = duration_seconds(str(text))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < LONGEST_SECONDS:
        raise UsageError(f"--history-keep {text}: want a time such as 12h or 90d")
    return seconds


def _path(text: str) -> str:
    if not text.strip():
        raise UsageError("--history '': is empty, perhaps an unset variable of the shell; give a file")
    return text


class History:
    """Writes events, minutes, gaps, changes of state and marks to a file that several processes may share.

    What a call was told is in the hands of the operating system when it returns: the end of the process, however
    sudden, loses none of it, and a power cut the last minute at most. Of several classifiers it follows the one that
    it hears from first.

    Args:
        context: of the run.
        history: path of the file, made where there is none.
        history_keep: seconds after which rows of this source are removed; None keeps them for ever.

    Raises:
        HistoryInvalid: the file is something else, damaged, or written by a newer version.
        OutputError: it cannot be opened or made.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            name="history",
            help="Keep what is heard in FILE (SQLite): events, minutes, gaps. stream-classify report reads it.",
            metavar="FILE",
            check=_path,
        ),
        Option(
            name="history-keep",
            help="Remove what is older than this from the history. Default: keep all.",
            metavar="90d",
            check=keep_seconds,
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = EVERYTHING
    WRITES_SOUND: ClassVar[bool] = False
    holds_up_recordings = True
    owns_target = True

    def __init__(self, context: OutputContext, history: str, history_keep: float | None = None) -> None:
        from stream.logbook.follower import Follower
        from stream.logbook.promise import promised_rates
        from stream.logbook.writer import HistoryWriter, RunStart

        self._times = context.new_times()
        self._clips = context.clips
        self._patience = LAST_CLIPS_SECONDS if context.source.live else LAST_CLIPS_OF_RECORDING_SECONDS
        run = RunStart(
            started=context.wall(),
            source=context.origin.source,
            live=context.source.live,
            sample_rate=context.sample_rate,
            model=context.origin.model,
            model_sha256=context.origin.model_sha256,
            labels=context.labels,
            rules=context.detector,
            promised=None if context.card is None else promised_rates(context.card, context.detector),
        )
        self._writer = HistoryWriter(history, run, history_keep)
        self._follower = Follower(self._writer, run, self._times.of)
        self._taken: object = None
        self._from: tuple[str, str] | None = None
        self._marks: deque[tuple[float, str]] = deque()
        self._waiting: deque[tuple[Result, Event]] = deque(maxlen=WAITING_CLIPS)
        self._closed = False
        context.marks.watch(self.mark)

    def mark(self, at: float, text: str = "") -> None:
        """Keep a moment, in seconds since 1970, with a few words. Returns at once; from any thread."""
        self._marks.append((at, text))

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""
        if self._is_new(chunk):
            self._follower.chunk(chunk)
        self._write()

    def result(self, result: Result) -> None:
        """See Sink."""
        self._from = self._from or (result.stream, result.model)
        if (result.stream, result.model) != self._from:
            return
        if self._is_new(result):
            self._follower.result(result, self._times.onset)
            self._expect_clips(result)
        self._write()

    def status(self, status: Status) -> None:
        """See Sink."""
        if self._is_new(status):
            self._follower.status(status)
        self._write()

    def close(self) -> None:
        """Write what is not whole yet, and end the run."""
        if self._closed:
            return
        self._closed = True
        self._follower.finish()
        # Those who write clips complete the last ones at the same time.
        end = time.monotonic() + self._patience
        for result, event in self._waiting:
            self._clips.wait(result, event, max(0.0, end - time.monotonic()))
        self._put_clips()
        self._put_marks()
        self._writer.close(self._follower.now)

    def _is_new(self, message: object) -> bool:
        """Whether it is not the one that could not be written, and is tried again."""
        new = message is not self._taken
        self._taken = message
        return new

    def _write(self) -> None:
        self._put_marks()
        if self._waiting:
            self._put_clips()
        self._writer.commit()
        if self._follower.due:
            self._writer.tend(self._follower.now)

    def _put_marks(self) -> None:
        while self._marks:
            self._follower.mark(*self._marks.popleft())

    def _expect_clips(self, result: Result) -> None:
        """A clip is finished seconds after its event."""
        ended = [event for event in result.events if event.offset is not None]
        if ended and self._clips.expected:
            self._waiting.extend((result, event) for event in ended)

    def _put_clips(self) -> None:
        for result, event in list(self._waiting):
            path = self._clips.get(result, event)
            if path is not None:
                self._waiting.remove((result, event))
                self._follower.clip(event, os.path.abspath(path))
