"""Where `filter_speech` writes: raw samples to standard output, or a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from stream.errors import OutputError, UsageError

Format = Literal["s16le", "f32le"]
Write = Callable[[NDArray[np.float32]], None]
_SUBTYPES = {"s16le": "PCM_16", "f32le": "FLOAT"}
_FORMATS = {".wav": "WAV", ".flac": "FLAC"}


def raw_writer(stream: IO[bytes], format: Format) -> Write:
    """Raw samples, each piece handed on at once.

    Raises:
        OutputError: when written to, if that fails. A reader that has left is a BrokenPipeError.
    """

    def write(samples: NDArray[np.float32]) -> None:
        data = as_int16(samples).astype("<i2") if format == "s16le" else samples.astype("<f4")
        try:
            stream.write(data.tobytes())
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write sound: {error.strerror}") from None

    return write


def as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Samples in [-1, 1] as 16-bit integers; those that were made of such integers come back exactly."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


def check_path(path: str, format: Format) -> None:
    """Refuse a file that cannot be written.

    Raises:
        UsageError: a suffix that is neither .wav nor .flac, or a format that FLAC does not have.
        OutputError: no such folder, or one that cannot be written to.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(f"--output {path}: want a name that ends in .wav or .flac, or - for raw samples")
    if suffix == ".flac" and format == "f32le":
        raise UsageError(f"--output {path}: FLAC has no 32-bit floats; write .wav, or s16le")
    folder = Path(path).parent
    if not os.access(folder, os.W_OK | os.X_OK) or Path(path).is_dir():
        raise OutputError(
            f"--output {path}: cannot be written; give a file in a folder that you may write to"
        )


@contextmanager
def file_writer(path: str, format: Format, sample_rate: int) -> Iterator[Write]:
    """A mono WAV or FLAC file, which stands under its name when it is whole; until then as ``NAME.part``.

    Raises:
        OutputError: it cannot be written, or not to the end.
    """
    import soundfile

    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        with soundfile.SoundFile(
            part, "w", sample_rate, 1, _SUBTYPES[format], format=_FORMATS[target.suffix.lower()]
        ) as file:

            def write(samples: NDArray[np.float32]) -> None:
                file.write(as_int16(samples) if format == "s16le" else samples)

            yield write
        part.replace(target)
    except (OSError, soundfile.SoundFileError) as error:
        with suppress(OSError):
            part.unlink()
        raise OutputError(f"--output {path}: cannot be written: {error}") from None
