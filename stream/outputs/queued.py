"""Queued: a sink that may be slow, in a thread of its own, so that listening never waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Literal

from stream.errors import SpecError, StreamClassifyError, TryAgain
from stream.outputs.output_report import OutputReport
from stream.outputs.sink import Sink

if TYPE_CHECKING:
    from stream.messages import Chunk, Result, Status

log = logging.getLogger(__name__)

CAPACITY_MESSAGES = 1024  # about ten seconds of 10 ms hops with chunk and result
DEADLINE_SECONDS = 1.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 60.0

Kind = Literal["chunk", "result", "status"]
Want = Literal["chunk", "result", "event", "status"]
"""What a sink is given: "event" stands for the results that have events or gaps, "result" for all of them."""
EVERYTHING: frozenset[Want] = frozenset({"chunk", "result", "event", "status"})
PLURALS: dict[Kind, str] = {"status": "statuses", "result": "results", "chunk": "chunks"}


class Queued:
    """Hands everything to ``sink`` from a thread of its own, through a bounded queue.

    ``chunk``, ``result`` and ``status`` return at once, also while the sink is slow or hangs forever. When the
    queue is full, the oldest chunk or score-only result in it is dropped; only when it holds none of those, the
    oldest result with events or gaps, or status. Each drop is counted, and the first one is logged. Order is kept.
    Where the sound can wait, as a recording can, ``patience_seconds`` lets the caller wait for room before that.

    A sink may have the methods ``amended``, ``hurry`` and ``missed``; `Output` describes them.

    A sink that raises `TryAgain` gets the same message again, after pauses that double from half a second to a minute;
    meanwhile the others wait. Any other error is counted, and the first one is logged; the next message is tried all
    the same.

    Args:
        sink: called from one thread only, which is not the caller's.
        name, target: for the report and the log: what the sink is called, and where it delivers to.
        wants: what it is given; the rest is not queued.
        capacity: messages that may wait.
        patience_seconds: how long a caller waits for room in a full queue. A sink that has made it wait so long does
            so no more until it takes the next message.
        deadline_seconds: how long ``close`` may take.

    Attributes:
        dropped: messages that never reached the sink, by kind: "chunk", "result", "status".
        errors: messages (or the closing) at which the sink failed for good.
        deadline_seconds: as given.

    Raises:
        SpecError: a capacity below 1, or a deadline or patience below 0.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        name: str = "",
        target: str = "",
        wants: Collection[Want] = EVERYTHING,
        capacity: int = CAPACITY_MESSAGES,
        deadline_seconds: float = DEADLINE_SECONDS,
        patience_seconds: float = 0.0,
    ) -> None:
        if capacity < 1 or not all(0 <= each < float("inf") for each in (deadline_seconds, patience_seconds)):
            raise SpecError(
                f"capacity {capacity}, deadline {deadline_seconds:g} s, patience {patience_seconds:g} s: "
                "need at least 1 message and 0 seconds"
            )
        self.dropped: dict[Kind, int] = {"chunk": 0, "result": 0, "status": 0}
        self.errors = 0
        self._sink = sink
        self._name = name or type(sink).__name__
        self._target = target
        self._wants = frozenset(wants)
        self._delivered = 0
        self._missed = 0  # dropped, and the sink was not told yet
        self._trouble = ""
        self._capacity = capacity
        self.deadline_seconds = deadline_seconds
        self._patience_seconds = patience_seconds
        self._patient = patience_seconds > 0
        # Two queues, so that the oldest message of either importance is at hand; the number keeps the order of both.
        self._minor: deque[tuple[int, Kind, Any]] = deque()
        self._major: deque[tuple[int, Kind, Any]] = deque()
        self._count = 0
        self._delivering: Kind | None = None
        self._closing = self._closed = False
        self._give_up_at = 0.0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._deliver, name=f"sink {self._name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Messages in the queue."""
        with self._changed:
            return len(self._minor) + len(self._major)

    def report(self) -> OutputReport:
        """How it is doing. From any thread."""
        with self._changed:
            report = OutputReport(
                name=self._name,
                target=self._target,
                delivered=self._delivered,
                waiting=len(self._minor) + len(self._major) + (self._delivering is not None),
                dropped=sum(self.dropped.values()),
                errors=self.errors,
                trouble=self._trouble,
            )
        amended: Callable[[OutputReport], OutputReport] | None = getattr(self._sink, "amended", None)
        try:
            return report if amended is None else amended(report)
        except Exception as error:  # the caller draws a screen, and must go on
            self._trip(error)
            return report

    def chunk(self, chunk: Chunk) -> None:
        """Queue a chunk."""
        if "chunk" in self._wants:
            self._put("chunk", chunk, False)

    def result(self, result: Result) -> None:
        """Queue a result."""
        major = bool(result.events or result.gaps or result.opened)
        if "result" in self._wants or (major and "event" in self._wants):
            self._put("result", result, major)

    def status(self, status: Status) -> None:
        """Queue a change of state."""
        if "status" in self._wants:
            self._put("status", status, True)

    def begin_close(self) -> None:
        """Take nothing more, and let the thread run out. ``close`` must follow; call this for several sinks first, so
        that they end side by side."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._give_up_at = time.monotonic() + self.deadline_seconds
            self._changed.notify_all()
        try:
            if (hurry := getattr(self._sink, "hurry", None)) is not None:
                hurry()
        except Exception as error:  # the caller has other sinks to close
            self._trip(error)

    def close(self) -> None:
        """Deliver what waits and close the sink; after the deadline, give up and say in the log what was not delivered.

        A message that was to be tried again later is tried once more at once. A sink that hangs is left in its thread,
        which does not keep the process alive. A second call does nothing.
        """
        self.begin_close()
        with self._changed:
            if self._closed:
                return
            self._closed = True
        self._thread.join(max(0.0, self._give_up_at - time.monotonic()))
        with self._changed:
            left = self._discard()
            hangs = self._thread.is_alive()
            if hangs and self._delivering is not None:
                left.append(self._delivering)
        if hangs:
            what = ", ".join(
                f"{n} {kind if n == 1 else plural}"
                for kind, plural in PLURALS.items()
                if (n := left.count(kind))
            )
            log.warning(
                "%s: still busy after %g s; not delivered: %s",
                self._name,
                self.deadline_seconds,
                what or "its closing",
            )
        elif any(self.dropped.values()) or self.errors:
            log.warning(
                "%s: %d messages dropped, %d errors", self._name, sum(self.dropped.values()), self.errors
            )

    def _put(self, kind: Kind, message: Any, major: bool) -> None:
        with self._changed:
            self._await_room()
            if self._closing:
                return
            (self._major if major else self._minor).append((self._count, kind, message))
            self._count += 1
            if len(self._minor) + len(self._major) > self._capacity:
                _, lost, _ = (self._minor or self._major).popleft()
                if not any(self.dropped.values()):
                    log.warning("%s: too slow, messages are being dropped", self._name)
                self.dropped[lost] += 1
                self._missed += 1
            self._changed.notify_all()

    def _await_room(self) -> None:
        end = time.monotonic() + self._patience_seconds
        while self._patient and not self._closing and len(self._minor) + len(self._major) >= self._capacity:
            if (left := end - time.monotonic()) <= 0:
                self._patient = False
            else:
                self._changed.wait(left)

    def _take(self) -> tuple[Kind, Any] | None:
        """The oldest message, waiting for one; None when there will be no more."""
        with self._changed:
            self._delivering = None
            while not (self._minor or self._major):
                if self._closing:
                    return None
                self._changed.wait()
            minor, major = self._minor, self._major
            queue = minor if minor and (not major or minor[0][0] < major[0][0]) else major
            _, kind, message = queue.popleft()
            self._delivering = kind
            if self._patience_seconds:
                self._patient = True
                self._changed.notify_all()
            return kind, message

    def _discard(self) -> list[Kind]:
        """Empty the queue; the kinds of what was in it, counted as dropped."""
        left = [kind for _, kind, _ in (*self._minor, *self._major)]
        for kind in left:
            self.dropped[kind] += 1
        self._minor.clear()
        self._major.clear()
        return left

    def _deliver(self) -> None:
        calls: dict[Kind, Callable[[Any], None]] = {
            "chunk": self._sink.chunk,
            "result": self._sink.result,
            "status": self._sink.status,
        }
        while (message := self._take()) is not None:
            kind, value = message
            self._tell_missed()
            self._attempt(calls[kind], value)
            del message, value  # so that it is not kept in memory until the next one comes
        self._attempt(self._sink.close)

    def _tell_missed(self) -> None:
        """Let a sink know that messages before the next one were dropped, if it wants to."""
        with self._changed:
            count, self._missed = self._missed, 0
        missed: Callable[[int], None] | None = getattr(self._sink, "missed", None)
        if count and missed is not None:
            tell = missed
            self._attempt(lambda: tell(count))

    def _attempt(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call until it works, or fails for good, or the end has come and it still does not work."""
        pause = FIRST_RETRY_SECONDS
        while True:
            last = self._closing
            try:
                call(*arguments)
            except TryAgain as error:
                self._complain(error)
                self._trouble = str(error)
                if last:
                    self._fail()
                    return
                self._wait(pause)
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)
            except Exception as error:
                self._complain(error)
                self._fail()
                return
            else:
                if self._trouble:
                    log.info("%s: works again", self._name)
                self._trouble = ""
                self._delivered += arguments != ()
                return

    def _wait(self, seconds: float) -> None:
        """Let time pass, until the end is near."""
        end = time.monotonic() + seconds
        with self._changed:
            while not self._closing and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)

    def _complain(self, error: Exception) -> None:
        """Log the first of a row of troubles."""
        if isinstance(error, TryAgain):
            if not self._trouble:
                log.warning("%s: %s; it will be tried again", self._name, error)
        elif not self.errors:
            kind = "" if isinstance(error, StreamClassifyError) else f"{type(error).__name__}: "
            log.warning("%s: %s%s; further errors are counted only", self._name, kind, error)

    def _trip(self, error: Exception) -> None:
        """Count an error of a method that the caller's thread runs."""
        self._complain(error)
        self._fail()

    def _fail(self) -> None:
        self.errors += 1
