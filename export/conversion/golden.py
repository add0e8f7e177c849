"""Golden vectors: inputs with their expected outputs, carried in a model file to be verified anywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream.features.frontend import extract
from stream.inference.card import Golden, ModelCard, pack_array

Array = NDArray[np.float32]
_SECONDS = 0.6
_FRAMES = 120
_MOST_NUMBERS = (
    250_000  # in the feature sequence, unless it were no two rows: frames of long windows are large
)


def golden_vectors(
    card: ModelCard, features: Array, run: Callable[[Array], Array], most: int = _FRAMES
) -> Golden:
    """Golden vectors of a finished model.

    Args:
        card: its card.
        features: (T, F) float32 of realistic level; shortened to about ``most`` frames, or fewer of many features.
        run: (1, T, F) -> (1, T / stride, C), streaming from the initial state.
        most: frames; more than by default where a model says nothing before.
    """
    spec = card.features
    audio = golden_audio(spec.sample_rate)
    audio = np.tile(
        audio, -(-(spec.span + spec.hop_length) // len(audio))
    )  # a frame and the next one, at least
    frames = min(most, max(_MOST_NUMBERS // spec.width, 2 * card.stride))
    count = max(frames // card.stride, 1) * card.stride
    repeats = -(-count // len(features))
    sequence = np.ascontiguousarray(np.tile(features, (repeats, 1))[:count], np.float32)
    return Golden(
        audio=pack_array(audio),
        audio_features=pack_array(extract(audio.astype(np.float32) / 32768, card.features)),
        features=pack_array(sequence),
        probs=pack_array(run(sequence[None])[0].astype(np.float32)),
    )


def golden_audio(sample_rate: int) -> NDArray[np.int16]:
    """A chirp, noise and silence, 0.6 s in all (or as many samples at 16 kHz, if the rate is higher), int16.

    The noise comes from a fixed linear congruential generator, so no library version changes it.
    """
    count = int(_SECONDS * min(sample_rate, 16000))
    third = count // 3
    t = np.arange(third) / third
    chirp = 0.5 * np.sin(2 * np.pi * third * (0.01 * t + 0.1 * t * t))
    state, noise = 1, np.empty(third)
    for i in range(third):
        state = (1103515245 * state + 12345) % 2**31
        noise[i] = 0.1 * (state / 2**30 - 1)
    silence = np.zeros(count - 2 * third)
    return np.round(32767 * np.concatenate([chirp, noise, silence])).astype(np.int16)
