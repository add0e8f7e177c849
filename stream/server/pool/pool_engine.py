"""PoolEngine: a row of a pool, for a classifier that runs in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream.errors import ClosedError
from stream.inference.engine import make_engine
from stream.inference.session import Model, State
from stream.snapshot import Snapshot


class PoolEngine:
    """See `Engine`. ``run`` waits for the pool's next batch; nothing else does. One thread at a time uses it."""

    def __init__(
        self, model: Model, call: Callable[[PoolEngine], None], remove: Callable[[PoolEngine], None]
    ) -> None:
        self.model = model
        self._call, self._remove = call, remove
        self._row = make_engine(model)
        self._frames: NDArray[np.float32] | None = None
        self._answer: NDArray[np.float32] | Exception | None = None
        self._answered = threading.Event()
        self._ended: Exception | None = None

    @property
    def state(self) -> State:
        return self._row.state

    def run(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
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
        if isinstance(answer, np.ndarray):
            return answer
        assert answer is not None
        raise answer

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
        """Give the row back. A second close does nothing."""
        self.end(ClosedError("this engine was closed"))
        self._remove(self)

    def work(self) -> bool:
        """The pool's thread: run what waits."""
        frames, self._frames = self._frames, None
        if frames is not None:
            try:
                self._answer = self._row.run(frames)
            except Exception as error:  # it is raised where run was called
                self._answer = error
            self._answered.set()
        return False

    def end(self, error: Exception) -> None:
        """No more: whoever waits is told."""
        self._ended = self._ended or error
        self._answer = self._ended
        self._answered.set()
