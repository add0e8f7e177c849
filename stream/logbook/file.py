"""Opening a history file: made where there is none, brought up to date, refused where it is something else."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from stream.errors import HistoryInvalid, OutputError, TryAgain
from stream.printable import printable

VERSION = 1  # of the tables; a change of them needs an entry in UPDATES
APPLICATION_ID = 0x53434C48  # "SCLH", in the file's header
UPDATES: dict[int, str] = {}  # version -> SQL that makes the next one of it
CACHE_KIB = 256  # of pages a writer keeps: it appends, and a station has a writer for each source
BUSY_SECONDS = 5.0  # to wait for another process that writes
_MAGIC = b"SQLite format 3\0"


def open_for_writing(path: str) -> sqlite3.Connection:
    """A connection in autocommit mode; the file is made, or brought up to this version.

    A commit is in the hands of the operating system when it returns, so the end of the process loses nothing; it is on
    the disk after the next checkpoint.

    Raises:
        HistoryInvalid: it is something else, damaged, or written by a newer version.
        OutputError: it cannot be opened or made.
        TryAgain: another process holds it for longer than `BUSY_SECONDS`.
    """
    _refuse_other_files(path)
    with sqlite_errors(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            version = _version(connection, path)
            if version == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            if version < VERSION:
                _bring_up_to_date(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: str) -> sqlite3.Connection:
    """A connection that changes nothing, also while others write.

    Raises:
        HistoryInvalid: there is no such file, it is something else, damaged, or written by a newer version.
        OutputError: it cannot be opened.
    """
    if not os.path.exists(path):
        raise HistoryInvalid(f"history {printable(path)}: there is no such file; give what --history wrote")
    _refuse_other_files(path)
    address = "file:" + quote(os.path.abspath(path)) + "?mode=ro"
    if not os.path.exists(path + "-wal") and not os.access(os.path.dirname(path) or ".", os.W_OK):
        address += "&immutable=1"  # else SQLite wants to make files beside it
    with sqlite_errors(path):
        connection = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
        try:
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
            version = _version(connection, path)
        except BaseException:
            connection.close()
            raise
    if version < VERSION:
        connection.close()
        raise HistoryInvalid(
            f"history {printable(path)}: "
            + (
                "is empty; nothing has been written yet"
                if version == 0
                else "was written by an older version; listen once with --history to bring it up to date"
            )
        )
    return connection


@contextmanager
def sqlite_errors(path: str) -> Iterator[None]:
    """What SQLite complains about, as errors of this program.

    Raises:
        TryAgain: locked, full, or not readable just now.
        HistoryInvalid: the file is damaged.
        OutputError: anything else.
    """
    name = f"history {printable(path)}"
    try:
        yield
    except UnicodeDecodeError:
        raise HistoryInvalid(
            f"{name}: is damaged (a name in it is no text); move it away, a new one is made"
        ) from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        base = None if code is None else code & 0xFF
        if base in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise TryAgain(f"{name}: another program holds it; close that program") from None
        if base == sqlite3.SQLITE_FULL:
            raise TryAgain(f"{name}: the disk is full; make room") from None
        if base == sqlite3.SQLITE_IOERR:
            raise TryAgain(f"{name}: the disk does not answer ({error}); look at the disk") from None
        if base in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, sqlite3.DataError):
            raise HistoryInvalid(f"{name}: is damaged ({error}); move it away, a new one is made") from None
        raise OutputError(f"{name}: {error}; look at the file and its folder") from None


def _refuse_other_files(path: str) -> None:
    """Refuse what is there and cannot be a history, without touching it."""
    name = f"history {printable(path)}"
    folder = os.path.dirname(path) or "."
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise OutputError(f"{name}: is no file; give a file")
        with open(path, "rb") as file:
            beginning = file.read(len(_MAGIC))
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise OutputError(f"{name}: there is no folder {printable(folder)}; make it first") from None
        return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"{name}: {reason}; give another file") from None
    if beginning and beginning != _MAGIC:
        raise HistoryInvalid(f"{name}: holds something else than a history; give another file")


def _version(connection: sqlite3.Connection, path: str) -> int:
    """Version of the tables; 0 for an empty file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    name = f"history {printable(path)}"
    if application != APPLICATION_ID:
        if version or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise HistoryInvalid(f"{name}: is the SQLite file of another program; give another file")
        return 0
    if version < 1:
        raise HistoryInvalid(
            f"{name}: is damaged (its version is {version}); move it away, a new one is made"
        )
    if version > VERSION:
        raise HistoryInvalid(
            f"{name}: was written by a newer version (its tables are {version}, this program's {VERSION}); "
            "upgrade stream-classify, or give another file"
        )
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Readers and the writer do not wait for each other, where the file system allows it.

    The change of mode needs the file alone, and does not wait for that by itself.
    """
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return


def _bring_up_to_date(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables, or change them, all or nothing; another process may be doing the same."""
    with transaction(connection):
        version = _version(connection, path)
        if version == 0:
            _run(connection, (Path(__file__).parent / "layout.sql").read_text(encoding="utf-8"))
            version = VERSION
        for each in range(version, VERSION):
            _run(connection, UPDATES[each])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Each statement; ``executescript`` would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing; the right to write is taken at the beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def checkpoint(connection: sqlite3.Connection) -> None:
    """See that all commits so far are on the disk."""
    with closing(connection.execute("PRAGMA wal_checkpoint(PASSIVE)")) as cursor:
        cursor.fetchall()
