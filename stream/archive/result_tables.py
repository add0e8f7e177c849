"""Results of an archive as files: JSON lines, DCASE tables, Parquet. Written whole or not at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from stream.archive.journal import Entry
from stream.atomic import whole_file
from stream.errors import UsageError
from stream.installation import install_command
from stream.outputs.schema import EventRecord
from stream.printable import printable, unicode_text

ROWS_AT_ONCE = 50_000  # of a Parquet file
Writer = Callable[[IO[bytes], Iterable[Entry]], None]


def writer_for(path: str) -> Writer:
    """What writes a file of this suffix.

    Raises:
        UsageError: no such format, or Parquet without the package for it.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise UsageError(f"-o {unicode_text(path)}: want a name that ends in {', '.join(_WRITERS)}")
    if suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise UsageError(
                f"-o {unicode_text(path)}: Parquet needs pyarrow, which is not installed; run: "
                f"{install_command('archive')}"
            ) from None
    return _WRITERS[suffix]


def write_table(path: str, writer: Writer, entries: Iterable[Entry]) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputError: it cannot be written; what was there before stays.
    """
    with whole_file(path) as file:
        writer(file, entries)


def lines_of(entry: Entry) -> Iterator[bytes]:
    """The JSON lines of a recording, without their ends, a piece of the compressed text at a time."""
    decompressor = zlib.decompressobj()
    rest, data = b"", entry.heard.lines
    while data and not decompressor.eof:
        rest += decompressor.decompress(data, 1 << 20)
        data = decompressor.unconsumed_tail
        *whole, rest = rest.split(b"\n")
        yield from whole


def events_of(entry: Entry) -> Iterator[EventRecord]:
    """The complete events of a recording."""
    for line in lines_of(entry):
        if line.startswith(b'{"type":"event"'):
            yield msgspec.json.decode(line, type=EventRecord)


def _json_lines(file: IO[bytes], entries: Iterable[Entry]) -> None:
    for entry in entries:
        for line in lines_of(entry):
            file.write(line + b"\n")


def _dcase(file: IO[bytes], entries: Iterable[Entry]) -> None:
    """Columns of the sound event detection tasks of DCASE; a recording without events has no row."""
    file.write(b"filename\tonset\toffset\tevent_label\n")
    for entry in entries:
        name = printable(entry.recording.name)
        for event in events_of(entry):
            row = f"{name}\t{event.onset:.3f}\t{event.offset:.3f}\t{printable(event.label)}\n"
            file.write(row.encode())


def _parquet(file: IO[bytes], entries: Iterable[Entry]) -> None:
    """One row an event, with the fields of its JSON line."""
    import pyarrow
    import pyarrow.parquet

    kinds: dict[Any, Any] = {"onset_sample": pyarrow.int64(), "cut": pyarrow.bool_()}
    for name in ("id", "offset_sample", "decided_sample", "sample_rate"):
        kinds[name] = pyarrow.int64()
    for name in ("onset", "offset", "duration", "gap_ms", "peak", "mean"):
        kinds[name] = pyarrow.float64()
    names = [name for name in EventRecord.__struct_fields__ if name not in ("schema", "t_wall", "stream")]
    schema = pyarrow.schema(
        [(name, kinds.get(name, pyarrow.string())) for name in names]
        + [("began_at", pyarrow.timestamp("ms", tz="UTC"))]
    )
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        rows: list[dict[str, Any]] = []
        for entry in entries:
            for event in events_of(entry):
                row = {name: getattr(event, name) for name in names}
                row["began_at"] = round(1000 * (entry.heard.began_at + event.onset))
                rows.append(row)
                if len(rows) == ROWS_AT_ONCE:
                    writer.write_table(pyarrow.Table.from_pylist(rows, schema))
                    rows = []
        writer.write_table(pyarrow.Table.from_pylist(rows, schema))


_WRITERS: dict[str, Writer] = {".jsonl": _json_lines, ".tsv": _dcase, ".parquet": _parquet}
