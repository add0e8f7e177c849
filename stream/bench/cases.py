"""Our own work that is timed, from features to events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle

import numpy as np
from numpy.typing import NDArray

from stream.bench.lower_bounds import kernel_cases, model_bound_cases
from stream.bench.timing import Case
from stream.classifier import StreamClassifier
from stream.decisions.detector import Detector
from stream.features.frontend import extract, make_front_end
from stream.features.repair import Repair
from stream.inference.engine import LoneEngine
from stream.inference.session import Model
from stream.inference.slab import Slab

WHOLE_SECONDS = 60.0  # of the recording that is classified in one call


def our_cases(model: Model, sound: NDArray[np.float32], streams: Sequence[int]) -> list[Case]:
    """Cases for one model.

    Args:
        model: what to run.
        sound: (n,) float32 at the model's rate, some seconds at least.
        streams: sizes of slabs.
    """
    spec = model.card.features
    hop = spec.hop_length / spec.sample_rate
    hops = in_hops(sound, spec.hop_length)
    whole = np.resize(sound, round(WHOLE_SECONDS * spec.sample_rate))
    frames = extract(sound, spec)
    steps = [
        frames[at : at + model.card.stride].copy()
        for at in range(0, len(frames) - model.card.stride + 1, model.card.stride)
    ]
    features, classifier, engine = make_front_end(spec), StreamClassifier(model), LoneEngine(model)
    state = model.initial_state()
    stride = hop * model.card.stride
    cases = [
        Case("features_hop", "features, hop by hop", _each(features.push, hops), hop),
        Case(
            "features_whole",
            "features, whole file",
            lambda: extract(whole, spec),
            WHOLE_SECONDS,
            len(extract(whole, spec)),
            "frame",
        ),
        *kernel_cases(spec, sound),
        Case("step", "model, one step", _each(engine.run, steps), stride, 1, "step"),
        Case(
            "step_plain",
            "the same by plain session.run",
            _each(lambda step: model.step(step[None], state), steps),
            stride,
            1,
            "step",
            "step",
        ),
        *model_bound_cases(model, frames),
        Case("repair", "search for invalid samples", _repairs(hops, spec.sample_rate), hop),
        Case("decision", "detector, one row", _decisions(model, hops), stride, 1, "row"),
        Case("hop", "hop to probabilities and events", _each(classifier.push, hops), hop),
        Case(
            "whole",
            "whole file to events",
            lambda: StreamClassifier(model).push(whole),
            WHOLE_SECONDS,
            round(WHOLE_SECONDS),
            "second",
        ),
    ]
    return [*cases, *slab_cases(model, hops, streams)]


def in_hops(sound: NDArray[np.float32], hop_length: int) -> list[NDArray[np.float32]]:
    """The whole hops of a sound, each an array of its own: (hop_length,) float32."""
    return [hop.copy() for hop in sound[: len(sound) // hop_length * hop_length].reshape(-1, hop_length)]


def slab_cases(model: Model, hops: list[NDArray[np.float32]], streams: Sequence[int]) -> list[Case]:
    """A push of a slab of each size."""
    rng = np.random.default_rng(0)
    hop = len(hops[0]) / model.card.features.sample_rate
    cases = []
    for number in streams:
        slab = Slab(model, number)
        rows = [np.stack([hops[i] for i in rng.integers(0, len(hops), number)]) for _ in range(16)]
        label = f"slab of {number} streams"
        cases.append(
            Case(f"slab_{number}", label, _each(slab.push, rows), hop * number, number, "stream-hop")
        )
    return cases


def _repairs(hops: list[NDArray[np.float32]], sample_rate: int) -> Callable[[], object]:
    repair, begins = Repair(sample_rate), count(0, len(hops[0]))
    turn = cycle(hops)
    return lambda: repair.push(next(turn), next(begins))


def _decisions(model: Model, hops: list[NDArray[np.float32]]) -> Callable[[], object]:
    classifier, card = StreamClassifier(model), model.card
    rows = [scores for hop in hops if len(scores := classifier.push(hop).scores)]
    detector = Detector(card.detector, card.labels, card.features.sample_rate, classifier.hop)

    def decide() -> Iterator[object]:
        while True:
            detector.reset()  # the same rows again: time begins anew
            yield from map(detector.push, rows)

    turn = decide()
    return lambda: next(turn)


def _each(
    work: Callable[[NDArray[np.float32]], object], pieces: list[NDArray[np.float32]]
) -> Callable[[], object]:
    turn = cycle(pieces)
    return lambda: work(next(turn))
