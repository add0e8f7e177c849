"""What a model gave for hours of sound, on disk: written as it comes, readable whatever ended the program.

A store is a folder: ``about.json`` says which model listened, and each part is three files. ``00001.scores`` holds
rows of float16, rounded up, so that no score is taken for less than it was. ``00001.runs`` has a line for each run of
rows without a gap: the row it begins at, and its first sample. ``00001.json`` says what was heard; a part without it
does not count. A device's part has it from the beginning, that of files once they were heard to their end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.atomic import write_bytes
from export.calibration.heard import HeardStream
from stream.errors import DataError, OutputError
from stream.messages import Scores

KIND = "heard"  # of its streams
FORMAT = 1
_TYPE = np.dtype("<f2")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whose scores these are: what must be equal to go on with them.

    Attributes:
        format: of the store.
        model: sha256 of the model file.
        labels: of its columns.
        sample_rate: Hz, of sample indices.
        hop: samples between rows.
        lag: samples from a row's reference sample to the newest one the model had seen for it.
    """

    format: int = FORMAT
    model: str
    labels: tuple[str, ...]
    sample_rate: int
    hop: int
    lag: int


class HeardFile(msgspec.Struct, frozen=True):
    """A file that was heard to its end.

    Attributes:
        path: as it was named.
        size, changed: bytes, and nanoseconds of the last change.
        sha256: of what is in it.
    """

    path: str
    size: int
    changed: int
    sha256: str

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells whether it is still the same file, without reading it."""
        return self.path, self.size, self.changed


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard in one go.

    Attributes:
        source: name of the device, or of the first file.
        began: RFC 3339.
        files: that were heard to their end; () for a device.
    """

    source: str
    began: str
    files: tuple[HeardFile, ...] = ()


class ScoreStore:
    """The scores in a folder, which is made where there is none.

    Args:
        folder: of the store.
        about: whose scores these are.
        resume: go on with what is there already.

    Raises:
        DataError: there are scores and ``resume`` is False, or they are not of this model.
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, about: About, *, resume: bool) -> None:
        self.folder, self.about = folder, about
        described = folder / "about.json"
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is in the way of what will be heard; move it, or choose another -o")
        if described.exists() and self.rows:
            if not resume:
                raise DataError(
                    f"{folder}: holds {_hours(self.hours)} that were heard before: go on with --resume, or delete it"
                )
            self._check(described)
            self._drop_unfinished()
        else:
            write_bytes(described, msgspec.json.format(msgspec.json.encode(about)) + b"\n")

    def _check(self, described: Path) -> None:
        try:
            found = msgspec.json.decode(described.read_bytes(), type=About)
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(f"{described}: cannot be read ({error}); delete {self.folder}") from None
        if found != self.about:
            raise DataError(
                f"{self.folder}: was heard by another model or version; delete it, or choose another -o"
            )

    def _drop_unfinished(self) -> None:
        for path in self.folder.glob("*.scores"):
            if not path.with_suffix(".json").exists():
                path.unlink(missing_ok=True)
                path.with_suffix(".runs").unlink(missing_ok=True)

    @property
    def parts(self) -> dict[Path, Part]:
        """File of the scores -> what was heard, in order."""
        found: dict[Path, Part] = {}
        for path in sorted(self.folder.glob("*.scores")):
            try:
                found[path] = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Part)
            except FileNotFoundError:
                continue
            except (OSError, msgspec.MsgspecError) as error:
                raise DataError(f"{path.with_suffix('.json')}: cannot be read ({error}); delete it") from None
        return found

    @property
    def rows(self) -> int:
        """Complete rows of all parts."""
        return sum(path.stat().st_size // self._row_bytes for path in self.parts)

    @property
    def hours(self) -> float:
        """Hours that these rows are of: what was lost, or not there, is not counted."""
        return self.rows * self.about.hop / self.about.sample_rate / 3600

    @property
    def _row_bytes(self) -> int:
        return _TYPE.itemsize * len(self.about.labels)

    def streams(self) -> list[HeardStream]:
        """Each run as a stream without events; the scores stay on disk until they are looked at."""
        return [stream for path in self.parts for stream in self._streams(path)]

    def _streams(self, path: Path) -> list[HeardStream]:
        width, about = len(self.about.labels), self.about
        rows = path.stat().st_size // self._row_bytes
        if not rows:
            return []
        scores = np.memmap(path, _TYPE, "r", shape=(rows, width))
        runs = _read_runs(path.with_suffix(".runs"), rows)
        ends = [begin for begin, _ in runs[1:]] + [rows]
        return [
            HeardStream(
                scores[begin:end],
                first + about.hop * np.arange(end - begin, dtype=np.int64),
                about.sample_rate,
                about.hop,
                about.lag,
                (end - begin) * about.hop,
                (),
                KIND,
            )
            for (begin, first), end in zip(runs, ends, strict=True)
            if end > begin
        ]

    def begin(self, source: str, *, live: bool) -> PartWriter:
        """A new part.

        Args:
            source: what is heard.
            live: it counts from the beginning, however it ends.
        """
        numbers = [int(path.stem) for path in self.folder.glob("*.scores") if path.stem.isdigit()]
        path = self.folder / f"{max(numbers, default=0) + 1:05d}.scores"
        return PartWriter(path, source, self.about.hop, live=live)


class PartWriter:
    """Writes one part, row by row.

    Args:
        path: of the scores.
        source: what is heard.
        hop: samples between rows.
        live: it counts from the beginning.

    Attributes:
        rows: that were written.
    """

    def __init__(self, path: Path, source: str, hop: int, *, live: bool) -> None:
        self.rows = 0
        self._path, self._source, self._hop, self._live = path, source, hop, live
        self._next: int | None = None  # sample of the row that would go on with the run
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._files: list[BinaryIO] = []
        try:
            for each in (path, path.with_suffix(".runs")):
                self._files.append(open(each, "xb", buffering=0))  # noqa: SIM115 (closed by close)
        except OSError as error:
            raise _cannot_write(path, error) from None
        if live:
            self._describe(())

    def add(self, scores: Scores) -> None:
        """Append the rows that are warm; a jump of their samples begins a new run.

        Raises:
            OutputError: the disk is full, or gone.
        """
        probs, samples = scores.probs[scores.warm], scores.sample[scores.warm]
        cuts = np.flatnonzero(np.diff(samples) != self._hop) + 1
        rows, runs = self._files
        try:
            for begin, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(samples)], strict=True):
                if begin == end:
                    continue
                if int(samples[begin]) != self._next:
                    _write(runs, f"{self.rows} {int(samples[begin])}\n".encode())
                _write(rows, rounded_up(probs[begin:end]).tobytes())
                self.rows += end - begin
                self._next = int(samples[end - 1]) + self._hop
        except OSError as error:
            raise _cannot_write(self._path, error) from None

    def finish(self, files: Sequence[HeardFile] = ()) -> None:
        """These files were heard to their end: the part counts."""
        self.close()
        self._describe(files)

    def close(self) -> None:
        """No more rows."""
        for file in self._files:
            file.close()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _describe(self, files: Sequence[HeardFile]) -> None:
        part = Part(source=self._source, began=self._began, files=tuple(files))
        write_bytes(self._path.with_suffix(".json"), msgspec.json.encode(part) + b"\n")


def rounded_up(probs: NDArray[np.float32]) -> NDArray[np.float16]:
    """The smallest float16 at or above each of (T, C) probabilities; at most 1."""
    half = np.minimum(probs, 1).astype(_TYPE)
    low = half.astype(np.float32) < np.minimum(probs, 1)
    half[low] = np.nextafter(half[low], np.float16(1))
    return half


def _read_runs(path: Path, rows: int) -> list[tuple[int, int]]:
    """(first row, its sample) of each run; a line that was cut off is none."""
    runs: list[tuple[int, int]] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            row, sample = map(int, line.split())
        except ValueError:
            raise DataError(f"{path}: is damaged; delete it and the files of its name") from None
        if row < rows:
            runs.append((row, sample))
    if not runs or runs[0][0] != 0 or any(b <= a for (a, _), (b, _) in pairwise(runs)):
        raise DataError(f"{path}: is damaged; delete it and the files of its name")
    return runs


def _write(file: BinaryIO, data: bytes) -> None:
    while data:  # an unbuffered file may take less than it is given
        data = data[file.write(data) :]


def _hours(hours: float) -> str:
    return f"{hours:.3g} h"


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: cannot be written ({error.strerror}); make room and go on with --resume, or choose another -o"
    )
