"""Comparison: what comes of a session now, beside what came of it when it was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import msgspec
import numpy as np

from stream.messages import Chunk, Result, Status
from stream.outputs.line_encoder import LineEncoder
from stream.outputs.records import Origin
from stream.outputs.session_times import SessionTimes
from stream.session.description import Description
from stream.session.segment import Contents, Segment
from stream.session.segment_writer import rows_dtype, rows_of


class Comparison:
    """A listener of a replay that holds every line and every row against the recorded ones.

    How much of a gap was lost "so far", and what sample a change of the source was told at, depends on the chunks, so
    those lines are compared only where chunks are as they were.

    Args:
        description: of the session.
        model: the id of the model that hears it.
        chunks_as_recorded: compare those as well.

    Attributes:
        events, rows: how many were equal.
        difference: the first difference, in words; "" while there is none.
        holes: segments before which something is missing, where the replay took up a snapshot again.
    """

    def __init__(
        self, description: Description, stream: str, model: str, *, chunks_as_recorded: bool
    ) -> None:
        self._labels = description.labels
        self._all = chunks_as_recorded
        self._names = (stream, model)
        origin = Origin(description.source, description.model, description.model_sha256)
        self._times = SessionTimes()
        self._lines = LineEncoder(origin, self._times, live=description.live, onsets=True)
        self._segment: Segment | None = None
        self._contents: Contents | None = None
        self._said: list[bytes] = []
        self._rows: list[np.ndarray[Any, np.dtype[np.void]]] = []
        self.events = self.rows = 0
        self.difference = ""
        self.holes: list[Segment] = []

    def segment(self, segment: Segment, contents: Contents, fresh: bool) -> None:
        """See Listener."""
        self.close()
        if fresh:
            if self._segment is not None:
                self.holes.append(segment)
            self._times.resume(segment.beginning, *self._names)
        self._times.begin(segment.beginning)
        self._segment, self._contents = segment, contents

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """See Sink."""
        self._said += self._lines.result(result)
        if len(result.scores):
            self._rows.append(rows_of(result.scores))

    def status(self, status: Status) -> None:
        """See Sink."""
        self._said.append(self._lines.status(status))

    def close(self) -> None:
        """Compare what came of the segment that is over."""
        contents, self._contents = self._contents, None
        if contents is None or self.difference:
            return
        rows = np.concatenate([np.empty(0, rows_dtype(len(self._labels))), *self._rows])
        said, self._said, self._rows = self._said, [], []
        self.difference = self._row_difference(contents.rows, rows)
        for recorded, now in zip(_kinds(contents.lines), _kinds(said), strict=True):
            if not self.difference and (self._all or recorded[0] not in ("status", "open gap")):
                self.difference = _line_difference(recorded[0], recorded[1], now[1])
        if not self.difference:
            self.rows += len(rows)
            self.events += sum(line.startswith(b'{"type":"event"') for line in said)

    def _row_difference(
        self, recorded: np.ndarray[Any, np.dtype[np.void]], now: np.ndarray[Any, np.dtype[np.void]]
    ) -> str:
        if recorded.tobytes() == now.tobytes():
            return ""
        for old, new in zip(recorded, now, strict=False):
            if old.tobytes() == new.tobytes():
                continue
            if old["sample"] != new["sample"]:
                return f"row for sample {old['sample']} was recorded, now it is for sample {new['sample']}"
            column = int(np.flatnonzero(old["probs"].view(np.int32) != new["probs"].view(np.int32))[:1].sum())
            label = self._labels[column]
            return f"sample {old['sample']}: {label} {old['probs'][column]} was recorded, now {new['probs'][column]}"
        return f"{len(recorded)} rows of scores were recorded, now there are {len(now)}"


def _kinds(lines: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Lines by kind: their order among kinds depends on the chunks. That a person did something is not told again."""
    kinds: dict[str, list[bytes]] = {"event": [], "gap": [], "open gap": [], "status": []}
    for line in lines:
        name = line[9 : line.find(b'"', 9)].decode("ascii", "replace")
        if name == "gap" and line.rstrip().endswith(b'"open":true}'):
            name = "open gap"
        if name != "status" or not line.rstrip().endswith(b'"by":"person"}'):
            kinds.get(name, kinds["event"]).append(line)
    yield from kinds.items()


def _line_difference(kind: str, recorded: list[bytes], now: list[bytes]) -> str:
    for old, new in zip_longest(recorded, now):
        if old == new:
            continue
        if old is None or new is None:
            line, which = (new, "comes now") if old is None else (old, "was recorded")
            return f"{kind} that only {which}: {line.decode('utf-8', 'replace').strip()}"
        try:
            before, after = msgspec.json.decode(old), msgspec.json.decode(new)
            name = next(name for name in before if before[name] != after.get(name))
            number = before.get("id", before.get("start_sample", before.get("sample")))
            return f"{kind} {number}: {name} {before[name]!r} was recorded, now {after.get(name)!r}"
        except (msgspec.MsgspecError, StopIteration, AttributeError, TypeError):
            return (
                f"{kind}: {old.decode('utf-8', 'replace').strip()} was recorded, now {new.decode().strip()}"
            )
    return ""
