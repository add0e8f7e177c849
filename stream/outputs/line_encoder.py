"""LineEncoder: messages to the bytes of JSON lines, for whoever writes or sends them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stream.errors import UsageError
from stream.messages import Result, Status
from stream.outputs.records import Origin, result_records, status_record
from stream.outputs.schema import Record
from stream.outputs.wall_time import CaptureTimes
from stream.printable import printable_json


class LineEncoder:
    """Makes one line, with its end, of each record.

    Args:
        origin: repeated in each line. With several classifiers, one for each ``result.model``; status lines, which are
            about the source, take the first.
        times: gives wall times.
        live: False for sound that is not heard as it happens: events then have no wall time.
        onsets: also a line when an event begins.
        scores: also a line for every row of scores.

    Raises:
        UsageError: no origin.
    """

    def __init__(
        self,
        origin: Origin | Mapping[str, Origin],
        times: CaptureTimes,
        *,
        live: bool = True,
        onsets: bool = False,
        scores: bool = False,
    ) -> None:
        if not origin:
            raise UsageError("origin: empty; give an Origin, or one for each model")
        self._origins = {} if isinstance(origin, Origin) else dict(origin)
        self._origin = origin if isinstance(origin, Origin) else next(iter(origin.values()))
        self._times = times
        self._live, self._onsets, self._scores = live, onsets, scores
        self._encoder = msgspec.json.Encoder()

    def result(self, result: Result) -> list[bytes]:
        """Lines about gaps, scores and events, in this order."""
        if not (result.events or result.gaps or result.opened or (self._scores and len(result.scores))):
            return []
        if not self._live:
            result = msgspec.structs.replace(result, captured_at=None)
        origin = self._origins.get(result.model, self._origin)
        records = result_records(result, origin, self._times, onsets=self._onsets, scores=self._scores)
        return [self._line(record) for record in records]

    def status(self, status: Status) -> bytes:
        """The line about a change of the source."""
        wall = self._times.of(status.captured_at if self._live else None)
        return self._line(status_record(status, self._origin, wall))

    def _line(self, record: Record) -> bytes:
        return printable_json(self._encoder.encode(record)) + b"\n"
