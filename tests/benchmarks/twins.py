"""What each quick path for a single row saves over the general path beside it: ``python -m tests.benchmarks.twins``.

Some stages take one hop of one stream by a shorter way than many rows. Such a twin stays only where the general path
would cost more than 1.2 times as much. Here both take the same hops of the demo in turn, in one process, and their
results are compared to the bit before they are timed: first the stage by itself, then a whole live hop (sound to
events) in which that one quick path, and at last every one, is left out.

A general path is reached through a subclass that leaves the quick one out; see each class for how.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.bench.cases import in_hops
from stream.bench.graphs import gru_model
from stream.bench.suite import bench_sound
from stream.classifier import StreamClassifier
from stream.decisions.detector import Detector
from stream.decisions.smoothing import MovingAverage
from stream.features.kernel import Kernel
from stream.features.mfcc import StreamingMfcc
from stream.features.spec import MfccSpec
from stream.inference.session import Model
from stream.messages import Event, Result, Scores

TURN_SECONDS = 0.02  # that one path runs before the other takes over
BUNDLED_MODELS = ("default", "small")

Frames = NDArray[np.float32]
Turn = Callable[[], Any]


@dataclass
class Twin:
    """Two ways through the same work; each call takes the next hop and returns what comes of it.

    Attributes:
        name: of the quick path that one has and the other lacks.
        count: calls that bring either way once through the sound.
    """

    name: str
    count: int
    quick: Turn
    general: Turn


class GeneralDetector(Detector):
    """A single row is compared with the bars and walked through as arrays, as many rows are: the rest of ``push``."""

    def _push_few(self, probs: Frames, sample: int) -> tuple[Event, ...]:
        smooth = self._smooth = self.average.push(probs)
        self._decided = sample + self.lag
        if not self._busy and not np.count_nonzero(smooth >= self.bars):
            return ()
        changes: list[Any] = []
        level = (smooth >= self._thresholds).astype(np.int8)
        level += smooth >= self._releases
        level += smooth >= self._peak_thresholds
        for column in self._columns:
            self._advance(column, level[:, column], smooth[:, column], sample - self.hop // 2, changes)
        self._busy = any(track.mode for track in self._tracks)
        return self._numbered(changes)


class ArrayRowDetector(Detector):
    """The row is compared with the bars as plain numbers; a class that may change walks as arrays do."""

    def _advance_row(self, smooth: list[float], first: int, changes: list[Any]) -> None:
        row = np.asarray([smooth], np.float32)
        level = (row >= self._thresholds).astype(np.int8)
        level += row >= self._releases
        level += row >= self._peak_thresholds
        for column in self._columns:
            self._advance(column, level[:, column], row[:, column], first, changes)


class GeneralAverage(MovingAverage):
    """One row is summed as many rows are."""

    def _push_one(self, probs: Frames) -> Frames:
        return self._push_many(probs)


class GeneralMfcc(StreamingMfcc):
    """One frame is computed as several are."""

    def __init__(self, spec: MfccSpec) -> None:
        super().__init__(spec)
        self._prepared = [self._frames[row : row + 1] for row in range(len(self._frames))]
        self._kernel = GeneralKernel(self._kernel)


class GeneralKernel:
    def __init__(self, kernel: Kernel) -> None:
        self.width, self.dtype, self.compute, self.prepare = (
            kernel.width,
            kernel.dtype,
            kernel.compute,
            kernel.prepare,
        )

    def compute_one(self, prepared: Frames) -> Frames:
        out = np.empty((1, 1, self.width), np.float32)
        self.compute(prepared, out)
        return out[0]


def twins(model: Model) -> Iterator[tuple[Twin | None, Twin]]:
    """For every quick path: the stage by itself, and a live hop; at last (with None) a hop without any."""
    card = model.card
    spec, stride = card.features, card.stride
    assert isinstance(spec, MfccSpec)  # as all of the models timed here
    sound = bench_sound(spec.sample_rate)
    hops = in_hops(sound, spec.hop_length)
    rows = list(rows_of(model, hops))
    probs = [row.probs for row in rows]
    lag = StreamClassifier(model)._stages.detector.lag

    def detector(kind: type[Detector]) -> Detector:
        return kind(card.detector, card.labels, spec.sample_rate, spec.hop_length * stride, lag)

    def average(kind: type[MovingAverage]) -> MovingAverage:
        return kind(list(detector(Detector).average.lengths))

    def with_general_average(kind: type[Detector] = Detector) -> Detector:
        changed = detector(kind)
        changed.average = average(GeneralAverage)
        return changed

    def hop(name: str, **stages: Any) -> Twin:
        changed = StreamClassifier(model)
        for attribute, stage in stages.items():
            setattr(changed._stages, attribute, stage)
        return Twin(name, len(hops), each(StreamClassifier(model).push, hops), each(changed.push, hops))

    for name, general in (("_push_few", GeneralDetector), ("_advance_row", ArrayRowDetector)):
        name = f"detector.{name}"
        pair = Twin(name, len(rows), decisions(detector(Detector), rows), decisions(detector(general), rows))
        yield pair, hop(name, detector=detector(general))
    name = "smoothing._push_one"
    pair = Twin(
        name, len(probs), each(average(MovingAverage).push, probs), each(average(GeneralAverage).push, probs)
    )
    yield pair, hop(name, detector=with_general_average())
    name = "mfcc.compute_one"
    pair = Twin(name, len(hops), each(StreamingMfcc(spec).push, hops), each(GeneralMfcc(spec).push, hops))
    yield pair, hop(name, front_end=GeneralMfcc(spec))
    every = {
        "detector": with_general_average(GeneralDetector),
        "front_end": GeneralMfcc(spec),
    }
    yield None, hop("all of them", **every)


def rows_of(model: Model, hops: Sequence[Frames]) -> Iterator[Scores]:
    classifier = StreamClassifier(model)
    for hop in hops:
        scores = classifier.push(hop).scores
        if len(scores):
            yield scores


def each(work: Callable[[Any], Any], pieces: Sequence[Any]) -> Turn:
    turn = cycle(pieces)
    return lambda: work(next(turn))


def decisions(detector: Detector, rows: Sequence[Scores]) -> Turn:
    def decide() -> Iterator[tuple[Event, ...]]:
        while True:
            detector.reset()  # the same rows again: time begins anew
            yield from map(detector.push, rows)

    turn = decide()
    return lambda: next(turn)


def plain(result: Any) -> Any:
    """What a stage gave, as something that ``==`` compares to the bit."""
    if isinstance(result, Result):
        return plain(result.probs), result.events, result.gaps, result.end
    if isinstance(result, np.ndarray):
        return result.shape, result.tobytes()
    return result


def check(twin: Twin) -> None:
    """Refuse to time two ways that differ."""
    for hop in range(twin.count):
        if plain(twin.quick()) != plain(twin.general()):
            raise SystemExit(f"{twin.name}: hop {hop} differs between the two paths")


def time_twin(twin: Twin, rounds: int) -> tuple[float, float, float]:
    """Median microseconds of a hop by the quick and by the general path, and the median of the rounds' ratios."""
    quick, general, ratios = [], [], []
    for turn in range(rounds):
        # What the other path leaves in the caches and what else the machine does falls on both alike.
        if turn % 2:
            first, second = take_turn(twin.quick), take_turn(twin.general)
        else:
            second, first = take_turn(twin.general), take_turn(twin.quick)
        quick.append(first)
        general.append(second)
        ratios.append(second / first)
    return statistics.median(quick), statistics.median(general), statistics.median(ratios)


def take_turn(call: Turn) -> float:
    """Median microseconds of the calls in one turn."""
    clock, took = time.perf_counter, []
    end = clock() + TURN_SECONDS
    while (begin := clock()) < end:
        call()
        took.append(clock() - begin)
    return 1e6 * statistics.median(took)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="quick single-row paths against the general ones")
    parser.add_argument("--rounds", type=int, default=40, help="turns that each path gets (default 40)")
    parser.add_argument("--only", default="", help="part of a name, such as detector")
    asked = parser.parse_args(arguments)
    models = {name: Model.bundled(name, provider="cpu") for name in BUNDLED_MODELS}
    models["gru-64"] = Model(gru_model(64), provider="cpu")
    print("microseconds, medians of one live hop: the stage by itself, then the whole hop")
    print(f"{'model':9s} {'quick path':21s}" + 2 * f"{'quick':>9s} {'general':>8s} {'ratio':>6s}")
    for name, model in models.items():
        for stage, hop in twins(model):
            if asked.only in hop.name:
                print(f"{name:9s} {hop.name:21s}" + column(stage, asked.rounds) + column(hop, asked.rounds))


def column(twin: Twin | None, rounds: int) -> str:
    if twin is None:
        return f"{'':>9s} {'':>8s} {'':>6s}"
    check(twin)
    gc.collect()
    gc.disable()
    try:
        return "{:9.2f} {:8.2f} {:6.2f}".format(*time_twin(twin, rounds))
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
