"""Seat: one stream of a pool, whose sound is pushed from any thread."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stream.classifier import StreamClassifier
from stream.classifier.stages import Steps
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, SnapshotInvalid
from stream.messages import Chunk, Result
from stream.server.pool.asked import Asked
from stream.server.pool.company import Company
from stream.server.pool.inbox import Call, Inbox
from stream.server.pool.member import Frames, Probs
from stream.server.pool.scratch import Scratch
from stream.snapshot import Snapshot

log = logging.getLogger(__name__)


class Seat:
    """One stream of a pool. Made by `Pool.take_seat`.

    Attributes:
        name: of the stream.
        sample_rate: the model's, Hz; sound may come at any rate.
        labels: of the columns of its scores.
    """

    def __init__(
        self,
        row: int,
        classifier: StreamClassifier,
        scratch: Scratch,
        company: Company,
        deliver: Callable[[Result], None],
        ended: Callable[[Exception | None], None],
        call: Callable[[Seat], None],
        remove: Callable[[Seat], None],
    ) -> None:
        self.row = row
        self.name = classifier.name
        self.sample_rate = classifier.sample_rate
        self.labels = classifier.labels
        self._classifier = classifier
        self._scratch, self._company = scratch, company
        self._deliver, self._tell_end = deliver, ended
        self._call, self._remove = call, remove
        self._inbox = Inbox()
        self._asked = Asked(self.name)
        self._flushed = False
        self._over = False
        self._heard = False  # a chunk was classified in this batch
        self._steps: Steps | None = None  # of the chunk that is being classified
        self._samples = 0  # that were taken up in this batch

    def __repr__(self) -> str:
        return f"Seat({self.name!r}, {self.pending} samples waiting)"

    @property
    def detector_spec(self) -> DetectorSpec:
        """The rules in force."""
        return self._classifier.detector_spec

    @property
    def pending(self) -> int:
        """Samples that were pushed and are not yet classified, at the rate they came."""
        return self._inbox.samples

    def push(self, chunk: Chunk) -> None:
        """Take sound, at any rate; a start beyond the end of the last chunk is a gap. Never blocks.

        Its samples may also be int16, which costs less here than float32. They must not change afterwards. Nothing
        bounds what waits: look at ``pending``. A stream that has ended takes no more, silently, as its end may not yet
        be known to who pushes.

        Raises:
            ClosedError: after ``flush``.
        """
        self._put(chunk)

    def change_rules(self, spec: DetectorSpec) -> None:
        """Other rules of the detector, for the sound that is pushed after this.

        Raises:
            SpecError: a rule for a class that there is not.
            ClosedError: after ``flush``.
        """
        rules = self._classifier.rules_of(spec)
        self._put(lambda: self._own_classifier().change_rules(rules))

    def snapshot(self, done: Callable[[Snapshot | None], None]) -> None:
        """Have ``done`` called with the state behind all that was pushed before.

        With None where the stream has ended, ends before, or is left, in whichever thread that happens; and where its
        state cannot be saved (see `StreamClassifier.snapshot`).

        Raises:
            ClosedError: after ``flush``.
        """
        self._refuse_if_flushed()
        self._asked.add(done)
        self._put(self._save)

    def flush(self) -> None:
        """No more sound: events end, the last results are delivered, then ``ended(None)``, and the seat is free."""
        self._put(self._finish)
        self._flushed = True

    def leave(self) -> None:
        """End at once: nothing more is delivered, except what is being delivered at this moment."""
        self._over = True
        self._inbox.clear()
        self._company.forget(self.row)
        self._remove(self)
        self._asked.end()

    def begin(self) -> Frames | None:
        """See Member. One chunk at most is taken up, so that no stream keeps the others waiting."""
        self._heard = False
        try:
            return self._work()
        except Exception as error:  # whatever it is: it is told to who listens, and ends this stream alone
            self.end(error)
        return None

    def go_on(self, probs: Probs | Exception) -> Frames | None:
        """See Member."""
        try:
            if isinstance(probs, Exception):
                raise probs
            return self._advance(probs) if not self._over else None
        except Exception as error:  # as in begin
            self.end(error)
        return None

    def alone(self, chunk: Chunk) -> Frames | None:
        """The chunk that was to be classified in company: as ``begin``, without it."""
        try:
            return self._classify(chunk) if not self._over else None
        except Exception as error:  # as in begin
            self.end(error)
        return None

    def take(self, result: Result) -> None:
        """What the chunk brought that was classified in company."""
        try:
            self._say(result)
            if not self._inbox.empty:
                self._work()  # calls that wait; sound is for the next batch
        except Exception as error:  # as in begin
            self.end(error)

    def waits(self) -> bool:
        """See Member."""
        if self._over:
            return False
        samples, self._samples = self._samples, 0
        return self._inbox.done(samples)

    def end(self, error: Exception | None) -> None:
        """See Member."""
        if self._over:
            return
        self.leave()
        try:
            self._tell_end(error)
        except Exception:
            log.exception("stream %r: its end could not be told", self.name)

    def _own_classifier(self) -> StreamClassifier:
        """With the state of the stream, wherever that is."""
        self._company.leave(self.row)
        return self._classifier

    def _refuse_if_flushed(self) -> None:
        if self._flushed:
            raise ClosedError("push after flush: take another seat to start a new stream")

    def _put(self, thing: Chunk | Call) -> None:
        self._refuse_if_flushed()
        if not self._over and self._inbox.put(thing):
            self._call(self)

    def _work(self) -> Frames | None:
        """Do what waits, until frames are to be run or more sound is left for the next batch."""
        while not self._over and (thing := self._inbox.take(sound=not self._heard)) is not None:
            if not isinstance(thing, Chunk):
                thing()
                continue
            self._heard = True
            self._samples = len(thing.samples)
            if self._company.joins(self, self._classifier, thing):
                return None
            frames = self._classify(thing)
            if frames is not None:
                return frames
        return None

    def _classify(self, chunk: Chunk) -> Frames | None:
        if chunk.samples.dtype.kind == "i":
            chunk = self._scratch.converted(chunk)
        self._steps = self._classifier.steps(chunk, by_hop=False)
        return self._advance(None)

    def _advance(self, probs: Probs | None) -> Frames | None:
        """Go on with the chunk that is being classified, and then with what waits."""
        assert self._steps is not None
        try:
            return next(self._steps) if probs is None else self._steps.send(probs)
        except StopIteration as end:
            self._steps = None
            self._say(end.value)
        return None if probs is None else self._work()

    def _say(self, result: Result) -> None:
        said = len(result.scores) or result.events or result.gaps or result.opened
        if (said or result.repaired or result.rules is not None) and not self._over:
            self._deliver(result)

    def _save(self) -> None:
        snapshot: Snapshot | None = None
        try:
            snapshot = self._own_classifier().snapshot()
        except SnapshotInvalid as error:  # at some rates the resampler cannot be saved
            log.debug("stream %r: no snapshot: %s", self.name, error)
        self._asked.answer(snapshot)

    def _finish(self) -> None:
        self._say(self._own_classifier().flush())
        self.end(None)
