"""ClipPaths: where the clip of an event lies, for the outputs that name or attach it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.messages import Event, Result

MOST_CLIPS = 4096  # remembered, the newest
Key = tuple[str, str, int]


class ClipPaths:
    """Filled by the output that writes clips, read by others, from any thread.

    A clip is finished some seconds after its event has ended (the post-roll), so an output that is told of the end
    asks with ``wait``. It answers at once where no clip is to be expected, also because rules hold the event back from
    what writes clips, and when the run ends.
    """

    def __init__(self) -> None:
        self._writers = 0
        self._refusals: dict[Key, int] = {}  # writers that will write none
        self._found: OrderedDict[Key, Path | None] = OrderedDict()
        self._changed = threading.Condition()

    @property
    def expected(self) -> bool:
        """Whether an output writes clips in this run: known when all outputs are made, so not in constructors."""
        with self._changed:
            return self._writers > 0

    def get(self, result: Result, event: Event) -> Path | None:
        """The finished clip of ``event``, one of ``result``; None where there is none, or not yet."""
        with self._changed:
            return self._found.get(_key(result, event))

    def of(self, stream: str, model: str, event: int) -> Path | None:
        """The same, by the names of its stream and model and its id."""
        with self._changed:
            return self._found.get((stream, model, event))

    def wait(self, result: Result, event: Event, timeout: float) -> Path | None:
        """The same, after up to ``timeout`` seconds if a clip is still to come."""
        key, end = _key(result, event), time.monotonic() + timeout
        with self._changed:
            while self._may_come(key) and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._found.get(key)

    def open(self) -> None:
        """There will be clips. A writer of clips says so when it is made, and calls ``close`` at its end."""
        with self._changed:
            self._writers += 1

    def put(self, stream: str, model: str, event: int, path: Path | None) -> None:
        """The clip of an event is finished; None if there will be none of this writer, who says so once.

        Of several writers' clips the first one stays.
        """
        key = stream, model, event
        with self._changed:
            if self._found.get(key) is None:
                self._found[key] = path
                self._refusals[key] = self._refusals.get(key, 0) + (path is None)
            while len(self._found) > MOST_CLIPS:
                old, _ = self._found.popitem(last=False)
                self._refusals.pop(old, None)
            self._changed.notify_all()

    def close(self) -> None:
        """One writer has ended."""
        with self._changed:
            self._writers -= 1
            self._changed.notify_all()

    def _may_come(self, key: Key) -> bool:
        return self._found.get(key) is None and self._refusals.get(key, 0) < self._writers


def _key(result: Result, event: Event) -> Key:
    return result.stream, result.model, event.id
