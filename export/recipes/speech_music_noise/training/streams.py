"""Composed scenes as features and labels on disk, and the batches of carried streams that training reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.recipes.speech_music_noise.training.shake import Shaker
from export.recipes.speech_music_noise.scenes.compose import Scene, compose
from export.recipes.speech_music_noise.scenes.labels import GRID
from export.recipes.speech_music_noise.scenes.mix import Mix
from export.recipes.speech_music_noise.sources.bank import Source
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.training import Batch
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec


@dataclass(frozen=True, eq=False)
class Streams:
    """S streams of equal length.

    Attributes:
        features: (S, T, F) float16.
        labels: (S, T, 3) uint8 at the centre of each frame.
        active: (S, n // 160, 3) uint8, the labels every 10 ms as composed.
        segments: for each stream, its segments as dictionaries (see compose.Segment).
    """

    features: NDArray[np.float16]
    labels: NDArray[np.uint8]
    active: NDArray[np.uint8]
    segments: list[list[dict[str, object]]]

    @property
    def statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation, each (F,) float32, of a twentieth of the frames."""
        flat = self.features[:, ::20].reshape(-1, self.features.shape[2]).astype(np.float32)
        return flat.mean(axis=0), flat.std(axis=0)


@dataclass(frozen=True, eq=False)
class Trial:
    """A validation: scenes with everything in them, and scenes in which nobody speaks."""

    mixed: Streams
    quiet: Streams


def frame_labels(active: NDArray[np.bool_], frames: int, spec: MfccSpec) -> NDArray[np.uint8]:
    """(frames, 3) uint8: the 10 ms label that holds the middle of each feature frame."""
    centre = np.arange(frames) * spec.hop_length + spec.n_fft // 2
    return active[np.minimum(centre // GRID, len(active) - 1)].astype(np.uint8)


def render(scene: Scene, spec: MfccSpec) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Features (T, F) and labels (T, 3) of a scene, by the runtime's own arithmetic."""
    features = mfcc(scene.samples, spec)
    return features.astype(np.float16), frame_labels(scene.active, len(features), spec)


def scenes(source: Source, mix: Mix, *, streams: int, seconds: float, seed: int) -> Iterator[Scene]:
    """``streams`` scenes of ``seconds``; scene i depends on ``seed`` and i alone."""
    for index in range(streams):
        yield compose(source, seconds, mix, np.random.default_rng([seed, index]))


def make_streams(
    source: Source, mix: Mix, spec: MfccSpec, folder: Path, *, streams: int, seconds: float, seed: int
) -> Streams:
    """Compose ``scenes`` into ``folder``, or read them if they are there."""
    done = folder / "segments.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        length = round(seconds * 16000) // GRID * GRID
        frames = 1 + (length - spec.n_fft) // spec.hop_length
        features = _open(folder / "features.npy", (streams, frames, spec.n_features), np.float16)
        labels = _open(folder / "labels.npy", (streams, frames, len(KINDS)), np.uint8)
        active = _open(folder / "active.npy", (streams, length // GRID, len(KINDS)), np.uint8)
        segments = []
        for index, scene in enumerate(scenes(source, mix, streams=streams, seconds=seconds, seed=seed)):
            features[index], labels[index] = render(scene, spec)
            active[index] = scene.active
            segments.append([asdict(segment) for segment in scene.segments])
        for array in (features, labels, active):
            array.flush()
        done.write_text(json.dumps(segments))
    return Streams(
        np.load(folder / "features.npy", mmap_mode="r"),
        np.load(folder / "labels.npy"),
        np.load(folder / "active.npy"),
        json.loads(done.read_text()),
    )


def _open(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


@dataclass(frozen=True, eq=False)
class Playlist:
    """Batches of rows that play streams from beginning to end, in chunks, state carried.

    Call it with an epoch for that epoch's batches. When a row's stream ends the next one begins; half of the
    time as if nothing had happened, so that the network also learns to live with a long and foreign past.

    Attributes:
        data: what to play.
        rows: streams played at once.
        chunk: frames of one batch; the gradient reaches no further back.
        seed: decides order, resets and augmentation, epoch by epoch.
        shake: dB of random gain and spectral colouring of each stream.
        narrow: share of streams heard through a narrow band.
        delay: rows by which answers lag what they are about.
        teacher: (S, T, 3) probabilities, as late as the answers, to learn from beside the labels; None = labels alone.
        trust: the teacher's share of what is learnt.
    """

    data: Streams
    spec: MfccSpec
    rows: int = 32
    chunk: int = 100
    seed: int = 0
    shake: float = 0.0
    narrow: float = 0.0
    delay: int = 0
    teacher: NDArray[np.float16] | None = None
    trust: float = 0.0

    def __call__(self, epoch: int) -> _Epoch:
        return _Epoch(self, epoch)

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(rows), T, 3): what is to be answered to those streams."""
        frames = self.data.labels.shape[1]
        late = np.pad(self.data.labels[rows], ((0, 0), (self.delay, 0), (0, 0)))[:, :frames].astype(
            np.float32
        )
        if self.teacher is None:
            return late
        return (1 - self.trust) * late + self.trust * self.teacher[rows].astype(np.float32)


@dataclass(frozen=True)
class Programme:
    """A playlist for every epoch."""

    lists: tuple[Playlist, ...]

    def __call__(self, epoch: int) -> _Epoch:
        return self.lists[epoch](epoch)


@dataclass(frozen=True, eq=False)
class _Epoch:
    list: Playlist
    epoch: int

    def __len__(self) -> int:
        streams, frames = self.list.data.labels.shape[:2]
        return (streams // self.list.rows) * (frames // self.list.chunk)

    def __iter__(self) -> Iterator[Batch]:
        given, data = self.list, self.list.data
        rng = np.random.default_rng([given.seed, self.epoch])
        order = rng.permutation(len(data.labels))
        shaker = Shaker(given.spec, given.shake, given.narrow)
        frames = data.labels.shape[1]
        for first in range(0, len(order) - given.rows + 1, given.rows):
            rows = np.sort(order[first : first + given.rows])
            fresh = rng.random(given.rows) < (1.0 if first == 0 else 0.5)
            disguise = shaker.draw(given.rows, rng)
            features = data.features[rows]
            answers = given.targets(rows)
            shift = int(rng.integers(frames % given.chunk + 1))
            for start in range(shift, frames - given.chunk + 1, given.chunk):
                part = features[:, start : start + given.chunk].astype(np.float32)
                part = shaker.put_on(disguise, part, rng)
                targets = torch.from_numpy(np.ascontiguousarray(answers[:, start : start + given.chunk]))
                yield Batch(
                    torch.from_numpy(part),
                    targets,
                    torch.ones(targets.shape[:2]),
                    torch.from_numpy(fresh if start == shift else np.zeros(given.rows, bool)),
                )
