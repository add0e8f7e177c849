"""Lines for people: what a terminal shows that cannot draw, and what is left when the dashboard has gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stream.messages import Chunk, Event, Result, Status
from stream.outputs.wall_time import CaptureTimes, local_time
from stream.printable import printable


def clock(seconds: float) -> str:
    """Stream time: 0:42.0, 3:00:00.5."""
    tenths = int(seconds * 10)
    minutes, second = divmod(tenths // 10, 60)
    hours, minute = divmod(minutes, 60)
    start = f"{hours}:{minute:02d}" if hours else f"{minute}"
    return f"{start}:{second:02d}.{tenths % 10}"


def event_line(event: Event, label_width: int = 12, began: str = "") -> str:
    """When (``began``, or where in the sound), what, how long, how sure."""
    length = "still on" if event.offset_s is None else f"{event.offset_s - event.onset_s:.1f} s"
    cut = "  cut" if event.cut else ""
    label = f"{printable(event.label):{label_width}}"
    return f"{began or clock(event.onset_s):>10}  {label}  {length:>8}  {event.peak:4.2f}{cut}"


def closing_lines(
    events: Sequence[Event],
    *,
    count: int,
    seconds: float,
    lost_seconds: float,
    began: Mapping[int, str] | None = None,
    most: int = 40,
) -> list[str]:
    """A table of the newest events, and totals.

    Args:
        events: the newest, in any order.
        count: of all complete events.
        seconds: of the stream.
        lost_seconds: of sound that never reached the model.
        began: the time of day at which events began, by their ids, where that says more than the place in the sound.
        most: events to show.
    """
    shown = sorted(events, key=lambda event: (event.onset, event.id))[-most:]
    width = max((len(printable(event.label)) for event in shown), default=5)
    lines = [f"{'onset':>10}  {'event':{width}}  {'lasted':>8}  peak"] if shown else []
    if count > len(shown) > 0:
        lines.append(f"{'…':>10}  {count - len(shown)} earlier")
    lines += [event_line(event, width, (began or {}).get(event.id, "")) for event in shown]
    lost = f", {lost_seconds:.1f} s of it lost" if lost_seconds else ", nothing lost"
    return [*lines, f"{count} event{'s' * (count != 1)} in {clock(seconds)} of sound{lost}"]


class PlainLines:
    """A sink that writes a short line for each complete event, gap and change of the source.

    Args:
        write: takes a line.
        live: also the wall-clock time of events.
        times: the clocks behind it.
    """

    def __init__(
        self, write: Callable[[str], object], *, live: bool = False, times: CaptureTimes | None = None
    ) -> None:
        self._write, self._live, self._times = write, live, times or CaptureTimes()

    def chunk(self, chunk: Chunk) -> None:
        """Nothing is written about sound."""

    def result(self, result: Result) -> None:
        """Write a result's gaps and complete events."""
        for gap in result.gaps:
            self._write(
                f"{clock(gap.start / gap.sample_rate):>10}  {gap.seconds:.1f} s of sound {gap.reason}"
            )
        for event in result.events:
            began = self._times.onset(event, result)
            if event.offset is not None:
                at = f"  {local_time(began)}" if self._live and began is not None else ""
                self._write(event_line(event) + at)

    def status(self, status: Status) -> None:
        """Write a change of the source."""
        detail = f": {printable(status.detail)}" if status.detail else ""
        self._write(f"{clock(status.sample / status.sample_rate):>10}  {status.state}{detail}")

    def close(self) -> None:
        """Nothing is open."""
