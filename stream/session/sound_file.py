"""The sound of a segment, kept to the bit.

It is written as a WAV of 32-bit floats, sample by sample, with a length of "unknown" in its header, so that it can be
played and read whatever happens to its writer. A finished one becomes FLAC where its samples are whole numbers of
16 or 24 bits, as those of sound cards and of most files are; else it stays as it is. What is no number is 0 in FLAC:
the index says where.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 44
UNKNOWN = 0xFFFFFFFF
_FLOAT = 3


def wav_header(sample_rate: int, data_bytes: int | None = None) -> bytes:
    """Of one channel of float32; ``data_bytes`` None = not known yet."""
    known = data_bytes is not None and data_bytes + 36 < UNKNOWN
    data = data_bytes if known and data_bytes is not None else UNKNOWN
    riff = data + 36 if known else UNKNOWN
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _FLOAT, 1, sample_rate, 4 * sample_rate, 4, 32)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", data)


def as_integers(samples: NDArray[np.float32], bits: int) -> NDArray[np.int32] | None:
    """(n,) samples as whole numbers of so many bits, from which the same bits come back; None where there are none."""
    scale = float(1 << (bits - 1))
    scaled = samples.astype(np.float64) * scale
    if not np.isfinite(scaled).all() or not ((scaled >= -scale) & (scaled < scale)).all():
        return None
    whole = scaled.astype(np.int32)
    back = (whole / scale).astype(np.float32)
    return whole if np.array_equal(back.view(np.int32), samples.view(np.int32)) else None


def to_flac(wav: Path, flac: Path, sample_rate: int) -> bool:
    """Make a FLAC of a finished WAV and remove that, if every sample fits; whether it did.

    The WAV is only removed once the FLAC is on the disk.
    """
    import soundfile

    samples = np.nan_to_num(read_wav(wav, sample_rate), nan=0.0, posinf=np.inf, neginf=-np.inf)
    if not len(samples):
        return False
    for bits, subtype in ((16, "PCM_16"), (24, "PCM_24")):
        whole = as_integers(samples, bits)
        if whole is None:
            continue
        draft = flac.with_suffix(".part")
        try:
            with open(draft, "wb") as file:
                soundfile.write(file, whole << (32 - bits), sample_rate, subtype=subtype, format="FLAC")
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, flac)
        except (OSError, soundfile.SoundFileError):  # a full disk, or a rate that FLAC does not know
            draft.unlink(missing_ok=True)
            return False
        wav.unlink(missing_ok=True)
        return True
    return False


def read_wav(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """(n,) float32 of a WAV as it is written here, as many as there are; an incomplete sample at the end is left out.

    Raises:
        ValueError: it is something else.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size - HEADER_BYTES
        wanted = wav_header(sample_rate)
        if (head[:4], head[8:40]) != (
            wanted[:4],
            wanted[8:40],
        ):  # the lengths do not count: files are cut off
            raise ValueError("the header is not that of such a file")
        return np.frombuffer(file.read(size // 4 * 4), "<f4").astype(np.float32, copy=False)


def read_flac(path: Path, sample_rate: int, count: int) -> NDArray[np.float32]:
    """(count,) float32, exactly what was made a FLAC.

    Raises:
        ValueError: it is something else, or has another length.
        OSError: it cannot be read.
    """
    import soundfile

    try:
        with open(path, "rb") as file, soundfile.SoundFile(file) as sound:
            if (sound.format, sound.channels, sound.samplerate) != ("FLAC", 1, sample_rate):
                raise ValueError(f"{sound.format} of {sound.channels} channels at {sound.samplerate} Hz")
            if sound.frames != count:
                raise ValueError(f"has {sound.frames} samples, the index {count}")
            samples = sound.read(count, dtype="float32")
    except soundfile.SoundFileError as error:
        raise ValueError(str(error)) from None
    if len(samples) != count:
        raise ValueError(f"ends after {len(samples)} of {count} samples")
    return np.asarray(samples, np.float32)
