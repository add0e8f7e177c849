"""Composed scenes as features and targets on disk, made once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Split
from export.recipes.alarm_ear.alarm_mix import AlarmMix
from export.recipes.alarm_ear.alarm_scenes import AlarmComposer, AlarmScene
from export.recipes.alarm_ear.alarm_settings import FEATURES, LABELS
from export.recipes.alarm_ear.alarm_sources import bank
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE
from export.scenes.sounder_labels import Placed, frame_targets
from stream.features.framing import frame_count
from stream.features.frontend import extract

STREAM_SECONDS = 90.0


@dataclass(frozen=True, eq=False)
class AlarmStreams:
    """S streams of equal length.

    Attributes:
        features: (S, T, F) float16.
        targets: (S, T, 3) uint8, see ``frame_targets``.
        weights: (S, T) uint8.
        sounders: of each stream.
        seconds: length of a stream.
    """

    features: NDArray[np.float16]
    targets: NDArray[np.uint8]
    weights: NDArray[np.uint8]
    sounders: list[list[Placed]]
    seconds: float

    @property
    def hours(self) -> float:
        """Of all streams."""
        return len(self.features) * self.seconds / 3600

    def first(self, count: int) -> AlarmStreams:
        """At most so many of the streams."""
        return AlarmStreams(
            self.features[:count],
            self.targets[:count],
            self.weights[:count],
            self.sounders[:count],
            self.seconds,
        )

    @property
    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation, each (F,) float32, of a tenth of the frames."""
        flat = self.features[:, ::10].reshape(-1, self.features.shape[2]).astype(np.float32)
        return flat.mean(axis=0), flat.std(axis=0)


@dataclass(frozen=True)
class StreamSet:
    """Streams to compose: ``count`` of ``seconds`` from one part."""

    name: str
    part: Split
    mix: AlarmMix
    count: int
    seed: int
    seconds: float = STREAM_SECONDS


def frame_ends(frames: int) -> NDArray[np.float64]:
    """(frames,) seconds: what has been heard when the answer to each frame is given."""
    return (np.arange(frames) * FEATURES.hop_length + FEATURES.span) / SAMPLE_RATE


def rendered(scene: AlarmScene) -> tuple[NDArray[np.float16], NDArray[np.uint8], NDArray[np.uint8]]:
    """Features (T, F), targets (T, 3) and weights (T,) of a scene, by the runtime's own arithmetic."""
    features = extract(scene.samples, FEATURES).astype(np.float16)
    return (features, *frame_targets(scene.sounders, frame_ends(len(features)), LABELS))


def compose_set(cache: Path, wanted: StreamSet) -> str:
    """Compose a set into ``cache``, unless it is there; its name."""
    composer = AlarmComposer(bank(cache, wanted.part), wanted.part, wanted.mix, wanted.seed)
    scenes = composer.scenes(wanted.count, wanted.seconds, wanted.seed)
    write_streams(_folder(cache, wanted), scenes, wanted.count, wanted.seconds)
    return wanted.name


def load_set(cache: Path, wanted: StreamSet) -> AlarmStreams:
    """What ``compose_set`` made."""
    return read_streams(_folder(cache, wanted), wanted.seconds)


def write_streams(folder: Path, scenes: Iterable[AlarmScene], count: int, seconds: float) -> None:
    """Keep ``count`` scenes of ``seconds`` in ``folder``, unless they are there."""
    if (folder / "sounders.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    frames = frame_count(round(seconds * SAMPLE_RATE), FEATURES)
    features = np.lib.format.open_memmap(
        folder / "features.npy", "w+", np.float16, (count, frames, FEATURES.width)
    )
    targets = np.zeros((count, frames, len(LABELS)), np.uint8)
    weights = np.zeros((count, frames), np.uint8)
    sounders = []
    for index, scene in enumerate(scenes):
        features[index], targets[index], weights[index] = rendered(scene)
        sounders.append([asdict(each) for each in scene.sounders])
    features.flush()
    np.save(folder / "targets.npy", targets)
    np.save(folder / "weights.npy", weights)
    (folder / "sounders.json").write_text(json.dumps(sounders))  # last: streams without it are made again


def read_streams(folder: Path, seconds: float) -> AlarmStreams:
    """What ``write_streams`` kept."""
    return AlarmStreams(
        np.load(folder / "features.npy", mmap_mode="r"),
        np.load(folder / "targets.npy"),
        np.load(folder / "weights.npy"),
        [[Placed(**each) for each in rows] for rows in json.loads((folder / "sounders.json").read_text())],
        seconds,
    )


def streams_in(hours: float, seconds: float = STREAM_SECONDS) -> int:
    """Streams in so many hours."""
    return round(hours * 3600 / seconds)


def _folder(cache: Path, wanted: StreamSet) -> Path:
    made_of = hashlib.sha256(f"{wanted}{FEATURES.digest}".encode()).hexdigest()[:12]
    return cache / "streams" / f"{wanted.name}-{made_of}"
