"""FlacDraft: a FLAC file that is written bit by bit, and appears under its name only when it is whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from stream.errors import OutputError
from stream.outputs.flac_tags import Tag, write_tags
from stream.outputs.locking import lock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HIGHEST_RATE = 655_350  # Hz, that FLAC can state
TAG_BYTES = 4096  # room that is left for tags
_PREFIX, _SUFFIX = ".stream-classify-", ".part"


class FlacDraft:
    """Mono, 16 bits. One of ``finish`` and ``discard`` must follow, also after an error.

    Until then it lies in the same folder under a hidden name, locked, so that `remove_leftovers` of another
    instance lets it be.

    Args:
        folder: made if it is not there.
        sample_rate: Hz.
        tag_bytes: room for the tags that ``finish`` is given.

    Attributes:
        frames: samples written so far.

    Raises:
        OutputError: the file cannot be made.
    """

    def __init__(self, folder: str | Path, sample_rate: int, *, tag_bytes: int = TAG_BYTES) -> None:
        import soundfile

        self.folder = Path(folder)
        self.frames = 0
        if sample_rate > HIGHEST_RATE:
            raise OutputError(f"{sample_rate} Hz: FLAC goes up to {HIGHEST_RATE} Hz; open the source at less")
        self._path = self.folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            fd = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise self._error(error) from None
        with suppress(OSError):  # a file system without locks
            lock(fd)
        self._file = _Disk(os.fdopen(fd, "r+b", buffering=0))
        try:
            self._sound = soundfile.SoundFile(
                self._file, "w", sample_rate, channels=1, format="FLAC", subtype="PCM_16"
            )
            self._sound.comment = " " * tag_bytes
        except soundfile.SoundFileError as error:
            self._give_up(error)

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append (n,) float32 samples. What is missing (NaN) becomes silence; what is beyond full scale is clipped.

        Raises:
            OutputError: the disk is full, or gone. Nothing is left behind.
        """
        import numpy as np
        import soundfile

        try:
            self._sound.write(np.clip(np.nan_to_num(samples, posinf=1.0, neginf=-1.0), -1, 1))
        except soundfile.SoundFileError as error:
            self._give_up(error)
        self._check()
        self.frames += len(samples)

    def finish(self, stem: str, tags: Sequence[Tag] = ()) -> Path:
        """Complete the file and give it its name: ``stem``.flac, or with a number where that is taken.

        Raises:
            OutputError: the disk is full, or gone. Nothing is left behind.
        """
        import soundfile

        try:
            self._sound.close()
        except soundfile.SoundFileError as error:
            self._give_up(error)
        self._check()
        try:
            write_tags(self._file.raw, tags)
            os.fsync(self._file.raw.fileno())
            self._file.raw.close()  # Windows renames no open file
            path = _publish(self._path, self.folder, stem)
            _sync_folder(self.folder)
        except (OSError, ValueError) as error:
            self._give_up(error)
        return path

    def discard(self) -> None:
        """Remove what was written. Does nothing after ``finish``."""
        import soundfile

        self._file.failed = self._file.failed or OSError("discarded")  # closing writes nothing more
        with suppress(OSError, soundfile.SoundFileError, AttributeError):
            self._sound.close()
        with suppress(OSError):
            self._file.raw.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._file.failed is not None:
            self._give_up(self._file.failed)

    def _give_up(self, error: Exception) -> None:
        reason = self._file.failed or error
        self.discard()
        raise self._error(reason) from None

    def _error(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        return OutputError(
            f"{self.folder}: no sound can be written: {reason}; make room, or name another folder"
        )


class _Disk:
    """The file as libsndfile sees it: one that always works. After an error, which is kept, nothing is written."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.failed: OSError | None = None

    def write(self, data: bytes) -> int:
        done = 0
        try:
            while self.failed is None and done < len(data):
                done += self.raw.write(data[done:])
        except OSError as error:
            self.failed = error
        return len(data)

    def read(self, size: int = -1) -> bytes:
        return self.raw.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.raw.seek(offset, whence)

    def tell(self) -> int:
        return self.raw.tell()


def remove_leftovers(folder: str | Path) -> int:
    """Remove drafts that a process left behind when it was killed; how many there were.

    Raises:
        OSError: the folder cannot be read.
    """
    removed = 0
    with os.scandir(folder) as entries:
        drafts = [
            entry for entry in entries if entry.name.startswith(_PREFIX) and entry.name.endswith(_SUFFIX)
        ]
    for entry in drafts:
        if not entry.is_file(follow_symlinks=False):
            continue
        with suppress(OSError):  # somebody is writing it, or it is not ours to remove
            fd = os.open(entry.path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            try:
                lock(fd)
                os.unlink(entry.path)
                removed += 1
            finally:
                os.close(fd)
    return removed


def _publish(draft: Path, folder: Path, stem: str) -> Path:
    """Give a whole file its name, never one that is taken."""
    number = 1
    while True:
        path = folder / f"{stem}{f'-{number}' if number > 1 else ''}.flac"
        number += 1
        try:
            os.link(draft, path)
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links: two instances might choose the same name at once
            if os.path.lexists(path):
                continue
            os.rename(draft, path)
        else:
            os.unlink(draft)
        return path


def _sync_folder(folder: Path) -> None:
    """Make the name outlive a power cut, where the system can."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
