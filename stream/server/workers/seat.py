"""WorkerSeat: one stream whose sound is classified by a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.capture.channels import as_float32
from stream.decisions.spec import DetectorSpec
from stream.errors import ClosedError, StreamClassifyError
from stream.messages import Chunk, Event, Gap, Result, Scores
from stream.server.pool.asked import Asked
from stream.server.workers.messages import Ended, Flush, Heard, Leave, Order, Rules, Save, Saved, Sound
from stream.snapshot import Snapshot

if TYPE_CHECKING:
    from stream.inference.session import Model

log = logging.getLogger(__name__)
_SENT = (np.dtype(np.int16), np.dtype(np.float32))


class WorkerSeat:
    """See `AnySeat`. Made by `WorkerPool.take_seat`.

    Args:
        number: for its worker.
        name: of the stream.
        model: which listens.
        deliver, ended: as for `Pool.take_seat`.
        order: tells its worker something.
        remove: called once it is over.

    Attributes:
        classified: samples so far, as the worker says.
    """

    def __init__(
        self,
        number: int,
        name: str,
        model: Model,
        deliver: Callable[[Result], None],
        ended: Callable[[Exception | None], None],
        order: Callable[[Order], None],
        remove: Callable[[WorkerSeat], None],
    ) -> None:
        self.number, self.name, self._model = number, name, model
        card = model.card
        self._labels, self._rate = model.labels, card.features.sample_rate
        self._hop, self._model_id = card.features.hop_length * card.stride, model.id
        self._no_features = np.empty((0, card.features.width), np.float32)
        self._deliver, self._tell_end = deliver, ended
        self._order, self._remove = order, remove
        self._asked = Asked(name)
        self._pushed = 0  # samples
        self.classified = 0
        self._flushed = self._over = False

    def __repr__(self) -> str:
        return f"WorkerSeat({self.name!r}, {self.pending} samples waiting)"

    @property
    def pending(self) -> int:
        """See AnySeat."""
        return 0 if self._over else self._pushed - self.classified

    def push(self, chunk: Chunk) -> None:
        """See AnySeat. Samples may also be int16.

        Raises:
            ClosedError: after ``flush``.
        """
        samples: Any = chunk.samples
        if samples.dtype not in _SENT:
            samples = as_float32(samples)
        if not samples.flags.c_contiguous:
            samples = np.ascontiguousarray(samples)
        self._say(
            Sound(
                self.number,
                samples.data,
                samples.dtype.kind == "i",
                chunk.start,
                chunk.sample_rate,
                chunk.captured_at,
                chunk.missing,
                chunk.clean,
            )
        )
        self._pushed += len(samples)

    def change_rules(self, spec: DetectorSpec) -> None:
        """See AnySeat.

        Raises:
            SpecError: a rule for a class that there is not.
            ClosedError: after ``flush``.
        """
        spec.check_labels(self._model.labels)
        self._say(Rules(self.number, spec))

    def snapshot(self, done: Callable[[Snapshot | None], None]) -> None:
        """See AnySeat: with a state it is called in the thread that delivers.

        Raises:
            ClosedError: after ``flush``.
        """
        self._refuse_if_flushed()
        self._asked.add(done)
        self._say(Save(self.number))

    def flush(self) -> None:
        """See AnySeat."""
        self._say(Flush(self.number))
        self._flushed = True

    def leave(self) -> None:
        """See AnySeat."""
        if not self._over:
            self._order(Leave(self.number))
            self._over = True
            self._remove(self)
            self._asked.end()

    def hear(
        self,
        probs: NDArray[np.float32],
        sample: NDArray[np.int64],
        warm: NDArray[np.bool_],
        end: int,
        captured_at: float | None,
        events: tuple[Event, ...] = (),
        gaps: tuple[Gap, ...] = (),
        repaired: int = 0,
        opened: tuple[Gap, ...] = (),
    ) -> None:
        """What its sound brought.

        Args:
            probs: (T, C) rows of scores.
            sample, warm: (T,) of those.
            end, captured_at, events, gaps, repaired, opened: of the `Result`.
        """
        if self._over:
            return
        scores = Scores(probs, sample, warm, self._labels, self._rate, self._hop)
        name, model = self.name, self._model_id
        result = Result(
            scores, self._no_features, events, gaps, end, repaired, name, model, captured_at, opened=opened
        )
        try:
            self._deliver(result)
        except Exception as error:  # of who listens: it ends this stream alone
            self._fail(error)

    def take(self, said: Heard | Saved | Ended) -> None:
        """What the worker says of it alone."""
        if self._over:
            return
        if isinstance(said, Heard):
            warm = np.frombuffer(said.warm, np.bool_)
            self.hear(
                np.frombuffer(said.probs, np.float32).reshape(len(warm), len(self._labels)),
                np.frombuffer(said.sample, np.int64),
                warm,
                said.end,
                said.captured_at,
                said.events,
                said.gaps,
                said.repaired,
                said.opened,
            )
        elif isinstance(said, Ended):
            self.end(None if said.error is None else StreamClassifyError(said.error))
        else:
            try:
                self._asked.answer(None if said.snapshot is None else snapshots.unpack(said.snapshot))
            except Exception as error:  # of who asked: as in ``hear``
                self._fail(error)

    def end(self, error: Exception | None) -> None:
        """It is over, as the worker says, or as there is no worker any more."""
        if not self._over:
            self._over = True
            self._remove(self)
            self._asked.end()
            self._tell(error)

    def _fail(self, error: Exception) -> None:
        self.leave()
        self._tell(error)

    def _tell(self, error: Exception | None) -> None:
        try:
            self._tell_end(error)
        except Exception:
            log.exception("stream %r: its end could not be told", self.name)

    def _refuse_if_flushed(self) -> None:
        if self._flushed:
            raise ClosedError("push after flush: take another seat to start a new stream")

    def _say(self, order: Order) -> None:
        self._refuse_if_flushed()
        if not self._over:
            self._order(order)
