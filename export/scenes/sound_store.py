"""The sound of many recordings, decoded once and kept for the length of a run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.cache import load_audio
from export.data.recording import Recording
from stream.errors import DataError
from stream.features.spec import FeatureSpec

ACTIVE_RANGE_DB = 35.0  # a recording sounds where it is at most this far below its loudest 10 ms
_MARGIN_SECONDS = 0.02
_BLOCK_SECONDS = 0.02
_FEW = 0.01  # of the loudest block: what is nearly always silent is as loud as its rare moments


@dataclass(frozen=True, eq=False, slots=True)
class SoundStore:
    """Recordings as 16-bit samples, each scaled to its own peak, in an unnamed file that is mapped into memory.

    Attributes:
        samples: (all,) int16, all recordings one after the other.
        offsets: (n + 1,) int64; recording i is samples[offsets[i] : offsets[i + 1]], none if it cannot be read.
        scales: (n,) float32, of one step.
        active: (n, 2) int64, where each recording begins and ends to sound, in its samples.
        sample_rate: Hz.
    """

    samples: NDArray[np.int16]
    offsets: NDArray[np.int64]
    scales: NDArray[np.float32]
    active: NDArray[np.int64]
    sample_rate: int

    def __len__(self) -> int:
        return len(self.scales)

    def __getitem__(self, i: int) -> NDArray[np.float32]:
        """(n,) float32, a copy of recording i."""
        sound: NDArray[np.float32] = self.samples[self.offsets[i] : self.offsets[i + 1]] * self.scales[i]
        return sound

    def usable(self) -> list[int]:
        """Indices of the recordings in which something sounds."""
        return np.flatnonzero(self.active[:, 1] > self.active[:, 0]).tolist()

    def seconds(self, i: int) -> float:
        """Length of the part of recording i that sounds."""
        return float(self.active[i, 1] - self.active[i, 0]) / self.sample_rate


def load_sounds(
    recordings: Sequence[Recording],
    spec: FeatureSpec,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> SoundStore:
    """Decode ``recordings`` at the rate of ``spec``. What cannot be read has no samples; gaps are zeros."""

    def load(recording: Recording) -> tuple[NDArray[np.int16], float, tuple[int, int]]:
        try:
            sound = np.nan_to_num(load_audio(recording, spec))
        except DataError:
            return np.zeros(0, np.int16), 0.0, (0, 0)  # the feature store lists it, with the reason
        scale = float(np.abs(sound).max(initial=0.0)) / 32767
        if not scale:
            return np.zeros(len(sound), np.int16), 0.0, (0, 0)
        return np.rint(sound / scale).astype(np.int16), scale, active_part(sound, spec.sample_rate)

    offsets, scales, active = [0], [], []
    workers = os.cpu_count() or 1
    with tempfile.TemporaryFile() as file:
        with ThreadPoolExecutor(workers) as pool:
            for begin in range(0, len(recordings), 32 * workers):
                for sound, scale, part in pool.map(load, recordings[begin : begin + 32 * workers]):
                    file.write(sound.tobytes())
                    offsets.append(offsets[-1] + len(sound))
                    scales.append(scale)
                    active.append(part)
                    if progress is not None:
                        progress(len(scales), len(recordings))
        file.flush()
        samples: NDArray[np.int16] = (
            np.memmap(file, np.int16, "r", shape=(offsets[-1],)) if offsets[-1] else np.zeros(0, np.int16)
        )
    return SoundStore(
        samples,
        np.asarray(offsets, np.int64),
        np.asarray(scales, np.float32),
        np.asarray(active, np.int64).reshape(-1, 2),
        spec.sample_rate,
    )


def active_part(samples: NDArray[np.float32], sample_rate: int) -> tuple[int, int]:
    """(begin, end) of what sounds: from the first to the last 10 ms within ``ACTIVE_RANGE_DB`` of the loudest."""
    power = block_power(samples, sample_rate)
    loud = np.flatnonzero(power > max(power.max(initial=0.0) * 10 ** (-ACTIVE_RANGE_DB / 10), 1e-12))
    if not len(loud):
        return 0, 0
    block, margin = _block(sample_rate), round(_MARGIN_SECONDS * sample_rate)
    return max(0, int(loud[0]) * block - margin), min(len(samples), (int(loud[-1]) + 1) * block + margin)


def block_power(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """(blocks,) float32, mean power of every 10 ms, of the last part too."""
    block = _block(sample_rate)
    edges = np.arange(0, len(samples), block)
    if not len(edges):
        return np.zeros(0, np.float32)
    power = np.add.reduceat(np.square(samples, dtype=np.float32), edges) / np.float32(block)
    return np.asarray(power, np.float32)


def _block(sample_rate: int) -> int:
    return max(1, sample_rate // 100)


def active_rms(samples: NDArray[np.float32], sample_rate: int, range_db: float = 30.0) -> float:
    """RMS of the blocks of 20 ms that are less than ``range_db`` below the loud ones; 0 for silence."""
    block = round(_BLOCK_SECONDS * sample_rate)
    whole = len(samples) // block * block
    if not whole:
        return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    power = np.mean(np.square(samples[:whole].reshape(-1, block), dtype=np.float64), axis=1)
    loud = max(float(np.percentile(power, 95)), _FEW * float(power.max()))
    active = power[power >= loud * 10 ** (-range_db / 10)]
    return float(np.sqrt(active.mean())) if loud > 0 else 0.0
