"""HistoryReader: what a history file holds, read while others write, and without trusting it."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from os import PathLike, fspath
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import HistoryInvalid
from stream.logbook.contents import HeardEvent, LostSound, Mark, Minute, Run, StateChange
from stream.logbook.file import open_for_reading, sqlite_errors
from stream.logbook.packing import unpack_curve, unpack_peaks
from stream.printable import printable

ALIVE_SECONDS = 60.0  # a run gives a sign of life every ten


def read_minutes(
    path: str | PathLike[str],
    *,
    since: float = -math.inf,
    until: float = math.inf,
    source: str | None = None,
) -> list[Minute]:
    """The minutes of a history, in order of time: how much was heard, how loud, and how near each class came.

    ``Minute.peaks`` tells in how many minutes of quiet hours a class would have been a false alarm at any threshold: in
    those whose peak reaches it. ``min_on`` is not looked at, which makes the count too high, and several within a
    minute count once, which makes it too low.

    Args:
        path: what ``--history`` wrote; it may be written to meanwhile.
        since, until: seconds since 1970; minutes that begin in [since, until).
        source: only what this source heard; None = all.

    Raises:
        HistoryInvalid, OutputError, TryAgain: the file cannot be read, see `HistoryReader`.
    """
    with HistoryReader(path) as history:
        return list(history.minutes(since=since, until=until, source=source))


class HistoryReader:
    """Reads a history as it is at one moment: what is written meanwhile is not seen.

    Nothing in the file is changed. What is not as this program writes it is an error, so that a damaged file or one
    made by somebody else does no harm.

    Args:
        path: what ``--history`` wrote.
        now: seconds since 1970, to tell a run that is alive from one that was killed.

    Raises:
        HistoryInvalid: no such file, something else, damaged, or written by a newer version.
        OutputError: it cannot be opened.
        TryAgain: another program holds it.
    """

    def __init__(self, path: str | PathLike[str], now: float | None = None) -> None:
        self.path = fspath(path)
        self._now = time.time() if now is None else now
        self._connection = open_for_reading(self.path)
        try:
            with sqlite_errors(self.path):
                self._connection.execute("BEGIN")
            self._runs = {run.id: run for run in self._read("SELECT * FROM runs ORDER BY started, id", _run)}
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> HistoryReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go. A second call does nothing."""
        self._connection.close()

    @property
    def runs(self) -> list[Run]:
        """All runs, in order of their start."""
        return list(self._runs.values())

    @property
    def sources(self) -> list[str]:
        """Names of all sources, in alphabetical order."""
        return sorted({run.source for run in self._runs.values()})

    def is_alive(self, run: Run) -> bool:
        """Whether it has not ended, and gave a sign of life within the last minute."""
        return run.ended is None and self._now - run.seen < ALIVE_SECONDS

    def events(
        self, *, since: float = -math.inf, until: float = math.inf, source: str | None = None
    ) -> Iterator[HeardEvent]:
        """Events that were on at some time in [since, until), in order of onset.

        One whose run was killed is cut at the last sign of life of the run.
        """

        # An event that is on has no end yet; that of its run is looked at below.
        rows = self._read(
            'SELECT * FROM events WHERE onset < ? AND ("offset" IS NULL OR "offset" >= ?) ORDER BY onset, run, number',
            self._event,
            (until, since),
        )
        return (each for each in rows if each.offset >= since and source in (None, each.run.source))

    def event(self, run: int, number: int) -> HeardEvent | None:
        """The event of this number in a run; None where there is none."""
        rows = self._read("SELECT * FROM events WHERE run = ? AND number = ?", self._event, (run, number))
        found: HeardEvent | None = next(rows, None)
        return found

    def minutes(
        self, *, since: float = -math.inf, until: float = math.inf, source: str | None = None
    ) -> Iterator[Minute]:
        """Minutes that begin in [since, until), in order of time; see `read_minutes`."""
        classes: dict[tuple[int, int], dict[str, tuple[float, int]]] = defaultdict(dict)

        def note(row: Mapping[str, Any]) -> None:
            seconds, events = _real(row["seconds"]), int(row["events"])
            classes[int(row["run"]), int(row["start"])][_text(row["label"])] = seconds, events

        # By way of the minutes, which have an index by time.
        of_minutes = (
            "SELECT c.* FROM minutes AS m JOIN minute_classes AS c ON c.run = m.run AND c.start = m.start "
            "WHERE m.start >= ? AND m.start < ?"
        )
        for _ in self._read(of_minutes, note, (since, until)):
            pass

        def minute(row: Mapping[str, Any]) -> Minute:
            run = self._run_of(row)
            found = classes.get((run.id, int(row["start"])), {})
            return Minute(
                run=run,
                start=_time(row["start"]),
                heard=_real(row["heard"]),
                lost=_real(row["lost"]),
                sound=_real(row["sound"]),
                mean_dbfs=None if row["mean_dbfs"] is None else _real(row["mean_dbfs"]),
                max_dbfs=None if row["max_dbfs"] is None else _real(row["max_dbfs"]),
                seconds={label: seconds for label, (seconds, _) in found.items() if seconds},
                events={label: events for label, (_, events) in found.items() if events},
                peaks=_peaks(row["peaks"], len(run.labels)),
            )

        rows = self._read(
            "SELECT * FROM minutes WHERE start >= ? AND start < ? ORDER BY start, run", minute, (since, until)
        )
        return (each for each in rows if source in (None, each.run.source))

    def lost(
        self, *, since: float = -math.inf, until: float = math.inf, source: str | None = None
    ) -> Iterator[LostSound]:
        """Stretches of lost sound that reach into [since, until), in order of time."""

        def gap(row: Mapping[str, Any]) -> LostSound:
            return LostSound(
                run=self._run_of(row),
                start=_time(row["start"]),
                seconds=_real(row["seconds"]),
                reason=_text(row["reason"]),
                is_open=bool(row["is_open"]),
            )

        rows = self._read(
            "SELECT * FROM gaps WHERE start < ? AND start + seconds >= ? ORDER BY start, run",
            gap,
            (until, since),
        )
        return (each for each in rows if source in (None, each.run.source))

    def states(
        self, *, since: float = -math.inf, until: float = math.inf, source: str | None = None
    ) -> Iterator[StateChange]:
        """Changes of what sources were doing in [since, until), in order of time."""

        def state(row: Mapping[str, Any]) -> StateChange:
            return StateChange(
                run=self._run_of(row),
                at=_time(row["at"]),
                state=_text(row["state"]),
                detail=_text(row["detail"]),
            )

        rows = self._read(
            "SELECT * FROM statuses WHERE at >= ? AND at < ? ORDER BY at, id", state, (since, until)
        )
        return (each for each in rows if source in (None, each.run.source))

    def marks(
        self, *, since: float = -math.inf, until: float = math.inf, source: str | None = None
    ) -> Iterator[Mark]:
        """Marked moments in [since, until), in order of time."""

        def mark(row: Mapping[str, Any]) -> Mark:
            return Mark(run=self._run_of(row), at=_time(row["at"]), text=_text(row["text"]))

        rows = self._read(
            "SELECT * FROM marks WHERE at >= ? AND at < ? ORDER BY at, id", mark, (since, until)
        )
        return (each for each in rows if source in (None, each.run.source))

    def _read(
        self, sql: str, make: Callable[[Mapping[str, Any]], Any], values: tuple[float, ...] = ()
    ) -> Iterator[Any]:
        with sqlite_errors(self.path):
            cursor = self._connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            for row in cursor:
                try:
                    made = make(dict(zip(names, row, strict=True)))
                except (TypeError, ValueError, KeyError, OverflowError) as error:
                    raise HistoryInvalid(
                        f"history {printable(self.path)}: is damaged ({printable(str(error))[:200]}); "
                        "move it away, a new one is made"
                    ) from None
                yield made

    def _event(self, row: Mapping[str, Any]) -> HeardEvent:
        run = self._run_of(row)
        blob = _blob(row["curve"])
        onset = _time(row["onset"])
        open_ended = row["offset"] is None
        offset = max(onset, run.seen) if open_ended else _time(row["offset"])
        alive = open_ended and self.is_alive(run)
        return HeardEvent(
            run=run,
            number=int(row["number"]),
            label=_text(row["label"]),
            onset=onset,
            offset=offset,
            is_on=alive,
            peak=_real(row["peak"]),
            mean=_real(row["mean"]),
            gap_seconds=_real(row["gap_seconds"]),
            cut=bool(row["cut"]) or (open_ended and not alive),
            rule=_text(row["rule"]),
            curve=np.empty(0, np.float32) if blob is None else unpack_curve(blob),
            curve_start=0.0 if blob is None else _real(row["curve_start"]),
            curve_step=0.0 if blob is None else _real(row["curve_step"]),
            clip=None if row["clip"] is None else _text(row["clip"]),
        )

    def _run_of(self, row: Mapping[str, Any]) -> Run:
        run: Run = self._runs[row["run"]]
        return run


def _run(row: Mapping[str, Any]) -> Run:
    labels = json.loads(_text(row["labels"]))
    promised = None if row["promised"] is None else json.loads(_text(row["promised"]))
    return Run(
        id=int(row["id"]),
        started=_time(row["started"]),
        seen=_time(row["seen"]),
        ended=None if row["ended"] is None else _time(row["ended"]),
        source=_text(row["source"]),
        live=bool(row["live"]),
        sample_rate=int(row["sample_rate"]),
        model=_text(row["model"]),
        model_sha256=_text(row["model_sha256"]),
        labels=tuple(_text(label) for label in labels),
        rules=_text(row["rules"]),
        promised=None if promised is None else {_text(k): _real(v) for k, v in dict(promised).items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _blob(value: Any) -> bytes | None:
    if not isinstance(value, bytes | None):
        raise TypeError("a curve that is no blob")
    return value


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _time(value: Any) -> float:
    seconds = _real(value)
    if not -1e9 < seconds < 1e11:  # 1938 to 5138; beyond it dates cannot be written
        raise ValueError(f"{value!r} is no time")
    return seconds


def _peaks(value: Any, classes: int) -> NDArray[np.float32]:
    if value is None:
        return np.full(classes, np.nan, np.float32)
    peaks = unpack_peaks(value if isinstance(value, bytes) else b"?")
    if len(peaks) != classes:
        raise ValueError(f"{len(peaks)} peaks of {classes} classes")
    return peaks
