"""Validation as the model will be used: recordings with pauses, levels, rooms and noise, the state carried on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.models import State
from export.scenes.compose import Composer, Scene
from export.scenes.labels import HOLD_SECONDS, frame_labels
from export.training.loss import frame_loss
from export.training.targets import Where
from export.training.validation import RecordingScores
from stream.features.framing import frame_centre
from stream.features.frontend import extract
from stream.features.spec import MfccSpec
from stream.inference.card import Activation

STREAM_SECONDS = 120.0
_CHUNK = 2_000  # frames
_SIDE_BY_SIDE = 32  # streams


def composed_once(composer: Composer, minutes: float, seed: int = 0) -> list[Scene]:
    """Streams in which every recording comes once, in an order that ``seed`` decides.

    Args:
        composer: of the recordings.
        minutes: at most so much sound; what does not fit is left out.
        seed: of every draw.
    """
    rng = np.random.default_rng((seed, 7))
    waiting = rng.permutation(composer.sounds.usable()).tolist()
    most = max(1, round(minutes * 60 / STREAM_SECONDS))
    scenes: list[Scene] = []
    while waiting and len(scenes) < most:
        scene = composer.compose(waiting, rng, STREAM_SECONDS)
        placed = {each.recording for each in scene.placed}
        # One that is too long even for an empty stream would come back for ever.
        waiting = [i for i in waiting if i not in placed] if placed else waiting[1:]
        scenes.append(scene)
    return scenes


@dataclass(frozen=True, eq=False)
class HeardValidation:
    """Composed streams of recordings that are not trained on, the same for every epoch.

    Attributes:
        composer: of the recordings.
        labels: C class names.
        activation: of the network.
        background: the class of what is no recording; None for sigmoid.
        where: see ``frame_labels``.
        spec: the network's features.
        stride: the network's frames per row of logits.
        minutes: of the streams, at most.
        seed: of every draw.
    """

    composer: Composer
    labels: tuple[str, ...]
    activation: Activation
    background: str | None
    where: Where
    spec: MfccSpec
    stride: int
    minutes: float
    seed: int

    @cached_property
    def scenes(self) -> list[Scene]:
        """The streams."""
        return composed_once(self.composer, self.minutes, self.seed)

    @cached_property
    def _streams(self) -> list[_LabelledStream]:
        return [self._labelled(scene) for scene in self.scenes]

    def score(self, model: nn.Module) -> RecordingScores:
        """What ``model`` gives for each recording, with its state carried through the whole stream."""
        found = _Tally(len(self.composer.recordings), len(self.labels), self.activation)
        device = next(model.parameters()).device
        chunk = max(self.stride, _CHUNK // self.stride * self.stride)
        with torch.no_grad():
            for first in range(0, len(self._streams), _SIDE_BY_SIDE):
                group = self._streams[first : first + _SIDE_BY_SIDE]
                features = torch.from_numpy(np.stack([each.features for each in group]))
                state: State = None
                for begin in range(0, features.shape[1] // self.stride * self.stride, chunk):
                    part = features[:, begin : begin + chunk]
                    part = part[:, : part.shape[1] // self.stride * self.stride]
                    logits, state = model(part.to(device), state)
                    last = slice(begin + self.stride - 1, begin + part.shape[1], self.stride)
                    found.add(
                        logits.float().cpu(),
                        torch.from_numpy(np.stack([each.targets[last] for each in group])),
                        torch.from_numpy(np.stack([each.weight[last] for each in group])),
                        np.stack([each.recording[last] for each in group]),
                    )
        return found.scores()

    def _labelled(self, scene: Scene) -> _LabelledStream:
        rate = self.spec.sample_rate
        features = extract(scene.samples, self.spec)
        centres = (frame_centre(0, self.spec) + self.spec.hop_length * np.arange(len(features))) / rate
        targets, weight = frame_labels(
            scene, self.composer.recordings, self.labels, centres, rate,
            activation=self.activation, background=self.background, where=self.where,
        )  # fmt: skip
        recording = np.full(len(features), -1)
        for placed in scene.placed:
            until = placed.end / rate + HOLD_SECONDS
            recording[(centres >= placed.begin / rate) & (centres < until)] = placed.recording
        return _LabelledStream(features, targets, weight, recording)


@dataclass(frozen=True, slots=True)
class _LabelledStream:
    """(T, F) features, targets and (T,) weights as ``frame_labels`` gives them, and (T,) the recording or -1."""

    features: NDArray[np.float32]
    targets: NDArray[np.generic]
    weight: NDArray[np.float32]
    recording: NDArray[np.int64]


class _Tally:
    """Adds up what a network gives for recordings and frames."""

    def __init__(self, recordings: int, classes: int, activation: Activation) -> None:
        self.activation: Activation = activation
        self.total = np.zeros((recordings, classes))
        self.count = np.zeros(recordings)
        self.counts = [
            np.zeros(classes) for _ in range(3)
        ]  # true positives, false positives, false negatives
        self.loss = self.weights = 0.0

    def add(
        self, logits: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, recording: NDArray[np.int64]
    ) -> None:
        heavy = float(weight.sum())
        self.loss += float(frame_loss(logits, targets, weight, self.activation)) * heavy
        self.weights += heavy
        probs = (logits.softmax(-1) if self.activation == "softmax" else logits.sigmoid()).numpy()
        share = weight.numpy()
        counted = (recording >= 0) & (share > 0)
        np.add.at(self.total, recording[counted], probs[counted] * share[counted, None])
        np.add.at(self.count, recording[counted], share[counted])
        if self.activation == "sigmoid":
            found, true = probs[share > 0] >= 0.5, targets.numpy()[share > 0] >= 0.5
            for total, some in zip(self.counts, (found & true, found & ~true, ~found & true), strict=True):
                total += some.sum(0)

    def scores(self) -> RecordingScores:
        with np.errstate(invalid="ignore"):
            mean = self.total / self.count[:, None]
        hits, false, missed = self.counts
        return RecordingScores(mean, hits, false, missed, self.loss / max(self.weights, 1e-9))
