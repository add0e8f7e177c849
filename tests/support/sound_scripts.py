"""Streams that go wrong in every way, in which each sample can be told from all others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from stream.classifier import StreamClassifier
from stream.inference.session import Model
from stream.messages import Chunk
from stream.privacy.speech_rule import SpeechRule

RATE = 16_000


def script(seed: int, seconds: float = 12.0, rates: Sequence[int] = (RATE,)) -> list[Chunk]:
    """Chunks of any size with gaps, invalid samples, heartbeats and changes of rate; no two samples are equal."""
    rng = np.random.default_rng(seed)
    values = rng.permutation(2 * round(seconds * max(rates)) + 1).astype(np.float32)
    values = values[values != 0] / np.float32(len(values) + 1)
    chunks: list[Chunk] = []
    at, used = 0, 0
    for turn, rate in enumerate(rates):
        if turn:
            at = math.ceil(at * rate / rates[turn - 1]) + rate
        end = at + round(seconds * rate / len(rates))
        while at < end:
            count = int(rng.choice([1, 7, 160, 441, 1600, 5000, 20_000]))
            count = min(count, end - at)
            samples = values[used : used + count] * np.float32(rng.choice([1e-3, 0.05, 1.0]))
            samples *= rng.choice([-1, 1], count).astype(np.float32)
            used += count
            if rng.random() < 0.05:
                samples[: int(rng.integers(1, 2000))] = np.nan
            chunks.append(Chunk(samples, at, rate))
            at += count
            if rng.random() < 0.1:
                gap = int(rng.choice([3, 200, 3000, 40_000]))
                chunks += [Chunk(samples[:0], at, rate, missing=m) for m in (0, gap // 2, gap)][
                    : rng.integers(4)
                ]
                at += gap
    return chunks


def free_of_speech(chunks: Sequence[Chunk], model: Model, rule: SpeechRule) -> list[np.ndarray]:
    """What may be kept of each chunk, by the definition and from the scores of the whole stream.

    Returns:
        For each chunk (n,) bool.
    """
    classifier = StreamClassifier(model)
    results = [classifier.push(chunk) for chunk in chunks]
    results.append(classifier.flush())
    scores = classifier.join([result.scores for result in results if len(result.scores)])
    rate, hop = classifier.sample_rate, classifier.hop
    column = scores.labels.index("speech")
    p = np.clip(scores.probs[:, column].astype(float), 1e-4, 1 - 1e-4)
    odds = np.where(scores.warm, np.log(p / (1 - p)), np.inf)
    beside = round(rule.smoothing * rate / hop / 2)
    before, after = max(round(rule.before * rate), hop), round(rule.after * rate)
    limit = math.log(rule.threshold / (1 - rule.threshold))
    free = np.zeros(classifier.end + 10 * rate, bool)
    spoken = np.zeros(len(free), bool)
    runs = np.split(np.arange(len(odds)), np.flatnonzero(np.diff(scores.sample) > hop) + 1)
    for run in runs:
        if len(run) <= 2 * beside:
            continue
        averages = np.array(
            [
                math.fsum(odds[k - beside : k + beside + 1]) / (2 * beside + 1)
                for k in run[beside : len(run) - beside]
            ]
        )
        middles = scores.sample[run[beside : len(run) - beside]]
        free[max(middles[0], 0) : max(middles[-1] - before, 0)] = True
        for middle in middles[averages >= limit]:
            spoken[max(middle - hop - before, 0) : max(middle + hop + after, 0)] = True
    free &= ~spoken
    return [
        free[(chunk.start + np.arange(len(chunk.samples))) * rate // chunk.sample_rate] for chunk in chunks
    ]


def expected(chunks: Sequence[Chunk], free: Sequence[np.ndarray]) -> list[Chunk]:
    """The chunks as they may be kept."""
    return [
        msgspec.structs.replace(
            chunk, samples=np.where(kept | np.isnan(chunk.samples), chunk.samples, np.float32(0))
        )
        for chunk, kept in zip(chunks, free, strict=True)
    ]


def flat(chunks: Sequence[Chunk]) -> tuple[np.ndarray, np.ndarray]:
    """Rate and index of every sample, (n, 2), and the samples, (n,)."""
    places = [
        np.stack(
            [np.full(len(chunk.samples), chunk.sample_rate), chunk.start + np.arange(len(chunk.samples))], 1
        )
        for chunk in chunks
    ]
    return np.concatenate(places), np.concatenate([chunk.samples for chunk in chunks])
