"""Composed scenes as features and labels on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval
from export.evaluation.detect import row_samples
from export.recipes.speech_music_noise.scenes.compose import Scene, compose
from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES, active_spans
from export.recipes.speech_music_noise.scenes.mix import Mix
from export.recipes.speech_music_noise.sources.bank import Source
from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE
from stream.features.framing import frame_count
from stream.features.frontend import extract
from stream.features.spec import FeatureSpec


@dataclass(frozen=True, eq=False)
class ComposedStreams:
    """S streams of equal length.

    Attributes:
        features: (S, T, F) float16.
        labels: (S, T, 3) uint8 at the centre of each frame.
        active: (S, cells, 3) uint8, the labels of every 10 ms as composed.
        segments: for each stream, its segments as dictionaries (see compose.Segment).
    """

    features: NDArray[np.float16]
    labels: NDArray[np.uint8]
    active: NDArray[np.uint8]
    segments: Sequence[Sequence[dict[str, Any]]]

    @property
    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation, each (F,) float32, of a twentieth of the frames."""
        flat = self.features[:, ::20].reshape(-1, self.features.shape[2]).astype(np.float32)
        return flat.mean(axis=0), flat.std(axis=0)

    @property
    def seconds(self) -> float:
        """Length of one stream."""
        return float(self.active.shape[1] * CELL_SAMPLES / SAMPLE_RATE)

    def reference(self, stream: int) -> tuple[Interval, ...]:
        """The labels of one stream as events."""
        return tuple(
            Interval(kind, start * CELL_SAMPLES / SAMPLE_RATE, end * CELL_SAMPLES / SAMPLE_RATE)
            for column, kind in enumerate(KINDS)
            for start, end in active_spans(self.active[stream, :, column].astype(bool))
        )


@dataclass(frozen=True, eq=False)
class ValidationStreams:
    """A validation: scenes with everything in them, and scenes without speech."""

    mixed: ComposedStreams
    no_speech: ComposedStreams


def frame_labels(active: NDArray[np.bool_], frames: int, spec: FeatureSpec) -> NDArray[np.uint8]:
    """(frames, 3) uint8: the 10 ms label that holds the middle of each feature frame."""
    cell = np.minimum(row_samples(frames, spec) // CELL_SAMPLES, len(active) - 1)
    return active[cell].astype(np.uint8)


def render(scene: Scene, spec: FeatureSpec) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Features (T, F) and labels (T, 3) of a scene, by the runtime's own arithmetic."""
    features = extract(scene.samples, spec)
    return features.astype(np.float16), frame_labels(scene.active, len(features), spec)


def compose_scenes(
    source: Source, mix: Mix | tuple[Mix, ...], *, count: int, seconds: float, seed: int
) -> Iterator[Scene]:
    """``count`` scenes of ``seconds``; scene i depends on ``seed``, i and its mix alone. Several mixes take turns."""
    mixes = mix if isinstance(mix, tuple) else (mix,)
    for index in range(count):
        yield compose(source, seconds, mixes[index % len(mixes)], np.random.default_rng([seed, index]))


def make_streams(
    source: Source,
    mix: Mix | tuple[Mix, ...],
    spec: FeatureSpec,
    folder: Path,
    *,
    count: int,
    seconds: float,
    seed: int,
) -> ComposedStreams:
    """Compose scenes into ``folder``, or read them if they are there."""
    done = folder / "segments.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        length = round(seconds * SAMPLE_RATE) // CELL_SAMPLES * CELL_SAMPLES
        frames = frame_count(length, spec)
        features = _open(folder / "features.npy", (count, frames, spec.width), np.float16)
        labels = _open(folder / "labels.npy", (count, frames, len(KINDS)), np.uint8)
        active = _open(folder / "active.npy", (count, length // CELL_SAMPLES, len(KINDS)), np.uint8)
        segments = []
        for index, scene in enumerate(compose_scenes(source, mix, count=count, seconds=seconds, seed=seed)):
            features[index], labels[index] = render(scene, spec)
            active[index] = scene.active
            segments.append([asdict(segment) for segment in scene.segments])
        for array in (features, labels, active):
            array.flush()
        done.write_text(json.dumps(segments))
    return ComposedStreams(
        np.load(folder / "features.npy", mmap_mode="r"),
        np.load(folder / "labels.npy"),
        np.load(folder / "active.npy"),
        json.loads(done.read_text()),
    )


def _open(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
