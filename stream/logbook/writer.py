"""HistoryWriter: rows of one run. What was committed stays, whatever becomes of the process."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from stream._version import __version__
from stream.decisions.spec import DetectorSpec
from stream.errors import OutputError, TryAgain
from stream.logbook.file import checkpoint, open_for_writing, sqlite_errors, transaction
from stream.logbook.minute_sums import MinuteSums
from stream.logbook.packing import pack_peaks, unpack_peaks
from stream.logbook.sound_level import decibels, mean_square

log = logging.getLogger(__name__)

FORGOTTEN_AT_ONCE = 2000  # rows of a table that one transaction removes, so that others need not wait long
_TIMES = {"events": "onset", "minutes": "start", "minute_classes": "start", "gaps": "start",
          "statuses": "at", "marks": "at"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What a run is, as it is known when it starts.

    Attributes:
        started: seconds since 1970.
        source, model, model_sha256: as in the JSON lines.
        live: False for recordings.
        sample_rate: of the model, Hz.
        labels: its classes.
        rules: of the detector, in force.
        promised: label -> false alarms an hour, "" for all together; None where the model says nothing, or other rules
            are in force.
    """

    started: float
    source: str
    live: bool
    sample_rate: int
    model: str
    model_sha256: str
    labels: tuple[str, ...]
    rules: DetectorSpec
    promised: Mapping[str, float] | None = None


class HistoryWriter:
    """Collects rows with ``put`` and writes them together with ``commit``; for one thread.

    Making it closes what a killed run of the same source left open: its events are cut at its last sign of life. A run
    that is alive after all, in another process, sets its rows right with its next ones.

    Args:
        path: of the file.
        run: what begins.
        keep_seconds: rows of this source that are older are removed; None keeps all.

    Raises:
        HistoryInvalid, OutputError, TryAgain: as `open_for_writing`.
    """

    def __init__(self, path: str, run: RunStart, keep_seconds: float | None = None) -> None:
        self.path = path
        self.labels = run.labels
        self._run = run
        self._keep_seconds = keep_seconds
        self._pending: list[tuple[str, dict[str, Any]]] = []
        self._unwritten: dict[int, MinuteSums] = {}
        self._open()

    def _open(self) -> None:
        self._connection = open_for_writing(self.path)
        try:
            with sqlite_errors(self.path):
                self._file = os.stat(self.path)
                with transaction(self._connection):
                    self._close_killed_runs()
                    self.run_id = self._begin_run()
        except BaseException:
            self._connection.close()
            raise

    def put(self, sql: str, **values: Any) -> None:
        """Write this with the next ``commit``. ``:run`` stands for the run."""
        self._pending.append((sql, values))

    def commit(self) -> None:
        """Write what was put, all or nothing.

        Raises:
            TryAgain: not now; what was put is kept for the next ``commit``.
            OutputError: it cannot be written, and is given up.
        """
        if not self._pending:
            return
        try:
            with sqlite_errors(self.path), transaction(self._connection):
                for sql, values in self._pending:
                    self._connection.execute(sql, {"run": self.run_id, **values})
        except TryAgain:
            raise
        except OutputError:
            self._forget_pending()
            raise
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._unwritten.clear()

    def tend(self, now: float) -> None:
        """What is to be done about once a minute: see that all is on the disk, forget what is old, notice a file that
        is gone."""
        with sqlite_errors(self.path):
            checkpoint(self._connection)
            if self._keep_seconds is not None:
                self._forget(now - self._keep_seconds)
        self._reopen_if_gone()

    def seen(self, now: float) -> None:
        """Put a sign of life."""
        self.put("UPDATE runs SET seen = :now, ended = NULL WHERE id = :run", now=now)

    def put_minute(self, sums: MinuteSums) -> None:
        """Put a minute, in place of what the file has of it."""
        self._unwritten[sums.start] = sums
        sound = sums.sound > 0
        self.put(
            "INSERT OR REPLACE INTO minutes (run, start, heard, lost, sound, mean_dbfs, max_dbfs, peaks) "
            "VALUES (:run, :start, :heard, :lost, :sound, :mean, :max, :peaks)",
            start=sums.start,
            heard=round(sums.heard, 4),
            lost=round(sums.lost, 4),
            sound=round(sums.sound, 4),
            mean=round(decibels(sums.energy / sums.sound), 2) if sound else None,
            max=round(decibels(sums.loudest), 2) if sound else None,
            peaks=pack_peaks(sums.peaks) if sums.heard else None,
        )
        seconds = dict(zip(self.labels, sums.on_seconds.tolist(), strict=True))
        for label in {**seconds, **sums.events}:
            if seconds.get(label) or sums.events[label]:
                self.put(
                    "INSERT OR REPLACE INTO minute_classes (run, start, label, seconds, events) "
                    "VALUES (:run, :start, :label, :seconds, :events)",
                    start=sums.start,
                    label=label,
                    seconds=round(seconds.get(label, 0.0), 4),
                    events=sums.events[label],
                )

    def minute(self, start: int) -> MinuteSums:
        """The minute as the file has it, to be added to; a new one if it has none."""
        if start in self._unwritten:
            return self._unwritten[start]
        sums = MinuteSums.empty(start, len(self.labels))
        with sqlite_errors(self.path):
            row = self._connection.execute(
                "SELECT heard, lost, sound, mean_dbfs, max_dbfs, peaks FROM minutes WHERE run = ? AND start = ?",
                (self.run_id, start),
            ).fetchone()
            if row is None:
                return sums
            sums.heard, sums.lost, sums.sound, mean, loudest, peaks = row
            sums.energy = sums.sound * mean_square(mean) if mean is not None else 0.0
            sums.loudest = mean_square(loudest) if loudest is not None else 0.0
            if peaks is not None:
                sums.peaks = unpack_peaks(peaks)
            for label, seconds, events in self._connection.execute(
                "SELECT label, seconds, events FROM minute_classes WHERE run = ? AND start = ?",
                (self.run_id, start),
            ):
                if label in self.labels:
                    sums.on_seconds[self.labels.index(label)] = seconds
                sums.events[label] = events
        return sums

    def close(self, now: float) -> None:
        """End the run. What cannot be written now is lost."""
        try:
            self.put("UPDATE runs SET seen = :now, ended = :now WHERE id = :run", now=now)
            self.commit()
            with sqlite_errors(self.path):
                checkpoint(self._connection)
        finally:
            self._connection.close()

    def _begin_run(self) -> int:
        run = self._run
        cursor = self._connection.execute(
            "INSERT INTO runs (started, seen, source, live, sample_rate, model, model_sha256, labels, rules, "
            "promised, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.started,
                run.started,
                run.source,
                run.live,
                run.sample_rate,
                run.model,
                run.model_sha256,
                json.dumps(run.labels),
                msgspec.json.encode(run.rules).decode(),
                None if run.promised is None else json.dumps(dict(run.promised)),
                __version__,
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _close_killed_runs(self) -> None:
        killed = "(SELECT id FROM runs WHERE source = :source AND ended IS NULL)"
        self._connection.execute(
            f"""
            UPDATE events SET cut = 1,
                "offset" = max(onset, (SELECT seen FROM runs WHERE id = run)),
                offset_sample = onset_sample + round(
                    max(0, (SELECT seen FROM runs WHERE id = run) - onset)
                    * (SELECT sample_rate FROM runs WHERE id = run))
            WHERE "offset" IS NULL AND run IN {killed}
            """,
            {"source": self._run.source},
        )
        self._connection.execute(
            "UPDATE runs SET ended = seen WHERE source = :source AND ended IS NULL",
            {"source": self._run.source},
        )

    def _forget(self, before: float) -> None:
        """Remove a part of what is older, so that each call is short."""
        mine = "run IN (SELECT id FROM runs WHERE source = :source)"
        values = {"before": before, "source": self._run.source, "most": FORGOTTEN_AT_ONCE, "run": self.run_id}
        with transaction(self._connection):
            for table, time in _TIMES.items():
                key = "(run, start, label)" if table == "minute_classes" else "rowid"
                columns = key.strip("()")
                self._connection.execute(
                    f"DELETE FROM {table} WHERE {key} IN "
                    f"(SELECT {columns} FROM {table} WHERE {time} < :before AND {mine} LIMIT :most)",
                    values,
                )
            self._connection.execute(
                "DELETE FROM runs WHERE source = :source AND seen < :before AND id <> :run AND NOT EXISTS "
                "(SELECT 1 FROM events WHERE events.run = runs.id) AND NOT EXISTS "
                "(SELECT 1 FROM minutes WHERE minutes.run = runs.id)",
                values,
            )
        self._connection.execute("PRAGMA incremental_vacuum(256)").fetchall()

    def _reopen_if_gone(self) -> None:
        """SQLite would write on into a file that was moved away or removed."""
        try:
            found: os.stat_result | None = os.stat(self.path)
        except OSError:
            found = None
        if found is not None and os.path.samestat(found, self._file):
            return
        log.warning("history %s: was moved away or removed; a new one is made", self.path)
        self._connection.close()
        self._open()
