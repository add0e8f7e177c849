"""Callbacks: functions of your own as a sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.messages import Chunk, Event, Gap, Result, Status


def _nothing(_: Any) -> None:
    pass


class Callbacks:
    """A sink that calls functions: ``run(source, classifier, [Callbacks(on_event=print)])``.

    They are called in the thread of the run, while the next sound waits, and what they raise ends the run. Where they
    may be slow or fail, wrap the whole in `Queued`.

    Args:
        on_event: with each complete event.
        on_onset: with each event when it begins; its ``offset`` is None. An event with the same ``id`` follows.
        on_gap: with each gap, when it is over.
        on_result: with each result, before the others.
        on_status: with each change of what the source is doing.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[Event], object] = _nothing,
        on_onset: Callable[[Event], object] = _nothing,
        on_gap: Callable[[Gap], object] = _nothing,
        on_result: Callable[[Result], object] = _nothing,
        on_status: Callable[[Status], object] = _nothing,
    ) -> None:
        self._on_event, self._on_onset, self._on_gap = on_event, on_onset, on_gap
        self._on_result, self._on_status = on_result, on_status

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """See Sink."""
        self._on_result(result)
        for gap in result.gaps:
            self._on_gap(gap)
        for event in result.events:
            (self._on_onset if event.offset is None else self._on_event)(event)

    def status(self, status: Status) -> None:
        """See Sink."""
        self._on_status(status)

    def close(self) -> None:
        """See Sink."""
