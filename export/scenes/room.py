"""Rooms and filters for single sounds, in one convolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.scenes.scene_config import SceneConfig


class Rooms:
    """A fixed number of impulse responses: rooms of random size and distance.

    A response is the direct sound, a few early reflections and an exponentially decaying noise tail (60 dB in the
    reverberation time). The further away, the weaker the direct sound.

    Args:
        settings: ``rt60`` is used.
        sample_rate: Hz.
        rng: draws the rooms.
        count: of rooms.
    """

    def __init__(
        self, settings: SceneConfig, sample_rate: int, rng: np.random.Generator, count: int = 48
    ) -> None:
        self.responses = [
            _response(float(rng.uniform(*settings.rt60)), sample_rate, rng) for _ in range(count)
        ]

    def draw(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """One of the impulse responses, (n,) float32."""
        return self.responses[int(rng.integers(len(self.responses)))]


def _response(rt60: float, sample_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    n = max(2, round(rt60 * sample_rate))
    tail = rng.normal(0, 1, n) * np.exp(-6.9078 * np.arange(n) / n)
    tail[: max(1, round(rng.uniform(0.002, 0.02) * sample_rate))] = 0  # the first reflection comes later
    tail *= 10 ** (rng.uniform(-14, 3) / 20) / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    tail[0] = 1.0
    return np.asarray(tail / np.sqrt(np.sum(tail**2)), np.float32)


def filtered(
    samples: NDArray[np.float32], response: NDArray[np.float32] | None, tilt: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """``samples`` in a room and through a smooth random filter.

    Args:
        samples: (n,) float32.
        response: of the room, (m,); None = none.
        tilt: standard deviation of the filter, dB; 0 = none.
        rng: draws the filter.

    Returns:
        (n + m - 1,) float32, or (n,) without a room.
    """
    import scipy.fft

    if response is None and not tilt:
        return samples
    length = len(samples) + (0 if response is None else len(response) - 1)
    size = scipy.fft.next_fast_len(length + 64, real=True)
    spectrum = scipy.fft.rfft(samples, size)
    if response is not None:
        spectrum *= scipy.fft.rfft(response, size)
    if tilt:
        # Slow cosines over a warped frequency axis: as loudspeakers, distances and microphones colour a sound.
        axis = np.sqrt(np.arange(len(spectrum), dtype=np.float32) / len(spectrum))
        decibels = sum(
            rng.normal(0, 0.7 * tilt) * np.cos(np.pi * k * axis, dtype=np.float32) for k in range(1, 5)
        )
        spectrum *= np.power(np.float32(10), np.asarray(decibels, np.float32) / 20)
    out: NDArray[np.float32] = scipy.fft.irfft(spectrum, size)[:length].astype(np.float32)
    return out
