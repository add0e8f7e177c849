"""Sounds for tests, made here or taken from the bundled recording; every call gives the same samples."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SOUNDS = ["speech", "music", "noise", "quiet", "silence", "tone", "click", "clipped"]


@cache
def demo(rate: int) -> NDArray[np.float32]:
    """The bundled minute, at any rate."""
    from stream.capture.files import read_audio

    return read_audio(ASSETS / "demo.ogg", rate)


@cache
def make(name: str, rate: int, seconds: float = 2.0) -> NDArray[np.float32]:
    """(n,) float32. "speech" and "music" are real recordings."""
    n = round(seconds * rate)
    rng = np.random.default_rng(SOUNDS.index(name))
    time = np.arange(n) / rate
    if name == "speech":
        return demo(rate)[5 * rate : 5 * rate + n].copy()
    if name == "music":
        return demo(rate)[20 * rate : 20 * rate + n].copy()
    if name == "noise":
        sound = 0.1 * rng.standard_normal(n)
    elif name == "quiet":
        sound = 1e-4 * rng.standard_normal(n)
    elif name == "silence":
        sound = np.zeros(n)
    elif name == "tone":
        sound = np.sin(2 * np.pi * 1000.0 * time)
    elif name == "click":
        sound = np.zeros(n)
        sound[n // 2] = 1.0
    else:
        sound = np.clip(4 * np.sin(2 * np.pi * 220 * time) + rng.standard_normal(n), -1, 1)
    return sound.astype(np.float32)
