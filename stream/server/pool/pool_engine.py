"""PoolEngine: a row of a pool, for a classifier that runs in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream.errors import ClosedError
from stream.inference.session import State
from stream.inference.state_table import SlabRow, StateTable
from stream.server.pool.member import Frames, Probs
from stream.snapshot import Snapshot


class PoolEngine:
    """See `Engine`. ``run`` waits for the pool's next batch; nothing else does. One thread at a time uses it."""

    def __init__(
        self,
        table: StateTable,
        row: int,
        call: Callable[[PoolEngine], None],
        remove: Callable[[PoolEngine], None],
    ) -> None:
        self.model = table.model
        self.row = row
        self._row = SlabRow(table, row)
        self._call, self._remove = call, remove
        self._frames: Frames | None = None
        self._answer: Probs | Exception | None = None
        self._answered = threading.Event()
        self._ended: Exception | None = None
        self.reset()

    @property
    def state(self) -> State:
        return self._row.state

    def run(self, frames: Frames) -> Probs:
        """See Engine.

        Raises:
            ClosedError: the pool, or this engine, was closed.
        """
        self._answered.clear()  # before the look at the end, which may come at any time
        if self._ended is not None:
            raise ClosedError(str(self._ended))
        self._frames = frames
        self._call(self)
        self._answered.wait()
        answer, self._answer = self._answer, None
        if answer is None or isinstance(answer, Exception):
            raise answer or ClosedError(str(self._ended))
        return answer

    def reset(self) -> None:
        """See Engine."""
        self._row.reset()

    def snapshot(self) -> Snapshot:
        """See Engine."""
        return self._row.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """See Engine."""
        self._row.restore(snapshot)

    def close(self) -> None:
        """Give the row back. A ``run`` that waits raises ClosedError; a second close does nothing."""
        self.end(ClosedError("this engine was closed"))
        self._remove(self)

    def begin(self) -> Frames | None:
        """See Member."""
        frames, self._frames = self._frames, None
        return frames if self._ended is None else None

    def go_on(self, probs: Probs | Exception) -> Frames | None:
        """See Member."""
        if self._ended is None:
            self._answer = probs
            self._answered.set()
        return None

    def waits(self) -> bool:
        """See Member."""
        return False

    def end(self, error: Exception) -> None:
        """See Member."""
        if self._ended is None:
            self._ended = error
            self._answered.set()
