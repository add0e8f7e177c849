"""A trained network on streams as they will be heard, with its state carried from the first frame to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.calibration.event_report import OWN
from export.calibration.heard import HeardStream
from export.data.recording import Interval, Split
from export.models import State
from export.scenes.compose import Composer, Scene
from export.scenes.labels import events_of
from export.scenes.negatives import Kind, negative_streams
from stream.features.framing import frame_centre
from stream.features.frontend import extract
from stream.features.spec import MfccSpec
from stream.inference.card import Activation

_CHUNK = 2_000  # frames


def listen(
    model: nn.Module,
    streams: Sequence[NDArray[np.float32]],
    spec: MfccSpec,
    activation: Activation,
) -> Iterator[NDArray[np.float32]]:
    """Probabilities (T, C) float32 of streams of equal length, each with carried state from its beginning."""
    features = np.stack([extract(samples, spec) for samples in streams])
    stride = getattr(getattr(model, "config", None), "stride", 1)
    length = features.shape[1] // stride * stride
    chunk = max(stride, _CHUNK // stride * stride)
    state: State = None
    parts: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for begin in range(0, length, chunk):
            piece = torch.from_numpy(features[:, begin : min(begin + chunk, length)])
            logits, state = model(piece, state)
            probs = logits.float().softmax(-1) if activation == "softmax" else logits.float().sigmoid()
            parts.append(probs.numpy())
    yield from np.concatenate(parts, axis=1)


def heard_scenes(
    model: nn.Module, scenes: Sequence[Scene], composer: Composer, spec: MfccSpec, activation: Activation
) -> list[HeardStream]:
    """What a network gives for composed streams of equal length.

    Args:
        model: in eval mode, on the CPU: ``model(features, state)`` -> (logits, state).
        scenes: of recordings that were not trained on.
        composer: of these streams.
        spec: the network's features.
        activation: of the network.
    """
    heard = listen(model, [scene.samples for scene in scenes], spec, activation)
    return [
        _heard(
            model, spec, probs, len(scene.samples), events_of(scene, composer.recordings, spec.sample_rate)
        )
        for scene, probs in zip(scenes, heard, strict=True)
    ]


def heard_negatives(
    model: nn.Module,
    spec: MfccSpec,
    activation: Activation,
    *,
    kinds: Sequence[Kind],
    without: Sequence[str],
    minutes: float,
    part: Split = "validation",
    seed: int = 0,
) -> list[HeardStream]:
    """What a network gives for sound that is no class.

    Args:
        model: in eval mode, on the CPU: ``model(features, state)`` -> (logits, state).
        spec: the network's features.
        activation: of the network.
        kinds: of sound.
        without: names of classes; what may be one of them is left out of that sound.
        minutes: of each kind.
        part: which of its sources.
        seed: of every draw.
    """
    if not minutes or not kinds:
        return []
    streams = negative_streams(part, spec.sample_rate, minutes * 60, kinds=kinds, seed=seed, without=without)
    cuts = [
        (stream.kind, cut)
        for stream in streams
        for cut in np.array_split(stream.samples, max(1, round(minutes / 5)))
    ]
    shortest = min(len(cut) for _, cut in cuts)
    heard = listen(model, [cut[:shortest] for _, cut in cuts], spec, activation)
    return [
        _heard(model, spec, probs, shortest, (), kind) for (kind, _), probs in zip(cuts, heard, strict=True)
    ]


def _heard(
    model: nn.Module,
    spec: MfccSpec,
    probs: NDArray[np.float32],
    length: int,
    truth: tuple[Interval, ...],
    kind: Kind | str = OWN,
) -> HeardStream:
    """A stream of ``length`` samples with (T, C) ``probs`` at the samples that the live classifier gives them."""
    stride = getattr(getattr(model, "config", None), "stride", 1)
    hop = spec.hop_length * stride
    behind = (stride - 1) * spec.hop_length
    first = frame_centre(0, spec) + behind // 2
    samples = first + hop * np.arange(len(probs), dtype=np.int64)
    return HeardStream(probs, samples, spec.sample_rate, hop, behind + spec.span - first, length, truth, kind)
