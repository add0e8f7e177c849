"""Outbox: the replies of one stream that wait to be sent, and those that may have to be sent again."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.messages import Result, Scores
from stream.printable import printable_json
from stream.server.socket.server_messages import EventTold, GapTold, ScoreRows

_ENCODER = msgspec.json.Encoder()
Kept = tuple[int, bytes]  # sequence, message
Rounded = list[list[float]]
_DIGITS = 1e4  # rounded to four


def encoded(message: msgspec.Struct) -> bytes:
    """A reply as it is sent."""
    return printable_json(_ENCODER.encode(message))


def rounded(probs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Probabilities as they are told to who does not want them exact."""
    return np.rint(probs.astype(np.float64) * _DIGITS) / _DIGITS


def rounded_together(results: list[Result]) -> list[tuple[Result, Rounded | None]]:
    """Results of streams of one model, each with all of its rows as they are told: a few operations for all of them."""
    found = [result.scores.probs for result in results]
    if not any(map(len, found)):
        return [(result, None) for result in results]
    rows, at, answer = rounded(np.concatenate(found)).tolist(), 0, []
    for result, probs in zip(results, found, strict=True):
        end = at + len(probs)
        answer.append((result, rows[at:end]))
        at = end
    return answer


class Rows(NamedTuple):
    """Rows of scores that wait, and how they are told where that is known."""

    scores: Scores
    rounded: Rounded | None


class Outbox:
    """What waits for the reader of a stream.

    Scores are left out when too many rows wait, the oldest first, and counted. Events and gaps (replies with a
    ``sequence``) are never left out, and are kept until they are acknowledged, so that another connection can be given
    those that did not come. Of those that were sent, only the newest ``room_bytes`` are kept for a client that
    acknowledges none.

    Args:
        columns: of scores that are wanted; None = all.
        exact: False rounds probabilities to 4 digits.
        most_rows: of scores that may wait.
        room: replies with a sequence that may wait.
        room_bytes: the same in bytes.

    Attributes:
        left_out: rows of scores that were not sent.
        sequence: of the newest reply that has one.
        acknowledged: all replies up to this one have come.
    """

    def __init__(
        self, columns: list[int] | None, exact: bool, most_rows: int, room: int, room_bytes: int
    ) -> None:
        self._columns, self._exact = columns, exact
        self._most_rows, self._room, self._room_bytes = most_rows, room, room_bytes
        self._waiting: deque[Rows | Kept | bytes] = deque()
        self._kept: deque[Kept] = deque()
        self._kept_bytes = 0
        self._rows = 0  # that wait
        self._others = 0  # replies that wait and may get lost
        self._unsent = self._unsent_bytes = 0  # replies with a sequence that wait
        self.left_out = 0
        self.sequence = 0
        self.acknowledged = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        """Bytes of what is kept, for the bound on all streams together."""
        return self._kept_bytes

    @property
    def overfull(self) -> bool:
        """Whether more wait than a reader may leave lying."""
        return max(self._unsent, self._others) > self._room or self._unsent_bytes > self._room_bytes

    @property
    def kept(self) -> list[Kept]:
        """Replies with a sequence that are not acknowledged, oldest first."""
        return list(self._kept)

    @property
    def last_sequence(self) -> int:
        """Of a reply behind all others. It comes even to a client that was told more than it can have been: one that
        sent something else to another process before."""
        return max(self.sequence, self.acknowledged) + 1

    def remembers(self, received: int | None) -> bool:
        """Whether all replies behind ``received`` can be sent again."""
        first = self._kept[0][0] if self._kept else self.sequence + 1
        return (self.acknowledged if received is None else received) >= first - 1

    def scores(self, rows: Scores, told: Rounded | None = None) -> None:
        """Rows to be sent.

        Args:
            rows: of all classes.
            told: the same `rounded_together`, where that was done.
        """
        self._waiting.append(Rows(rows, told))
        self._rows += len(rows.probs)
        while self._rows > self._most_rows:
            place, oldest = next(
                (place, each) for place, each in enumerate(self._waiting) if isinstance(each, Rows)
            )
            del self._waiting[place]
            self._rows -= len(oldest.scores)
            self.left_out += len(oldest.scores)

    def tell(self, message: msgspec.Struct) -> None:
        """A reply that may get lost with the connection."""
        self._waiting.append(encoded(message))
        self._others += 1

    def promise(self, kind: type[EventTold] | type[GapTold], record: Any) -> None:
        """A record that is sent until it comes."""
        self.sequence += 1
        self._keep((self.sequence, encoded(kind(self.sequence, record))))

    def promise_last(self, message: msgspec.Struct) -> None:
        """The same for a reply that says its own sequence, which is `last_sequence`."""
        self.sequence = self.last_sequence
        self._keep((self.sequence, encoded(message)))

    def take(self) -> bytes | None:
        """The next message to send; None where nothing waits. Consecutive scores become one message."""
        waiting = self._waiting
        if not waiting:
            return None
        first = waiting.popleft()
        if isinstance(first, bytes):
            self._others -= 1
            return first
        if not isinstance(first, Rows):
            self._unsent -= 1
            self._unsent_bytes -= len(first[1])
            self._forget_sent()
            return first[1]
        parts = [first]
        while waiting and isinstance(waiting[0], Rows):
            parts.append(waiting.popleft())  # type: ignore[arg-type]
        return self._encoded(parts)

    def acknowledge(self, sequence: int) -> None:
        """All replies up to ``sequence`` have come."""
        self.acknowledged = max(self.acknowledged, min(sequence, self.sequence))
        while self._kept and self._kept[0][0] <= self.acknowledged:
            self._kept_bytes -= len(self._kept.popleft()[1])

    def resume(self, received: int | None) -> None:
        """Another connection takes over: what has a sequence and did not come waits again.

        Args:
            received: highest sequence that came; None = as acknowledged. It may be higher than any so far, where the
                state is an older one: what comes up to there, from the same sound, is then not told again.
        """
        if received is not None:
            self.acknowledge(received)
            self.acknowledged = max(self.acknowledged, received)
        self.left_out += self._rows
        self._waiting = deque(self._kept)
        self._unsent, self._unsent_bytes = len(self._kept), self._kept_bytes
        self._rows = self._others = 0

    def restore(self, sequence: int, acknowledged: int, kept: list[Kept]) -> None:
        """Go on from another outbox, in another process."""
        self.sequence, self.acknowledged = sequence, acknowledged
        self._kept = deque(kept)
        self._kept_bytes = sum(len(message) for _, message in kept)

    def _keep(self, kept: Kept) -> None:
        if kept[0] <= self.acknowledged:
            return
        self._kept.append(kept)
        self._kept_bytes += len(kept[1])
        self._waiting.append(kept)
        self._unsent += 1
        self._unsent_bytes += len(kept[1])

    def _forget_sent(self) -> None:
        """Of what was sent, the oldest beyond the room."""
        while self._kept_bytes - self._unsent_bytes > self._room_bytes:
            self._kept_bytes -= len(self._kept.popleft()[1])

    def _encoded(self, parts: list[Rows]) -> bytes:
        sample: list[int] = []
        probs: Rounded = []
        cold = 0
        for part, told in parts:
            sample += part.sample.tolist()
            probs += self._told(part) if told is None or self._columns is not None or self._exact else told
            if not part.warm[0]:  # rows are cold at the beginning only
                cold += len(part) - int(part.warm.sum())
        self._rows -= len(sample)
        return _ENCODER.encode(ScoreRows(sample, probs, cold))

    def _told(self, part: Scores) -> Rounded:
        rows: NDArray[np.floating[Any]] = (
            part.probs if self._columns is None else part.probs[:, self._columns]
        )
        told: Rounded = (rows if self._exact else rounded(rows)).tolist()
        return told
