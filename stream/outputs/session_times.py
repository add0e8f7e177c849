"""Wall times in a session: worked out from what is recorded, so that a replay gives the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.outputs.wall_time import CaptureTimes

if TYPE_CHECKING:
    from stream.messages import Event, Result
    from stream.session.index import Beginning


class SessionTimes(CaptureTimes):
    """As `CaptureTimes`, by clocks that stand still in each segment.

    When an event began follows from its sample alone, counted from the nearest moment before it that was written
    down. So it does not depend on the chunks in which the sound comes.
    """

    def __init__(self) -> None:
        super().__init__(lambda: self._clock[0], lambda: self._clock[1])
        self._clock = (0.0, 0.0)
        self._anchors: dict[float, float] = {}

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """The newest (second of the stream, seconds since 1970) pairs."""
        return tuple(self._anchors.items())[-3:]

    @property
    def running(self) -> dict[int, float]:
        """id -> wall time of the beginning, of events that are on."""
        return {id: wall for (_, _, id), wall in self._onsets.items() if wall is not None}

    def begin(self, beginning: Beginning) -> None:
        """A segment begins: these are its clocks."""
        self._clock = beginning.clock
        self._anchors.update(beginning.anchors)

    def resume(self, beginning: Beginning, stream: str, model: str) -> None:
        """Go on with a segment whose events were told of before it."""
        self._onsets = {(stream, model, id): wall for id, wall in beginning.onsets.items()}

    def onset(self, event: Event, result: Result) -> float | None:
        """See `CaptureTimes`."""
        key = (result.stream, result.model, event.id)
        if event.offset is not None and key in self._onsets:
            return self._onsets.pop(key)
        began = self._wall_at(event.onset / event.sample_rate)
        if event.offset is None:
            self._onsets[key] = began
        return began

    def second_of(self, wall: float) -> float | None:
        """Where in the stream seconds since 1970 are; None where no sound was live."""
        if not self._anchors:
            return None
        earlier = [at for at, then in self._anchors.items() if then <= wall]
        at = max(earlier, default=min(self._anchors))
        return at + (wall - self._anchors[at])

    def _wall_at(self, second: float) -> float | None:
        if not self._anchors:
            return None
        at = max((at for at in self._anchors if at <= second), default=min(self._anchors))
        return self._anchors[at] + (second - at)
