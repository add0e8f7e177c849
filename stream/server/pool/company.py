"""Company: the seats of a batch whose chunks are classified in a few operations for all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from stream.classifier.many_streams import Joining, ManyStreams
from stream.inference.state_table import StateTable
from stream.messages import Chunk

if TYPE_CHECKING:
    from stream.classifier import StreamClassifier
    from stream.server.pool.seat import Seat

# Streams at a time: enough to amortise an operation of NumPy, and their samples, frames and states stay in the
# second-level cache.
BLOCK_STREAMS = 32


class Company:
    """For the pool's thread alone.

    Args:
        table: of the states of the pool's rows.
    """

    def __init__(self, table: StateTable) -> None:
        self._many = ManyStreams(table)
        self._joined: dict[Hashable, list[tuple[Seat, Joining]]] = {}

    def joins(self, seat: Seat, classifier: StreamClassifier, chunk: Chunk) -> bool:
        """Whether a seat's chunk goes with others; ``run`` then classifies it, and nothing else may before that."""
        joining = self._many.joining(classifier, seat.row, chunk)
        if joining is None:
            return False
        self._joined.setdefault(joining.kind, []).append((seat, joining))
        return True

    def run(self) -> Iterator[tuple[Seat, Chunk]]:
        """Classify everything that has joined, and give each seat its result.

        Yields:
            Seats whose model failed in company, with their chunks: each is to go alone. Their states are as they were.
        """
        joined, self._joined = self._joined, {}
        for same in joined.values():
            left = iter(same)
            while block := list(islice(left, BLOCK_STREAMS)):
                try:
                    results = self._many.push([joining for _, joining in block])
                except Exception as error:  # whatever it is: it is told to whom it ends, and the pool goes on
                    for seat, _ in block:
                        seat.end(error)
                    continue
                if results is None:
                    yield from ((seat, joining.chunk) for seat, joining in block)
                    continue
                for (seat, _), result in zip(block, results, strict=True):
                    seat.take(result)
