"""Journal: what has been listened to, in one SQLite file beside the results. What it says was done is done once."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import msgspec

from stream.archive.inventory import Recording
from stream.archive.listener import Heard, Setup
from stream.errors import OutputError, UsageError
from stream.outputs.locking import lock
from stream.printable import unicode_text

VERSION = 1
LOOKING_SECONDS = 10.0  # that a reader of the file may hold up what is written
_MAGIC = b"SQLite format 3\0"
APPLICATION_ID = 0x53434C41  # "SCLA", in the file's header
_TABLES = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE setup (text TEXT NOT NULL);
CREATE TABLE recordings (
    path BLOB PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    seconds REAL NOT NULL, lost_seconds REAL NOT NULL, began_at REAL NOT NULL, events TEXT NOT NULL,
    class_seconds TEXT NOT NULL, problem TEXT NOT NULL, failed INTEGER NOT NULL, lines BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording that is done, and what it came to."""

    recording: Recording
    heard: Heard


class Journal:
    """Opens the journal, or begins one. One process at a time.

    Args:
        path: of the file.
        setup: how is listened; a journal of another setup is refused, so that no result mixes two.

    Raises:
        UsageError: it was begun with another model or other settings.
        OutputError: it cannot be written, is in use, or is no journal.
    """

    def __init__(self, path: str, setup: Setup) -> None:
        self.path = path
        self._setup = setup
        with self._errors():
            self._file = open(path, "ab")  # noqa: SIM115  # held open for its lock
            # Who else writes is told by the lock; who only looks in lets go after a moment.
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=LOOKING_SECONDS)
        try:
            try:
                lock(self._file.fileno())
            except OSError:
                raise OutputError(
                    f"{unicode_text(path)}: another scan writes there; wait for it, or choose another -o"
                ) from None
            with self._errors():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        pragmas = [self._value(f"PRAGMA {name}") for name in ("application_id", "user_version")]
        tables = self._value("SELECT count(*) FROM sqlite_master")
        text = json.dumps(msgspec.to_builtins(self._setup), sort_keys=True)
        if pragmas == [0, 0] and tables == 0:
            self._connection.executescript("BEGIN;" + _TABLES)
            self._connection.execute("INSERT INTO setup VALUES (?)", (text,))
            self._connection.execute("COMMIT")
        elif pragmas != [APPLICATION_ID, VERSION]:
            raise OutputError(
                f"{unicode_text(self.path)}: is not the journal of a scan by this version; move it away, or choose "
                "another -o"
            )
        elif (begun := self._value("SELECT text FROM setup")) != text:
            raise UsageError(
                f"{unicode_text(self.path)}: was begun with {_difference(begun, text)}; go on with the same, choose "
                "another -o, or start anew with --again"
            )
        self._connection.execute("PRAGMA synchronous = FULL")

    def done(self) -> dict[str, Entry]:
        """Recordings that were listened to, by path. Their lines are left out."""
        return {entry.recording.path: entry for entry in self._entries("x''")}

    def put(self, recording: Recording, heard: Heard) -> None:
        """Write that a recording is done, and what it came to: on the disk when this returns."""
        with self._errors():
            self._connection.execute(
                "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    os.fsencode(recording.path),
                    recording.name,
                    recording.size,
                    recording.modified_ns,
                    heard.seconds,
                    heard.lost_seconds,
                    heard.began_at,
                    json.dumps(heard.events or {}),
                    json.dumps(heard.class_seconds or {}),
                    heard.problem,
                    heard.failed,
                    heard.lines,
                ),
            )

    def entries(self, wanted: set[str]) -> Iterator[Entry]:
        """Recordings of these paths, with their lines, in the order of their names."""
        return (entry for entry in self._entries("lines") if entry.recording.path in wanted)

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._connection.close()
        self._file.close()

    def _entries(self, lines: str) -> Iterator[Entry]:
        with self._errors(), closing(self._connection.cursor()) as cursor:
            cursor.execute(
                "SELECT path, name, size, modified_ns, seconds, lost_seconds, began_at, events, class_seconds, "
                f"problem, failed, {lines} FROM recordings ORDER BY name, path"
            )
            for (
                path,
                name,
                size,
                modified,
                seconds,
                lost,
                began,
                events,
                classes,
                problem,
                failed,
                kept,
            ) in cursor:
                yield Entry(
                    Recording(os.fsdecode(path), name, size, modified),
                    Heard(
                        seconds,
                        lost,
                        began,
                        json.loads(events),
                        json.loads(classes),
                        problem,
                        bool(failed),
                        kept,
                    ),
                )

    def _value(self, sql: str) -> object:
        return self._connection.execute(sql).fetchone()[0]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"{unicode_text(self.path)}: the journal of the scan cannot be used ({reason}); make room or move it "
                "away, or choose another -o"
            ) from None


def discard_journal(path: str) -> None:
    """Remove a journal, so that all is listened to again; nothing where there is none.

    Raises:
        OutputError: what lies there is something else, which stays, or a scan is writing to it.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(100)
            if head and not (head.startswith(_MAGIC) and head[68:72] == APPLICATION_ID.to_bytes(4, "big")):
                raise OutputError(
                    f"{unicode_text(path)}: is not the journal of a scan; move it away, or choose another -o"
                )
            lock(file.fileno())
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(
            f"{unicode_text(path)}: cannot be begun anew ({error.strerror or error}); wait for another scan "
            "that writes there, or choose another -o"
        ) from None
    with suppress(FileNotFoundError):
        os.unlink(path + "-journal")


def _difference(begun: object, now: str) -> str:
    """Which settings a journal was begun with that are others now."""
    before, after = json.loads(str(begun)), json.loads(now)
    names = [name for name in after if before.get(name) != after[name]]
    return "another model" if {"model", "sha256"} & set(names) else f"other settings ({', '.join(names)})"
