"""Courier: posts what lies in a spool, oldest first, until the receiver has taken it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stream.outputs.post import Answer, Poster
from stream.outputs.signing import signed_headers
from stream.outputs.spool import Kept, Spool

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
LONGEST_ASKED_SECONDS = 3600.0  # that a receiver may ask to be left alone
NOT_NOW = frozenset({408, 425, 429})  # of the 4xx, those that are about the moment and not about the message


class Courier(threading.Thread):
    """One thread for one receiver.

    No answer, a redirect, 408, 425, 429 and 5xx mean that the same message is sent again, after pauses that double
    from half a second to a minute, or as long as ``Retry-After`` says. Another 4xx means that the receiver will never
    take this message: it is counted and removed.

    Args:
        spool: what is to be sent.
        poster: sends it.
        name: of the receiver, for the log.
        key: to sign with; None signs nothing.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        spool: Spool,
        poster: Poster,
        *,
        name: str,
        key: bytes | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name=f"courier {name}", daemon=True)
        self._spool, self._poster, self._name, self._key, self._wall = spool, poster, name, key, wall
        self._changed = threading.Condition()
        self._news = False
        self._ends_at: float | None = None
        self._nothing_more = False
        self.delivered = 0
        self.refused = 0
        self.trouble = ""

    def wake(self) -> None:
        """There is something new in the spool."""
        with self._changed:
            self._news = True
            self._changed.notify_all()

    def end(self, seconds: float, *, nothing_more: bool = False) -> None:
        """Try what waits, and what still comes, once more, and end after so many seconds (counted from the first call),
        or when nothing waits and ``nothing_more`` comes."""
        with self._changed:
            if self._ends_at is None:
                self._ends_at = time.monotonic() + seconds
            self._nothing_more = self._nothing_more or nothing_more
            self._changed.notify_all()

    def run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._is_over():
            last = self._ends_at is not None
            again_after = self._step(pause)
            if again_after is None:
                pause = FIRST_PAUSE_SECONDS
            elif last:
                return
            else:
                self._wait(again_after)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _is_over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _step(self, pause: float) -> float | None:
        """Deliver one message, or wait for one; after how many seconds to try again, None if that is not needed."""
        try:
            found = self._spool.first()
        except OSError as error:
            return self._failed(f"the spool cannot be read: {error.strerror}", pause)
        if found is not None:
            return self._deliver(*found, pause)
        with self._changed:
            while not self._news and not self._is_over():
                if self._nothing_more:
                    self._ends_at = 0.0
                elif self._ends_at is None:
                    self._changed.wait()
                else:
                    self._changed.wait(max(0.0, self._ends_at - time.monotonic()))
            self._news = False
        return None

    def _deliver(self, kept: Kept, body: bytes, pause: float) -> float | None:
        """One attempt; after how many seconds to try the same again, None if that is not needed."""
        now = self._wall()
        try:
            answer = self._poster.post(body, signed_headers(kept.id, now, body, self._key))
        except OSError as error:
            return self._failed(str(error), pause)
        if 300 <= answer.status < 400 or answer.status in NOT_NOW or not 200 <= answer.status < 500:
            asked = min(answer.pause_seconds(now), LONGEST_ASKED_SECONDS)
            return self._failed(_said(answer), max(pause, asked))
        if answer.status >= 400:
            self.refused += 1
            if self.refused == 1:
                log.warning(
                    "webhook %s: refused event %s: %s; further refusals are counted only",
                    self._name,
                    kept.id,
                    _said(answer),
                )
        else:
            self.delivered += 1
        self._spool.remove(kept)
        if self.trouble:
            log.warning("webhook %s: takes events again", self._name)
            self.trouble = ""
        return None

    def _failed(self, why: str, pause: float) -> float:
        if not self.trouble:
            log.warning("webhook %s: %s; events wait in %s", self._name, why, self._spool.folder)
        self.trouble = why
        return pause

    def _wait(self, seconds: float) -> None:
        """Let time pass, until the end is near."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._ends_at is None and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)


def _said(answer: Answer) -> str:
    return f"the server answers {answer.status} {answer.reason}".rstrip()
