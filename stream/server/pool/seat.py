"""Seat: one stream of a pool, whose sound is pushed from any thread."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock

from stream.classifier import StreamClassifier
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, SnapshotInvalid
from stream.messages import Chunk, Result
from stream.snapshot import Snapshot

log = logging.getLogger(__name__)

_Take = Callable[[Snapshot | None], None]


class _Flush:
    """No more sound."""


class _TakeSnapshot:
    def __init__(self, done: _Take) -> None:
        self.done = done


_Wish = Chunk | DetectorSpec | _TakeSnapshot | _Flush


class Seat:
    """One stream of a pool. Made by `Pool.take_seat`.

    Attributes:
        name: of the stream.
        sample_rate: the model's, Hz; sound may come at any rate.
        labels: of the columns of its scores.
    """

    def __init__(
        self,
        classifier: StreamClassifier,
        deliver: Callable[[Result], None],
        ended: Callable[[Exception | None], None],
        call: Callable[[Seat], None],
        remove: Callable[[Seat], None],
    ) -> None:
        self.name = classifier.name
        self.sample_rate = classifier.sample_rate
        self.labels = classifier.labels
        self._classifier = classifier
        self._deliver, self._tell_end = deliver, ended
        self._call, self._remove = call, remove
        self._lock = Lock()
        self._wishes: deque[_Wish] = deque()
        self._called = False
        self._pushed = self._taken = 0
        self._flushed = False
        self._over = False

    def __repr__(self) -> str:
        return f"Seat({self.name!r}, {self.pending} samples waiting)"

    @property
    def detector_spec(self) -> DetectorSpec:
        """The rules in force."""
        return self._classifier.detector_spec

    @property
    def pending(self) -> int:
        """Samples that were pushed and are not yet classified, at the rate they came."""
        return self._pushed - self._taken

    def push(self, chunk: Chunk) -> None:
        """Take sound, at any rate; a start beyond the end of the last chunk is a gap. Never blocks.

        Its samples must not change afterwards. Nothing bounds what waits: look at ``pending``. A stream that has ended
        takes no more, silently, as its end may not yet be known to who pushes.

        Raises:
            ClosedError: after ``flush``.
        """
        self._wish(chunk, len(chunk.samples))

    def change_rules(self, spec: DetectorSpec) -> None:
        """Other rules of the detector, for the sound that is pushed after this.

        Raises:
            SpecError: a rule for a class that there is not.
        """
        spec.check_labels(self.labels)
        self._wish(spec)

    def snapshot(self, done: _Take) -> None:
        """Have ``done`` called with the state behind all that was pushed before.

        With None where the stream ends before, or its state cannot be saved (see `StreamClassifier.snapshot`).
        """
        self._wish(_TakeSnapshot(done))

    def flush(self) -> None:
        """No more sound: events end, the last results are delivered, then ``ended(None)``, and the seat is free."""
        self._wish(_Flush())
        self._flushed = True

    def leave(self) -> None:
        """End at once: nothing more is delivered, except what is being delivered at this moment."""
        self._over = True
        self._remove(self)

    def _wish(self, wish: _Wish, samples: int = 0) -> None:
        if self._flushed:
            raise ClosedError("push after flush: take another seat to start a new stream")
        with self._lock:
            self._wishes.append(wish)
            self._pushed += samples
            if self._called:
                return
            self._called = True
        self._call(self)

    def work(self) -> bool:
        """The pool's thread: do what waits. An error ends this stream, and no other."""
        with self._lock:
            wishes, self._wishes = self._wishes, deque()
            self._called = False
        for wish in wishes:
            if self._over:
                if isinstance(wish, _TakeSnapshot):
                    wish.done(None)
                continue
            try:
                self._grant(wish)
            except Exception as error:  # whatever it is: it is told to who listens, and ends here
                self.end(error)
        return False

    def end(self, error: Exception | None) -> None:
        """The stream is over; its listener is told why."""
        if self._over:
            return
        self._over = True
        self._remove(self)
        try:
            self._tell_end(error)
        except Exception:
            log.exception("stream %r: its end could not be told", self.name)

    def _grant(self, wish: _Wish) -> None:
        if isinstance(wish, Chunk):
            self._say(self._classifier.push(wish))
            self._taken += len(wish.samples)
        elif isinstance(wish, DetectorSpec):
            self._classifier.change_rules(wish)
        elif isinstance(wish, _TakeSnapshot):
            wish.done(self._saved())
        else:
            self._say(self._classifier.flush())
            self.end(None)

    def _say(self, result: Result) -> None:
        said = len(result.scores) or result.events or result.gaps or result.opened or result.rules
        if said and not self._over:
            self._deliver(result)

    def _saved(self) -> Snapshot | None:
        try:
            return self._classifier.snapshot()
        except SnapshotInvalid as error:
            log.debug("stream %r: no snapshot: %s", self.name, error)
            return None
