"""A trained network on streams as they will be heard, with its state carried from the first frame to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.calibration.heard import HeardStream
from export.data.recording import Interval, Split
from export.models import State
from export.scenes.compose import Composer
from export.scenes.labels import events_of
from export.scenes.negatives import Kind, negative_streams
from stream.features.framing import frame_centre
from stream.features.frontend import extract
from stream.features.spec import MfccSpec
from stream.inference.card import Activation

OWN_STREAM_SECONDS = 120.0
_CHUNK = 2_000  # frames


def own_streams(
    composer: Composer, minutes: float, seed: int = 0
) -> list[tuple[NDArray[np.float32], tuple[Interval, ...]]]:
    """Composed streams in which every recording comes about once, with what is to be heard in them.

    Args:
        composer: of recordings that were not trained on.
        minutes: at most.
        seed: of every draw.
    """
    rng = np.random.default_rng((seed, 7))
    order = rng.permutation(composer.sounds.usable()).tolist()
    each = max(1, round(composer.per_scene() * OWN_STREAM_SECONDS / composer.settings.seconds))
    streams = max(1, min(-(-len(order) // each), round(minutes * 60 / OWN_STREAM_SECONDS)))
    made = []
    for k in range(streams):
        scene = composer.compose(order[k * each : (k + 1) * each], rng, OWN_STREAM_SECONDS)
        made.append((scene.samples, events_of(scene, composer.recordings, composer.sounds.sample_rate)))
    return made


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


def heard_streams(
    model: nn.Module,
    composer: Composer,
    spec: MfccSpec,
    activation: Activation,
    *,
    kinds: Sequence[Kind],
    without: Sequence[str],
    part: Split = "validation",
    own_minutes: float = 40.0,
    negative_minutes: float = 20.0,
    seed: int = 0,
) -> list[HeardStream]:
    """What a network gives for recordings as they will be heard, and for sound that is no class.

    Args:
        model: in eval mode, on the CPU: ``model(features, state)`` -> (logits, state).
        composer: of recordings that were not trained on.
        spec: the network's features.
        activation: of the network.
        kinds: of sound that is no class.
        without: names of classes; what may be one of them is left out of that sound.
        part: which of its sources.
        own_minutes: of composed streams, at most.
        negative_minutes: of each kind.
        seed: of every draw.
    """
    stride = getattr(getattr(model, "config", None), "stride", 1)
    rate = spec.sample_rate
    hop = spec.hop_length * stride

    def heard(
        probs: NDArray[np.float32], length: int, truth: tuple[Interval, ...], kind: Kind | str
    ) -> HeardStream:
        behind = (stride - 1) * spec.hop_length
        first = frame_centre(0, spec) + behind // 2  # as the live classifier counts
        samples = first + hop * np.arange(len(probs), dtype=np.int64)
        return HeardStream(probs, samples, rate, hop, behind + spec.span - first, length, truth, kind)

    own = own_streams(composer, own_minutes, seed)
    found = [
        heard(probs, len(samples), truth, "own")
        for (samples, truth), probs in zip(
            own, listen(model, [samples for samples, _ in own], spec, activation), strict=True
        )
    ]
    if negative_minutes and kinds:
        negatives = [
            (stream.kind, cut)
            for stream in negative_streams(
                part, rate, negative_minutes * 60, kinds=kinds, seed=seed, without=without
            )
            for cut in np.array_split(stream.samples, max(1, round(negative_minutes / 5)))
        ]
        shortest = min(len(cut) for _, cut in negatives)
        cuts = [cut[:shortest] for _, cut in negatives]
        found += [
            heard(probs, shortest, (), kind)
            for (kind, _), probs in zip(negatives, listen(model, cuts, spec, activation), strict=True)
        ]
    return found
