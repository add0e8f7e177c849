"""Whole files: from a FLAC file to events, beside what decoding and resampling alone cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stream.bench.timing import Case
from stream.inference.session import Model
from stream.recording import classify

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OTHER_SAMPLE_RATE = 44_100  # Hz, of the second file, which must be resampled


def flac_cases(model: Model, sounds: dict[int, NDArray[np.float32]], folder: Path) -> list[Case]:
    """``classify(path, model)`` for each sound, and the share of the libraries in it.

    Args:
        model: what to run.
        sounds: rate in Hz -> (n,) float32.
        folder: where the files are written, 16 bits a sample.
    """
    import soundfile

    cases: list[Case] = []
    for rate, sound in sounds.items():
        path = folder / f"sound-{rate}.flac"
        soundfile.write(path, sound, rate, subtype="PCM_16")
        seconds = len(sound) / rate
        key, units = f"flac_{rate}", round(seconds)
        wanted = model.card.features.sample_rate
        alone = "decoding alone" if rate == wanted else "decoding and resampling alone"
        cases += [
            Case(key, f"FLAC at {rate} Hz to events", _classify(path, model), seconds, units, "second"),
            Case(f"{key}_decode", alone, _decode(path, wanted), seconds, units, "second", key),
        ]
    return cases


def _classify(path: Path, model: Model) -> Callable[[], object]:
    return lambda: classify(path, model)


def _decode(path: Path, rate: int) -> Callable[[], object]:
    """libsndfile and soxr by their simplest calls, the whole recording at once."""
    import soundfile
    import soxr

    def work() -> object:
        samples, found = soundfile.read(path, dtype="float32")
        return samples if found == rate else soxr.resample(samples, found, rate)

    return work
