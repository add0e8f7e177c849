"""What another model, or other rules, make of a session: events that are gone, new or moved."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stream.messages import Chunk, Event, Result, Status
from stream.outputs.schema import EventRecord
from stream.session.segment import Contents, Segment


@dataclass(frozen=True, slots=True, order=True)
class Heard:
    """An event without its number, times in seconds."""

    onset: float
    offset: float
    label: str
    peak: float

    def overlaps(self, other: Heard) -> bool:
        return self.label == other.label and self.onset < other.offset and other.onset < self.offset


@dataclass(frozen=True, slots=True)
class EventChanges:
    """Attributes:
    both: pairs of the same label that overlap, as recorded and now.
    gone, new: events without such a partner.
    """

    both: list[tuple[Heard, Heard]]
    gone: list[Heard]
    new: list[Heard]


class EventCollector:
    """A listener of a replay that keeps the complete events, as recorded and as they come now."""

    def __init__(self) -> None:
        self.recorded: list[Heard] = []
        self.now: list[Heard] = []

    def segment(self, segment: Segment, contents: Contents, fresh: bool) -> None:
        """See Listener."""
        for line in contents.lines:
            if line.startswith(b'{"type":"event"'):
                try:
                    event = msgspec.json.decode(line, type=EventRecord)
                except msgspec.MsgspecError:
                    continue
                self.recorded.append(Heard(event.onset, event.offset, event.label, event.peak))

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """See Sink."""
        self.now += [heard for event in result.events if (heard := _heard(event)) is not None]

    def status(self, status: Status) -> None:
        """See Sink."""

    def close(self) -> None:
        """See Sink."""

    def changes(self) -> EventChanges:
        """Events paired, in order of their onsets."""
        both: list[tuple[Heard, Heard]] = []
        new = sorted(self.now)
        gone = []
        for old in sorted(self.recorded):
            partner = next((each for each in new if old.overlaps(each)), None)
            if partner is None:
                gone.append(old)
            else:
                new.remove(partner)
                both.append((old, partner))
        return EventChanges(both, gone, new)


def _heard(event: Event) -> Heard | None:
    if event.offset is None or event.offset_s is None:
        return None
    return Heard(event.onset_s, event.offset_s, event.label, event.peak)
