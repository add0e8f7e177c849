"""LiveStream: one stream of a client, for as long as it lasts, over one connection or several in turn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.messages import Chunk, Result, Scores
from stream.outputs.records import Origin, event_record, gap_record
from stream.outputs.wall_time import CaptureTimes
from stream.printable import printable
from stream.server.socket.checksum import RowsChecksum
from stream.server.socket.client_messages import FURTHEST_SAMPLE, Hello
from stream.server.socket.codes import StreamEnds
from stream.server.socket.outbox import Outbox, Rounded, encoded
from stream.server.socket.overrides import changed_rules
from stream.server.socket.resume_tokens import ResumeTokens
from stream.server.socket.server_messages import End, EventTold, GapTold, Lag, RulesInForce
from stream.server.socket.sound_formats import make_decoder

if TYPE_CHECKING:
    from stream.decisions.spec import DetectorSpec
    from stream.inference.session import Model
    from stream.server.limits import Limits
    from stream.server.pool import AnySeat
    from stream.server.socket.client_messages import Rules
    from stream.server.socket.connection import Connection
    from stream.server.socket.resume_store import SavedStream

_NOTHING: NDArray[np.float32] = np.empty(0, np.float32)
PIECE_SECONDS = (
    1.0  # of sound that goes to the pool at a time, so that a long message cannot hold up other streams
)
MOST_BYTES_AT_ONCE = 16 << 10  # of replies
MOST_ROWS_SECONDS = 10.0  # of scores that wait for a slow reader


class LiveStream:
    """What is known of a stream. Used on the event loop alone.

    Args:
        name: in its records.
        identity: name of who it belongs to.
        hello: as the client said it.
        model: which listens.
        rules: of the detector.
        limits: the station's.

    Attributes:
        seat: in the pool; set by who took it.
        position: of the next sample that is wanted, at the client's rate.
        heard_until: one past the last sample that came; None before the first.
        saved: position of the last state that a store has; None where the state stays in this process.
        outbox: its replies.
        tokens: to resume it with.
        connection: over which it goes on; None while it is broken.
        resumed: it goes on over another connection than the first.
        flushed: no more sound comes.
        over: it has ended by itself: its last reply waits or was sent.
        failure: what ended it against its will.
        counts: rows, events, lost and repaired samples so far.
    """

    seat: AnySeat

    def __init__(
        self, name: str, identity: str, hello: Hello, model: Model, rules: DetectorSpec, limits: Limits
    ) -> None:
        self.name, self.identity, self.model, self.rules = name, identity, model, rules
        self.hello = msgspec.structs.replace(hello, token=None, resume=None, received=None)
        self.rate = hello.rate
        card = model.card
        self.sample_rate = card.features.sample_rate
        self.hop = card.features.hop_length * card.stride
        self.labels, columns = _wanted(hello, card.labels)
        self._wanted = None if columns is None else frozenset(self.labels)
        self._every = _rows_apart(hello.scores, self.sample_rate, self.hop)
        self._slot = -1
        most_rows = max(1, round(MOST_ROWS_SECONDS * self.sample_rate / self.hop))
        self.outbox = Outbox(columns, hello.exact, most_rows, limits.replies, limits.reply_bytes)
        self._decoder = make_decoder(hello)
        self._origin = Origin(printable(hello.name), card.name, model.sha256)
        self._times = CaptureTimes()
        self._next_in = self.position = hello.start or 0
        self.heard_until: int | None = None
        self._lag_due = self.position + self.rate
        self._left_out_told = 0
        self.saved: int | None = None
        self.checksum = RowsChecksum()
        self.rows = self.events = self.lost = self.repaired = 0
        self.over = False
        self.flushed = self.resumed = False
        self.failure: StreamEnds | None = None
        self.tokens = ResumeTokens(name)
        self.connection: Connection | None = None

    def restore(self, saved: SavedStream, tokens: ResumeTokens) -> None:
        """Go on from what was saved; the seat goes on from its own snapshot."""
        self.tokens = tokens
        self.position = self._next_in = saved.position
        self.heard_until = saved.heard_until
        self._lag_due = self.position + self.rate
        self.saved = saved.position
        self.flushed = self.over = not saved.snapshot
        self.rows, self.outbox.left_out, self.events, self.lost, self.repaired = saved.counts
        self.checksum = RowsChecksum(saved.checksum)
        self.outbox.restore(saved.sequence, saved.acknowledged, list(saved.kept))

    @property
    def behind(self) -> float:
        """Seconds of sound that came and are not yet classified."""
        return 0.0 if self.over else self.seat.pending / self.rate

    def go_on_from(self, start: int | None) -> None:
        """Another connection sends from ``start`` on; None = from where the stream is.

        What the stream has already is passed over; what is missing is a gap.
        """
        self._next_in = self.position if start is None else start
        self._decoder = make_decoder(self.hello)
        if self._next_in > self.position:
            self._jump()

    def hear(self, data: bytes) -> float:
        """Sound came.

        Returns:
            Its length, seconds.

        Raises:
            StreamEnds: it is none, or comes after the flush.
        """
        if self.flushed:
            raise StreamEnds("bad_message", "sound after flush: begin another stream")
        samples = self._decoder.decode(data, self._next_in)
        count = len(samples)
        known = min(count, self.position - self._next_in)
        self._advance(count)
        if known < count:
            self._push(samples[known:])
        return count / self.rate

    def lose(self, samples: int) -> None:
        """The client lost as many before it could send them."""
        if self.flushed:
            raise StreamEnds("bad_message", "gap after flush: begin another stream")
        self._advance(samples)
        if self._next_in > self.position:
            self._jump()

    def change_rules(self, rules: Rules) -> None:
        """Other rules from here on.

        Raises:
            StreamEnds: ``bad_rules``, or it comes after the flush.
        """
        if self.flushed:
            raise StreamEnds("bad_message", "rules after flush: begin another stream")
        self.rules = changed_rules(self.rules, self.model.card.labels, rules)
        self.seat.change_rules(self.rules)
        self.outbox.tell(RulesInForce(self.position, self.rules))

    def flush(self) -> None:
        """No more sound. A second time does nothing: after a broken connection, the first may have come or not."""
        if not self.flushed:
            self.flushed = True
            self.seat.flush()

    def deliver(self, told: tuple[Result, Rounded | None]) -> None:
        """What the pool made of the sound, `rounded_together` with that of other streams."""
        result, rounded = told
        scores = result.scores
        if count := len(scores.probs):
            self.rows += count
            self.checksum.add(scores)
            if self._every == 1:
                self.outbox.scores(scores, rounded)
            elif self._every:
                self._some(scores)
        self.repaired += result.repaired
        if result.gaps or result.opened:
            self._tell_gaps(result)
        if result.events:
            self._tell_events(result)
        self._wake()

    def ended(self, error: Exception | None) -> None:
        """The pool has no more: the seat was flushed, or something went wrong."""
        if error is not None:
            self.failure = StreamEnds("failed", f"the stream cannot go on: {error}")
        else:
            self.over = True
            self.outbox.promise_last(self._end())
        self._wake()

    def next_reply(self) -> bytes | None:
        """What to send next; None where nothing waits. Rows that were left out are told."""
        if self.outbox.left_out > self._left_out_told:
            self._left_out_told = self.outbox.left_out
            return encoded(self._lag())
        return self.outbox.take()

    def next_replies(self) -> list[bytes]:
        """As many as are sent at once, in order; none where nothing waits."""
        messages: list[bytes] = []
        size = 0
        while size < MOST_BYTES_AT_ONCE and (message := self.next_reply()) is not None:
            messages.append(message)
            size += len(message)
        return messages

    def _lag(self) -> Lag:
        """How far the stream is."""
        return Lag(
            position=self.position,
            kept=self.position if self.saved is None else self.saved,
            behind=round(self.behind, 3),
            rows=self.rows,
            left_out=self.outbox.left_out,
            repaired=self.repaired,
        )

    def _wake(self) -> None:
        if self.connection is not None:
            self.connection.wake()

    def _advance(self, samples: int) -> None:
        if self._next_in + samples > FURTHEST_SAMPLE:
            raise StreamEnds("bad_message", f"a sample beyond {FURTHEST_SAMPLE}: begin another stream")
        self._next_in += samples

    def _push(self, samples: NDArray[Any]) -> None:
        """Samples that are new, up to ``_next_in``."""
        start, rate = self._next_in - len(samples), self.rate
        now, clean = time.monotonic(), self._decoder.clean
        step = max(1, round(PIECE_SECONDS * rate))
        if len(samples) <= step:
            self.seat.push(Chunk(samples, start, rate, now, clean=clean))
        else:
            for at in range(0, len(samples), step):
                self.seat.push(Chunk(samples[at : at + step], start + at, rate, now, clean=clean))
        self.position = self.heard_until = self._next_in
        if self.position >= self._lag_due:
            self._lag_due = self.position + self.rate
            self.outbox.tell(self._lag())  # it goes with the scores of this sound

    def _jump(self) -> None:
        """Nothing will come before ``_next_in``: what a long gap ends, ends now."""
        self.position = self._next_in
        if self.heard_until is not None:
            missing = self.position - self.heard_until
            self.seat.push(Chunk(_NOTHING, self.heard_until, self.rate, missing=missing))

    def _some(self, scores: Scores) -> None:
        """The first row in each stretch of ``_every`` samples."""
        slots = np.floor_divide(scores.sample, self._every)
        first = np.flatnonzero(np.diff(slots, prepend=self._slot))
        if len(first):
            self._slot = int(slots[-1])
            self.outbox.scores(
                msgspec.structs.replace(
                    scores, probs=scores.probs[first], sample=scores.sample[first], warm=scores.warm[first]
                )
            )

    def _tell_gaps(self, result: Result) -> None:
        for gap in result.gaps:
            self.lost += gap.length
            self.outbox.promise(GapTold, gap_record(gap, self.name, self._origin))
        for gap in result.opened:
            self.outbox.promise(GapTold, gap_record(gap, self.name, self._origin, is_open=True))

    def _tell_events(self, result: Result) -> None:
        for event in result.events:
            began = self._times.onset(event, result)
            complete = event.offset is not None
            if (complete or self.hello.onsets) and (self._wanted is None or event.label in self._wanted):
                self.events += complete
                self.outbox.promise(EventTold, event_record(event, self.name, self._origin, began))

    def _end(self) -> End:
        return End(
            sequence=self.outbox.last_sequence,
            position=self.position,
            rows=self.rows,
            left_out=self.outbox.left_out,
            events=self.events,
            lost=self.lost,
            repaired=self.repaired,
            checksum=self.checksum.text,
        )


def _wanted(hello: Hello, labels: tuple[str, ...]) -> tuple[tuple[str, ...], list[int] | None]:
    """Labels that are told, and their columns; None = all of them in order."""
    if hello.labels is None:
        return labels, None
    unknown = [label for label in hello.labels if label not in labels]
    if unknown:
        raise StreamEnds(
            "unknown_label", f"label {printable(unknown[0])!r}: the model has {', '.join(labels)}"
        )
    if len(set(hello.labels)) < len(hello.labels):
        raise StreamEnds("bad_message", "labels: each may stand there once")
    return hello.labels, [labels.index(label) for label in hello.labels]


def _rows_apart(scores: float | str, sample_rate: int, hop: int) -> float:
    """Samples from one row that is sent to the next: 1 = every row, 0 = none."""
    if isinstance(scores, str):
        return 1
    if not scores:
        return 0
    apart = sample_rate / scores
    return 1 if apart <= hop else apart
