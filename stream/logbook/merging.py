"""Runs of one history file taken into another, so that each is there once however often that is done."""

from __future__ import annotations

import sqlite3

from stream.errors import HistoryInvalid
from stream.logbook.file import open_for_reading, open_for_writing, sqlite_errors, transaction

_OF_A_RUN = ("events", "minutes", "minute_classes", "gaps", "statuses", "marks")
_SAME = "source = :source AND started = :started AND model_sha256 = :model_sha256"


def take_in(path: str, other: str) -> None:
    """Write all runs of ``other`` into the history ``path``, in the place of the same ones.

    A run is the same if source, start and model are. All of it is written, or nothing.

    Raises:
        HistoryInvalid: one of them is something else, or damaged.
        OutputError, TryAgain: as `open_for_writing`.
    """
    open_for_reading(other).close()  # it is a history, of this version
    connection = open_for_writing(path)
    try:
        with sqlite_errors(path):
            connection.row_factory = sqlite3.Row
            connection.execute("ATTACH ? AS other", (other,))
            with transaction(connection):
                for run in connection.execute("SELECT * FROM other.runs ORDER BY id").fetchall():
                    _take_run(connection, dict(run))
            connection.execute("DETACH other")
    finally:
        connection.close()


def _take_run(connection: sqlite3.Connection, run: dict[str, object]) -> None:
    before = run.pop("id")
    for table in _OF_A_RUN:
        connection.execute(f"DELETE FROM {table} WHERE run IN (SELECT id FROM runs WHERE {_SAME})", run)
    connection.execute(f"DELETE FROM runs WHERE {_SAME}", run)
    places = ", ".join(f":{name}" for name in run)
    now = connection.execute(f"INSERT INTO runs ({', '.join(run)}) VALUES ({places})", run).lastrowid
    if now is None:
        raise HistoryInvalid("history: a run was not given a number; make the file anew")
    for table in _OF_A_RUN:
        names = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
        columns = ", ".join(f'"{name}"' for name in names if name not in ("id", "run"))
        connection.execute(
            f"INSERT INTO {table} (run, {columns}) SELECT ?, {columns} FROM other.{table} WHERE run = ?",
            (now, before),
        )
