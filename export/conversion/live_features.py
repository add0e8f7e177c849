"""What live sound holds and examples lack: silence, constant frames, a front end's extremes, steps between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.features.frontend import extract
from stream.features.spec import FeatureSpec

Array = NDArray[Any]
_SECONDS = 1.0  # of each sound that is put through the front end


def edges(example: Array, spec: FeatureSpec | None, frames: int) -> dict[str, Array]:
    """Features at the edges of what a front end gives, by name.

    Args:
        example: (N, T, F) features; constant frames are made of it.
        spec: the front end that digital silence, the quietest and the loudest sound go through; None = the smallest
            and the largest values of the example stand for them.
        frames: length of each.

    Returns:
        name -> (frames, F) float32.
    """
    rows = example.reshape(-1, example.shape[-1]).astype(np.float32)
    if spec is None:
        silence, quiet, loud = rows.min(axis=0)[None], rows.min(axis=0)[None], rows.max(axis=0)[None]
    else:
        silence, quiet, loud = (extract(sound, spec) for sound in _sounds(spec.sample_rate))
    fourth = max(frames // 4, 1)
    steps = [_fill(silence[-1:], fourth), _fill(loud, fourth)] * 2
    mean = rows.mean(axis=0, keepdims=True)
    return {
        "digital silence": _fill(silence, frames),
        "exact zeros": np.zeros((frames, rows.shape[1]), np.float32),
        "one frame over and over": _fill(mean, frames),
        "frames of one value": np.full((frames, rows.shape[1]), mean.mean(), np.float32),
        "the quietest sound": _fill(quiet, frames),
        "the loudest sound": _fill(loud, frames),
        "steps from silence to full scale": _fill(np.concatenate(steps), frames),
    }


def _fill(rows: Array, frames: int) -> Array:
    """Rows over and over, (frames, F)."""
    return np.tile(rows, (-(-frames // len(rows)), 1))[:frames]


def _sounds(rate: int) -> tuple[Array, Array, Array]:
    """Digital silence, noise of one 16-bit step, and full scale: noise, square waves, a tone, clicks; mono float32."""
    count = int(_SECONDS * rate)
    rng = np.random.default_rng(20240602)
    t = np.arange(count) / rate
    squares = [np.sign(np.sin(2 * np.pi * (hertz * t + 1e-4))) for hertz in (100.0, rate / 8)]
    clicks = np.zeros(count)
    clicks[:: max(rate // 20, 1)] = 1.0
    loud = [rng.uniform(-1, 1, count), *squares, np.sin(2 * np.pi * 440 * t), clicks]
    quiet = rng.integers(-1, 2, count) / 32768
    return (
        np.zeros(count, np.float32),
        quiet.astype(np.float32),
        np.concatenate(loud).astype(np.float32),
    )
