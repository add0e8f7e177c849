"""What is learnt in a composed stream, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval, Recording, frame_targets
from export.scenes.compose import Scene
from stream.inference.card import Activation

SETTLE_SECONDS = 0.1  # at the start of a sound, where no network can know anything yet
LATEST_SECONDS = (
    0.5  # after its start, a sound can be known (``where="end"``: after its first half, if that is sooner)
)
HOLD_SECONDS = 0.15  # after its end, a sound is still reported
UNSURE_SECONDS = 0.25  # after that, either answer is right


def frame_labels(
    scene: Scene,
    recordings: Sequence[Recording],
    labels: tuple[str, ...],
    centres: NDArray[np.float64],
    sample_rate: int,
    *,
    activation: Activation,
    background: str | None,
    where: str,
) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
    """Targets and weights of the frames of a composed stream.

    Args:
        scene: the stream.
        recordings: whose indices are in it.
        labels: C class names.
        centres: (T,) seconds, the middle of each frame.
        sample_rate: of the stream, Hz.
        activation: "softmax" or "sigmoid".
        background: the class of everything that is no recording; needed for softmax.
        where: "end": the label is learnt once half of a sound, or half a second, was heard; "all": almost from its
            beginning.

    Returns:
        (T,) int64 classes for softmax, or (T, C) float32 for sigmoid; and (T,) float32 weights, 0 = does not count.
    """
    n = len(centres)
    weight = np.ones(n, np.float32)
    softmax = activation == "softmax"
    targets: NDArray[np.generic]
    if softmax:
        assert background is not None
        targets = np.full(n, labels.index(background), np.int64)
    else:
        targets = np.zeros((n, len(labels)), np.float32)
    sample = centres * sample_rate
    for placed in scene.placed:
        if placed.events is not None:
            found = frame_targets(placed.events, labels, centres)
            targets = np.maximum(targets, found)
            continue
        length = placed.end - placed.begin
        settle = round(SETTLE_SECONDS * sample_rate)
        skipped = settle if where == "all" else min(length // 2, round(LATEST_SECONDS * sample_rate))
        learnt = placed.begin + min(skipped, length // 2)
        held = placed.end + round(HOLD_SECONDS * sample_rate)
        unsure = held + round(UNSURE_SECONDS * sample_rate)
        weight[(sample >= placed.begin) & (sample < learnt)] = 0
        weight[(sample >= held) & (sample < unsure)] = 0
        inside = (sample >= learnt) & (sample < held)
        names = recordings[placed.recording].labels
        if softmax:
            targets[inside] = labels.index(names[0])
        else:
            targets[inside] = np.array([name in names for name in labels], np.float32)
        weight[inside] = 1
        for begin, end in placed.quiet:
            weight[(sample >= begin) & (sample < end)] = 0
    return targets, weight


def events_of(scene: Scene, recordings: Sequence[Recording], sample_rate: int) -> tuple[Interval, ...]:
    """What is to be heard in a composed stream, in seconds."""
    found: list[Interval] = []
    for placed in scene.placed:
        if placed.events is not None:
            found += placed.events
        else:
            found += [
                Interval(label, placed.begin / sample_rate, placed.end / sample_rate)
                for label in recordings[placed.recording].labels
            ]
    return tuple(found)
