"""Listening for a while, as the doctor does: all of the sound, and what became of it on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.capture.source import AudioSource
from stream.messages import SourceInfo

GRACE_SECONDS = 2.0  # for a live source to begin


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Some seconds of one source.

    Attributes:
        source: what was listened to.
        samples: (n,) float32 as they were captured, without those that never came; missing ones (NaN) as 0.
        missing: samples that were NaN or infinite.
        lost: samples that never came.
        trouble: states other than "listening" that the source was in, with why.
        hints: what the source itself found odd.
    """

    source: SourceInfo
    samples: NDArray[np.float32]
    missing: int = 0
    lost: int = 0
    trouble: dict[str, str] = field(default_factory=dict)
    hints: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.source.sample_rate


def listen_for(
    source: AudioSource,
    seconds: float,
    *,
    meanwhile: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Heard:
    """Listen until ``seconds`` of sound have come, or no more comes.

    Args:
        source: is opened, and closed again.
        seconds: of sound. A live source gets as long by the clock, and a moment more to begin.
        meanwhile: called once near the end, while the source is still open.
        clock: monotonic seconds.

    Raises:
        SourceError: the source cannot be had.
    """
    info = source.info()
    wanted = round(seconds * info.sample_rate)
    pieces: list[NDArray[np.float32]] = []
    count = lost = missing = 0
    trouble: dict[str, str] = {}
    expected: int | None = None
    with source:
        give_up_at = clock() + seconds + GRACE_SECONDS
        for chunk in source:
            if chunk.state != "listening":
                trouble[chunk.state] = chunk.detail
            if len(chunk.samples):
                lost += chunk.start - (chunk.start if expected is None else expected)
                expected = chunk.end
                samples = chunk.samples[: wanted - count]
                finite = np.isfinite(samples)
                missing += len(samples) - int(finite.sum())
                pieces.append(np.where(finite, samples, np.float32(0)))
                count += len(samples)
            if count >= wanted or (info.live and clock() > give_up_at):
                break
        meanwhile()
        hints = source.report().hints
    heard = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return Heard(info, heard, missing, lost, trouble, hints)
