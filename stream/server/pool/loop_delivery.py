"""LoopDelivery: what a pool has to say, said in an asyncio loop, with one wake-up of the loop a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from stream.server.pool.any_pool import Tells

T = TypeVar("T")
Call = tuple[Callable[[Any], None], Any, Callable[[list[Any]], list[Any]] | None]


class LoopDelivery:
    """Collects the calls of a pool's thread and makes them in a loop.

    Waking a loop from another thread costs more than most results are worth, so it is done once for all streams.

    Args:
        pool: whose calls.
        loop: where they are to be made.

    Example:
        >>> delivery = LoopDelivery(pool, asyncio.get_running_loop())     # doctest: +SKIP
        >>> pool.take_seat("door", delivery.to(session.on_result), ended=delivery.to(session.on_end))  # doctest: +SKIP
    """

    def __init__(self, pool: Tells, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        self._calls: list[Call] = []
        pool.add_listener(self._wake)

    def to(
        self, function: Callable[[Any], None], together: Callable[[list[T]], list[Any]] | None = None
    ) -> Callable[[T], None]:
        """``function``, to be called in the loop: a callback for `Pool.take_seat` or `Seat.snapshot`.

        Calls arrive in the order in which the pool made them. What was collected before `Seat.leave` still arrives.

        Args:
            function: given what the pool says, or what ``together`` makes of it.
            together: makes one value of each; called in the loop, once for all that came in a batch.
        """

        def collect(value: T) -> None:
            self._calls.append((function, value, together))

        return collect

    def close(self) -> None:
        """Collect no more. The loop may be closed after that."""
        self._pool.remove_listener(self._wake)

    def _wake(self) -> None:
        """The pool's thread, behind a batch."""
        if not self._calls:
            return
        calls, self._calls = self._calls, []
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._make, calls)

    def _make(self, calls: list[Call]) -> None:
        values = [value for _, value, _ in calls]
        for together in {each[2] for each in calls} - {None}:
            places = [place for place, call in enumerate(calls) if call[2] is together]
            assert together is not None
            for place, value in zip(places, together([values[place] for place in places]), strict=True):
                values[place] = value
        for (function, _, _), value in zip(calls, values, strict=True):
            try:
                function(value)
            except Exception as error:  # of one stream: the others are told as well
                self._loop.call_exception_handler(
                    {"message": f"a result could not be taken: {error}", "exception": error}
                )
