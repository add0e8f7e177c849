"""JsonLines: one JSON object a line, one line an event."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from stream.messages import Result, Status
from stream.outputs.lines import LineFile
from stream.outputs.records import Origin, result_records, status_record


class JsonLines:
    """Writes complete events, gaps and status changes; on request onsets and every row of scores.

    Args:
        path: file to append to, or "-" for standard output.
        origin: repeated in each line.
        live: True when sound arrives as it happens: lines then carry the wall time of the onset.
        onsets: also a line when an event begins.
        scores: also a line for every row of scores.
        clock: seconds since 1970.

    Raises:
        OutputError: the file cannot be opened, or another instance has it.
    """

    def __init__(
        self,
        path: str | Path,
        origin: Origin,
        *,
        live: bool = False,
        onsets: bool = False,
        scores: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = LineFile(path)
        self._origin = origin
        self._live, self._onsets, self._scores = live, onsets, scores
        self._clock = clock
        self._encoder = msgspec.json.Encoder()

    def write(self, result: Result) -> None:
        if not (result.events or result.gaps or (self._scores and len(result.scores))):
            self._file.write([])  # a moved log is noticed even while nothing happens
            return
        wall = self._clock() if self._live else None
        records = result_records(result, self._origin, onsets=self._onsets, scores=self._scores, wall=wall)
        self._file.write([self._encoder.encode(record) + b"\n" for record in records])

    def status(self, status: Status) -> None:
        record = status_record(status, self._origin, self._clock())
        self._file.write([self._encoder.encode(record) + b"\n"])

    def reopen(self) -> None:
        """Open the file anew at the next result, for log rotation; safe in a signal handler."""
        self._file.reopen()

    def close(self) -> None:
        self._file.close()
