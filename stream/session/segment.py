"""Segment: one part of a session, read with suspicion."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.errors import SessionInvalid, SnapshotInvalid
from stream.messages import Chunk
from stream.session import index
from stream.session.description import check_plain, damaged, read_bounded
from stream.session.index import Beginning, Closing, Step
from stream.session.segment_writer import rows_dtype
from stream.session.sound_file import HEADER_BYTES, read_flac, read_wav
from stream.snapshot import Snapshot

MAX_SNAPSHOT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a segment holds, checked.

    Attributes:
        steps: in order.
        samples: (n,) float32 of all chunks, NaN where there was no number.
        rows: (T,) scores as written, see `rows_dtype`.
        lines: about events, each with its end.
        cut: whether it ends where its writer was cut off.
    """

    steps: list[Step]
    samples: NDArray[np.float32]
    rows: NDArray[np.void]
    lines: list[bytes]
    cut: bool


class Segment:
    """One segment of a session.

    Args:
        session: folder of the session.
        name: of the segment's folder in it.
        classes: columns of the scores.

    Attributes:
        number, name: of its folder.
        begun: whether it has a first line; nothing below is there without one.
        beginning: its first line.
        closed: whether its writer had finished it.
    """

    def __init__(self, session: Path, name: str, classes: int) -> None:
        self.number, self.name = int(name), name
        self._session, self._folder, self._classes = session, session / name, classes
        if self._folder.is_symlink() or not self._folder.is_dir():
            raise damaged(session, name, "it is no folder")
        try:
            with open(self._folder / index.INDEX, "rb") as file:
                check_plain(
                    os.lstat(self._folder / index.INDEX),
                    f"{name}/{index.INDEX}",
                    index.MAX_INDEX_BYTES,
                    session,
                )
                head = file.readline(index.MAX_INDEX_BYTES)
                file.seek(max(0, os.fstat(file.fileno()).st_size - 1024))
                tail = file.read(1024)
        except FileNotFoundError:
            head = tail = b""
        except OSError as error:
            raise damaged(session, f"{name}/{index.INDEX}", error.strerror) from None
        self.begun = head.endswith(b"\n")
        self.closed = tail.endswith(b"\n") and tail.rstrip(b"\n").rpartition(b"\n")[2].startswith(
            index.CLOSING_PREFIX
        )
        if self.begun:
            try:
                self.beginning: Beginning = index.decode_beginning(head)
            except (ValueError, RecursionError) as error:
                raise self._damaged(index.INDEX, f"line 1: {error}") from None

    @property
    def second(self) -> float:
        """Where it begins, in seconds of the stream."""
        return self.beginning.start / self.beginning.sample_rate

    def snapshot(self) -> Snapshot:
        """The state of the classifier at its beginning.

        Raises:
            SessionInvalid: it is missing or damaged.
        """
        data = read_bounded(self._folder / index.SNAPSHOT, MAX_SNAPSHOT_BYTES, self._session)
        try:
            return snapshots.unpack(data)
        except SnapshotInvalid as error:
            raise self._damaged(index.SNAPSHOT, error) from None

    def lines(self) -> list[bytes]:
        """The lines about events alone, unchecked, for those who look for one.

        Raises:
            SessionInvalid: they cannot be read.
        """
        data = read_bounded(self._folder / index.EVENTS, index.MAX_INDEX_BYTES, self._session)
        return data.splitlines(keepends=True)

    def contents(self) -> Contents:
        """Everything else that it holds.

        Raises:
            SessionInvalid: it is damaged.
        """
        data = read_bounded(self._folder / index.INDEX, index.MAX_INDEX_BYTES, self._session)
        lines = data.splitlines(keepends=True)
        closing = self._closing(lines, data) if self.closed else None
        body = lines[1:-1] if closing else [line for line in lines[1:] if line.endswith(b"\n")]
        if len(body) > index.MAX_STEPS:
            raise self._damaged(index.INDEX, f"has {len(body)} steps")
        steps, count = self._steps(body)
        samples = self._sound(count if closing else None)
        rows_wanted, text_wanted = sum(s.rows for s in steps), sum(s.text for s in steps)
        kind = rows_dtype(self._classes)
        rows = self._read(index.SCORES, rows_wanted * kind.itemsize, closing)
        text = self._read(index.EVENTS, text_wanted, closing)
        if closing is None:  # cut off: up to the last step of which everything is there
            steps = _whole(steps, len(samples), len(rows) // kind.itemsize, len(text))
        samples = samples[: sum(s.n for s in steps)]
        rows = rows[: sum(s.rows for s in steps) * kind.itemsize]
        text = text[: sum(s.text for s in steps)]
        if closing is not None:
            self._compare(closing, samples, rows, text)
        _mark(samples, steps)
        told = text.splitlines(keepends=True)
        return Contents(steps, samples, np.frombuffer(rows, kind), told, closing is None)

    def chunks(self, contents: Contents) -> Iterator[tuple[Step, Chunk | None]]:
        """The chunks of the source as they came, each with its step; None for the end of the stream."""
        beginning = self.beginning
        due, at = beginning.start, 0
        state, detail = beginning.state, beginning.detail
        for step in contents.steps:
            if step.flush:
                yield step, None
                continue
            state = step.state or state
            detail = detail if step.detail is None else step.detail
            start = due if step.start is None else step.start
            samples = contents.samples[at : at + step.n]
            yield step, Chunk(samples, start, beginning.sample_rate, step.at, state, detail, step.missing)
            due, at = start + step.n, at + step.n

    def _closing(self, lines: list[bytes], data: bytes) -> Closing:
        try:
            closing = index.decode_closing(lines[-1])
        except ValueError as error:
            raise self._damaged(index.INDEX, f"last line: {error}") from None
        if zlib.crc32(data[: len(data) - len(lines[-1])]) != closing.index or closing.steps != len(lines) - 2:
            raise self._damaged(index.INDEX, "is not as it was written")
        return closing

    def _steps(self, lines: list[bytes]) -> tuple[list[Step], int]:
        steps: list[Step] = []
        due, count = self.beginning.start, 0
        for number, line in enumerate(lines, 2):
            try:
                step = index.decode_step(line, due)
            except (ValueError, RecursionError) as error:
                raise self._damaged(index.INDEX, f"line {number}: {error}") from None
            due = (due if step.start is None else step.start) + step.n
            count += step.n
            if count > 2 * index.MAX_SAMPLES:
                raise self._damaged(index.INDEX, f"line {number}: {count} samples are too many")
            steps.append(step)
        return steps, count

    def _sound(self, count: int | None) -> NDArray[np.float32]:
        """Of a finished segment exactly ``count`` samples."""
        rate = self.beginning.sample_rate
        for _ in range(2):  # one is made of the other while we look
            for name in (index.SOUND_FLAC, index.SOUND_WAV):
                path = self._folder / name
                try:
                    check_plain(
                        os.lstat(path),
                        f"{self.name}/{name}",
                        HEADER_BYTES + 8 * index.MAX_SAMPLES,
                        self._session,
                    )
                    if name == index.SOUND_FLAC and count is not None:
                        return read_flac(path, rate, count)
                    samples = read_wav(path, rate)
                except FileNotFoundError:
                    continue
                except (OSError, ValueError) as error:
                    raise self._damaged(name, error) from None
                if count is not None and len(samples) != count:
                    raise self._damaged(name, f"has {len(samples)} samples, the index {count}")
                return samples.copy()
        raise self._damaged(index.SOUND_WAV, "is missing")

    def _read(self, name: str, size: int, closing: Closing | None) -> bytes:
        data = read_bounded(self._folder / name, index.MAX_INDEX_BYTES * 16, self._session)
        if closing is not None and len(data) != size:
            raise self._damaged(name, f"has {len(data)} bytes, the index {size}")
        return data

    def _compare(self, closing: Closing, samples: NDArray[np.float32], rows: bytes, text: bytes) -> None:
        clean = np.nan_to_num(samples, nan=0.0, posinf=np.inf, neginf=-np.inf).tobytes()
        sound = index.SOUND_FLAC if (self._folder / index.SOUND_FLAC).exists() else index.SOUND_WAV
        for name, data, wanted in (
            (sound, clean, closing.sound),
            (index.SCORES, rows, closing.scores),
            (index.EVENTS, text, closing.events),
        ):
            if zlib.crc32(data) != wanted:
                raise self._damaged(name, "is not as it was written")
        if self.beginning.begins == "snapshot":
            path = self._folder / index.SNAPSHOT
            if zlib.crc32(read_bounded(path, MAX_SNAPSHOT_BYTES, self._session)) != closing.snapshot:
                raise self._damaged(index.SNAPSHOT, "is not as it was written")

    def _damaged(self, name: str, what: object) -> SessionInvalid:
        return damaged(self._session, f"{self.name}/{name}", what)


def _whole(steps: list[Step], samples: int, rows: int, text: int) -> list[Step]:
    """The steps of which everything is there."""
    whole: list[Step] = []
    for step in steps:
        samples, rows, text = samples - step.n, rows - step.rows, text - step.text
        if min(samples, rows, text) < 0:
            break
        whole.append(step)
    return whole


def _mark(samples: NDArray[np.float32], steps: list[Step]) -> None:
    """Put back what is no number, in place."""
    at = 0
    for step in steps:
        for offset, length in step.nan:
            samples[at + offset : at + offset + length] = np.nan
        at += step.n
