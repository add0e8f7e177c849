"""SegmentWriter: the files of one segment while it is being written, so that any step may be the last one."""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.messages import Scores
from stream.session import index
from stream.session.index import Beginning, Closing, Step
from stream.session.sound_file import HEADER_BYTES, wav_header

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_ORDER = (index.SOUND_WAV, index.SCORES, index.EVENTS, index.INDEX)  # the index last: it speaks of the others


class SegmentWriter:
    """Appends steps to a new segment.

    Args:
        folder: made here; its parent must be there.
        beginning: of the segment.
        snapshot: of the classifier at its beginning; b"" where there is none.

    Attributes:
        folder, beginning: as given.
        steps, samples: written so far.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, beginning: Beginning, snapshot: bytes = b"") -> None:
        self.folder, self.beginning = folder, beginning
        self.steps = self.samples = 0
        self._lock = threading.Lock()  # `sync` comes from another thread
        self._files: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._sums = dict.fromkeys(("sound", "scores", "events"), 0)
        self._snapshot_sum = zlib.crc32(snapshot)
        folder.mkdir()
        try:
            if snapshot:
                self._open(index.SNAPSHOT)
                self._append(index.SNAPSHOT, snapshot)
            for name in _ORDER:
                self._open(name)
            self._append(index.SOUND_WAV, wav_header(beginning.sample_rate))
            line = index.encode(beginning)
            self._index_sum = zlib.crc32(line)
            self._append(index.INDEX, line)
        except OSError:
            self.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def append(
        self, step: Step, samples: NDArray[np.float32], scores: Scores | None, lines: list[bytes]
    ) -> None:
        """Write one step: all of it or, where the disk is full, nothing.

        Args:
            step: with the counts of what follows.
            samples: (n,) float32.
            scores: rows that became ready.
            lines: about events.

        Raises:
            OSError: it cannot be written.
        """
        clean = np.nan_to_num(samples, nan=0.0, posinf=np.inf, neginf=-np.inf) if step.nan else samples
        sound = np.ascontiguousarray(samples, "<f4").tobytes()
        rows = b"" if scores is None else rows_of(scores).tobytes()
        text = b"".join(lines)
        line = index.encode(step)
        before = dict(self._sizes)
        try:
            self._append(index.SOUND_WAV, sound)
            self._append(index.SCORES, rows)
            self._append(index.EVENTS, text)
            self._append(index.INDEX, line)
        except OSError:
            for name, size in before.items():
                with suppress(OSError):
                    os.ftruncate(self._files[name], size)
            self._sizes = before
            raise
        summed = sound if clean is samples else np.ascontiguousarray(clean, "<f4").tobytes()
        self._sums["sound"] = zlib.crc32(summed, self._sums["sound"])
        self._sums["scores"] = zlib.crc32(rows, self._sums["scores"])
        self._sums["events"] = zlib.crc32(text, self._sums["events"])
        self._index_sum = zlib.crc32(line, self._index_sum)
        self.steps += 1
        self.samples += len(samples)

    def sync(self) -> None:
        """Put on the disk what was written, the index last. From any thread."""
        with self._lock:
            for name in _ORDER:
                if name in self._files:
                    with suppress(OSError):
                        os.fsync(self._files[name])

    def finish(self) -> None:
        """Say that all of it is there. `close` must follow, from any thread."""
        closing = Closing(steps=self.steps, index=self._index_sum, snapshot=self._snapshot_sum, **self._sums)
        with suppress(
            OSError
        ):  # without this line the segment counts as one that was cut off, which can be read
            length = self._sizes[index.SOUND_WAV] - HEADER_BYTES
            os.pwrite(self._files[index.SOUND_WAV], wav_header(self.beginning.sample_rate, length), 0)
            self._append(index.INDEX, index.encode(closing))

    def close(self) -> None:
        """Close the files as they are; without `finish`, of a segment that was cut off."""
        with self._lock:
            for fd in self._files.values():
                with suppress(OSError):
                    os.close(fd)
            self._files.clear()

    def _open(self, name: str) -> None:
        self._files[name] = os.open(self.folder / name, _FLAGS, 0o644)
        self._sizes[name] = 0

    def _append(self, name: str, data: bytes) -> None:
        view = memoryview(data)
        while view:
            done = os.pwrite(self._files[name], view, self._sizes[name])
            self._sizes[name] += done
            view = view[done:]


def rows_dtype(classes: int) -> np.dtype[np.void]:
    """Of a row of scores as it is written: its sample, whether the model was warm, its probabilities."""
    return np.dtype([("sample", "<i8"), ("warm", "?"), ("probs", "<f4", (classes,))])


def rows_of(scores: Scores) -> NDArray[np.void]:
    """(T,) rows as they are written."""
    rows = np.empty(len(scores), rows_dtype(len(scores.labels)))
    rows["sample"], rows["warm"], rows["probs"] = scores.sample, scores.warm, scores.probs
    return rows
