"""JsonLines: one JSON object per line, one line per event."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stream.messages import Chunk, Result, Status
from stream.outputs.line_encoder import LineEncoder
from stream.outputs.lines import LineFile
from stream.outputs.records import Origin
from stream.outputs.wall_time import CaptureTimes


class JsonLines:
    """A sink that writes complete events, gaps and changes of the source; on request onsets and every row of scores.

    What stands in a line is described by ``stream.outputs.schema.json_schema()``. Wall times are those of the
    capture, however late a line is written.

    Args:
        path: file to append to, or "-" for standard output.
        origin: repeated in each line. With several classifiers, one for each ``result.model``; status lines, which
            are about the source, take the first.
        live: False for sound that is not heard as it happens: events then have no wall time.
        onsets: also a line when an event begins.
        scores: also a line for every row of scores.
        waits: wait for a slow reader of a pipe or FIFO instead of dropping lines; None = where sound is not live.
        times: the clocks behind wall times.

    Raises:
        OutputError: the file cannot be opened, holds something else than these lines, or another instance has it.
        UsageError: no origin.
    """

    def __init__(
        self,
        path: str | Path,
        origin: Origin | Mapping[str, Origin],
        *,
        live: bool = True,
        onsets: bool = False,
        scores: bool = False,
        waits: bool | None = None,
        times: CaptureTimes | None = None,
    ) -> None:
        self._lines = LineEncoder(origin, times or CaptureTimes(), live=live, onsets=onsets, scores=scores)
        self._file = LineFile(path, waits=not live if waits is None else waits)

    @property
    def path(self) -> str:
        """Where lines go, as it was given."""
        return self._file.path

    @property
    def dropped(self) -> int:
        """Lines lost to a full disk, a reader that did not read, and the like."""
        return self._file.dropped

    def chunk(self, chunk: Chunk) -> None:
        """Nothing is written about sound."""

    def result(self, result: Result) -> None:
        """Write a result's gaps, scores and events."""
        # Also where there is no line: a log file that was moved away is noticed even while nothing happens.
        self._file.write(self._lines.result(result))

    def status(self, status: Status) -> None:
        """Write a change of the source."""
        self._file.write([self._lines.status(status)])

    def reopen(self) -> None:
        """Open the file again before the next line, for log rotation. Safe in a signal handler."""
        self._file.reopen()

    def give_up(self) -> None:
        """Wait no longer for a reader. Safe in a signal handler."""
        self._file.give_up()

    def close(self) -> None:
        """Close the file. A second call does nothing, and neither do later results."""
        self._file.close()
