"""Company: the seats of a batch whose sound is classified in a few operations for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream.classifier.many_streams import Brought, ManyStreams
from stream.inference.state_table import StateTable
from stream.messages import Chunk

if TYPE_CHECKING:
    from stream.classifier import StreamClassifier
    from stream.server.pool.seat import Seat

# Streams at a time: more hardly amortise the operations of NumPy any further, and no longer fit the caches.
BLOCK_STREAMS = 192

Places = NDArray[np.intp]


class Company:
    """For the pool's thread alone, but for ``forget``.

    Args:
        table: of the states of the pool's rows.
    """

    def __init__(self, table: StateTable) -> None:
        self._many = ManyStreams(table)
        self._joined: dict[tuple[int, Any], list[tuple[Seat, Chunk]]] = {}

    def joins(self, seat: Seat, classifier: StreamClassifier, chunk: Chunk) -> bool:
        """Whether a seat's chunk goes with others; ``run`` then classifies it, and nothing else may before that.

        If not, its classifier is free to take it.
        """
        many, row = self._many, seat.row
        if not many.goes_on(row, chunk):
            many.leave(row)
            if not many.enter(row, classifier, chunk):
                return False
        self._joined.setdefault((len(chunk.samples), chunk.samples.dtype), []).append((seat, chunk))
        return True

    def leave(self, row: int) -> None:
        """A stream's classifier is to be used for something else than the sound that comes next."""
        self._many.leave(row)

    def forget(self, row: int) -> None:
        """The stream of a row has ended, or begins. From any thread."""
        self._many.forget(row)

    def run(self) -> Iterator[tuple[Seat, Chunk]]:
        """Classify everything that has joined, and give each seat its result.

        Yields:
            Seats whose model failed in company, with their chunks: each is to go alone. Their states are as they were.
        """
        joined, self._joined = self._joined, {}
        for (_, dtype), same in joined.items():
            rows = np.array([seat.row for seat, _ in same], np.intp)
            # By bytes: NumPy would give the interpreter away for each of them.
            together = np.frombuffer(b"".join([chunk.samples.data for _, chunk in same]), dtype)
            captured_at = [chunk.captured_at for _, chunk in same]
            for places, brought in self.hear(rows, together.reshape(len(same), -1), captured_at):
                block = [same[place] for place in places.tolist()]
                if isinstance(brought, Exception):
                    for seat, _ in block:
                        seat.end(brought)
                    continue
                if brought is None:
                    for seat, chunk in block:
                        self._many.leave(seat.row)
                        yield seat, chunk
                    continue
                results = self._many.results(rows[places], brought, [chunk.captured_at for _, chunk in block])
                for (seat, _), result in zip(block, results, strict=True):
                    if result is not None:
                        seat.take(result)

    def hear(
        self, rows: Places, sound: NDArray[Any], captured_at: Sequence[float | None]
    ) -> Iterator[tuple[Places, Brought | Exception | None]]:
        """Classify sound of streams that are inside, in blocks.

        Args:
            rows: (N,) different ones.
            sound: (N, n) what each goes on with.
            captured_at: N times.

        Yields:
            Places among the N, and what their sound brought; None where the model failed, and their states are as they
            were; an error that ends them.
        """
        times = np.array(captured_at, np.float64)
        kinds = self._many.kinds(rows)
        for kind in np.unique(kinds).tolist():
            same = np.flatnonzero(kinds == kind)
            own = sound if len(same) == len(sound) else sound[same]
            for at in range(0, len(same), BLOCK_STREAMS):
                places = same[at : at + BLOCK_STREAMS]
                brought: Brought | Exception | None
                try:
                    brought = self._many.push(rows[places], own[at : at + BLOCK_STREAMS], times[places])
                except Exception as error:  # whatever it is: it is told to whom it ends, and the pool goes on
                    brought = error
                yield places, brought

    def going_on(
        self, rows: Places, starts: NDArray[np.int64], samples: int, sample_rate: int
    ) -> NDArray[np.bool_]:
        """See Pool."""
        if not self._many.takes(samples, sample_rate):
            return np.zeros(len(rows), np.bool_)
        found: NDArray[np.bool_] = self._many.ends[rows] == starts
        return found
