"""Bursts of noise at known samples, and a model that detects nothing else: a GRU's cost, a level meter's output."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.bench.graphs import Graph, add_gru, gru_card
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec

SAMPLE_RATE = 16000  # Hz
HIDDEN = 64
SOFT_RMS, LOUD_RMS = 0.003, 0.2  # root mean square of the noise between bursts and in them
BURST_SECONDS, TAIL_SECONDS = 0.05, 1.0
PAUSE_SECONDS = (0.35, 0.45)  # from one burst to the next, drawn evenly


def bursts(count: int, lead: float, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Noise that never repeats.

    Args:
        count: bursts.
        lead: seconds before the first.
        seed: of noise and pauses.

    Returns:
        (n,) float32 at SAMPLE_RATE, and (count,) the first sample of each burst, at any phase of a hop.
    """
    rng = np.random.default_rng(seed)
    pauses = rng.integers(round(PAUSE_SECONDS[0] * SAMPLE_RATE), round(PAUSE_SECONDS[1] * SAMPLE_RATE), count)
    begins = round(lead * SAMPLE_RATE) + np.cumsum(pauses) - pauses[0]
    sound = SOFT_RMS * rng.standard_normal(begins[-1] + round(TAIL_SECONDS * SAMPLE_RATE))
    for begin in begins:
        sound[begin : begin + round(BURST_SECONDS * SAMPLE_RATE)] *= LOUD_RMS / SOFT_RMS
    return np.clip(sound, -1, 1).astype(np.float32), begins


def level_model() -> bytes:
    """A model file: "loud" where a frame's mean level, in decibels, is nearer to LOUD_RMS's than to SOFT_RMS's."""
    spec, rng = MfccSpec(), np.random.default_rng(0)
    quiet, loud = (
        mfcc(level * rng.standard_normal(SAMPLE_RATE), spec)[:, 0].mean() for level in (SOFT_RMS, LOUD_RMS)
    )
    slope = np.zeros((spec.width, 1), np.float32)
    slope[0] = 20 / (loud - quiet)  # coefficient 0 is the mean level
    graph = Graph("level")
    add_gru(graph, HIDDEN, spec.width, rng)
    graph.weight("nothing", np.zeros((HIDDEN, 1), np.float32))
    graph.weight("slope", slope)
    graph.weight("middle", -slope[0] * np.float32((quiet + loud) / 2))
    graph.node("MatMul", ["hidden", "nothing"], ["zero"])
    graph.node("MatMul", ["features", "slope"], ["level"])
    graph.node("Add", ["level", "middle"], ["above"])
    graph.node("Add", ["above", "zero"], ["logits"])
    graph.node("Sigmoid", ["logits"], ["probs"])
    graph.port("probs", ("N", "T", 1), output=True)
    rule = ClassRule(threshold=0.5, min_on=0.0, min_off=0.1, smoothing=0.0)
    card = gru_card("level", ("loud",), HIDDEN, spec)
    return graph.model(msgspec.structs.replace(card, detector=DetectorSpec(default=rule)))
