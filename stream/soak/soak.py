"""soak(): the run itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.classifier import StreamClassifier
from stream.errors import SpecError
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.features.repair import MAX_REPAIR_SECONDS
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.soak.certificate import Certificate, Line
from stream.soak.schedule import ROUNDS, SHARES, Samples, Schedule
from stream.soak.watch import StateNorm, Watch, resident_bytes

TOLERANCE = 1e-4  # of a probability, against a fresh stream
SETTLE = 30.0  # seconds of reference sound in which the answers must have come back, unless told otherwise
REFERENCE = 20.0  # seconds compared after that
GROWTH = 2.0  # MiB
NORM_GROWTH = 1.2  # a state that adds up without bound grows by 4/3 from the third round to the fourth
MARK = 2**31  # where a 32-bit sample counter ends

Progress = Callable[[float, str], None]


def soak(
    model: Model,
    recordings: Sequence[Samples],
    hours: float,
    seed: int = 0,
    start: int | None = None,
    settle: float = SETTLE,
    progress: Progress = lambda share, text: None,
) -> Certificate:
    """Push hours of sound and abuse through one stream as fast as it goes, and check everything.

    Four rounds, each half mixed recordings with lost samples, then silence, noise, clipping and damage (NaN,
    infinite and absurd samples). After each round the stream hears reference sound, and so does a fresh one.

    Args:
        model: what to run.
        recordings: (n,) float32 each at the model's rate, finite, at least a second long.
        hours: of sound.
        seed: of the schedule.
        start: absolute index of the first sample; default so that the middle is sample 2**31.
        settle: seconds of reference sound in which the answers must be a fresh stream's again: the model's own
            memory, and a claim about it.
        progress: told the share done and a line about it.
    """
    rate = model.card.features.sample_rate
    total = round(hours * 3600 * rate)
    if hours <= 0 or not recordings or any(len(r) < rate or not np.isfinite(r).all() for r in recordings):
        raise SpecError(
            f"soak of {hours:g} hours: need more than 0, and clean recordings of a second or more"
        )
    begin = max(0, MARK - total // 2) if start is None else start
    run = _Run(model, recordings, seed, begin, settle)
    memory: list[float] = []
    settled: list[float] = []

    def share_done() -> float:
        return min(1.0, (run.schedule.books.end - begin) / total)

    for turn in range(ROUNDS):
        run.norm.begin_round()
        for kind, part in SHARES.items():
            progress(share_done(), f"round {turn + 1} of {ROUNDS}: {kind}")
            run.play(kind, round(part * total / ROUNDS))
        settled.append(run.settle())
        resident = resident_bytes()
        if resident is not None:
            memory.append(resident / 2**20)
        progress(
            share_done(),
            f"round {turn + 1} of {ROUNDS}: state norm up to {run.norm.rounds[-1]:.4g}, "
            f"answers a fresh stream's after {settled[-1]:.2f} s",
        )
    run.watch.see(run.classifier.flush())
    return Certificate(
        model.path,
        model.sha256,
        (run.schedule.books.end - begin) / rate / 3600,
        seed,
        begin,
        run.schedule.books.end,
        rate,
        run.norm.rounds,
        memory,
        settled,
        _lines(run, begin, memory, settled),
    )


class _Run:
    """One stream, what feeds it and what watches it."""

    def __init__(
        self, model: Model, recordings: Sequence[Samples], seed: int, start: int, settle: float
    ) -> None:
        card = model.card
        rate = card.features.sample_rate
        self.model = model
        self.classifier = StreamClassifier(model)
        self.schedule = Schedule(
            recordings, rate, round(MAX_REPAIR_SECONDS * rate), round(MAX_GAP_SECONDS * rate), seed, start
        )
        self.watch = Watch(
            self.schedule.books, card.features, card.stride, self.classifier.reference, self.classifier.hop
        )
        self.norm = StateNorm()
        self._reference = np.resize(np.concatenate(recordings), round((settle + REFERENCE) * rate))
        self.allowed = settle

    def play(self, kind: str, length: int) -> None:
        for chunk in self.schedule.play(kind, length):
            self._push(chunk)

    def _push(self, chunk: Chunk) -> Result:
        result = self.classifier.push(chunk)
        self.watch.see(result)
        self.norm.see(self.classifier.state)
        return result

    def settle(self) -> float:
        """Seconds of reference sound until the stream answers as a fresh one, and goes on to; inf if not."""
        # One lost hop: both streams then cut frames at the same samples, and this one keeps its state.
        self.schedule.skip(self.classifier.hop)
        fresh = StreamClassifier(self.model)
        start = self.schedule.books.end
        want = fresh.push(Chunk(self._reference, start, self.schedule.sample_rate)).scores
        got = [self._push(chunk).scores for chunk in self.schedule.cut(self._reference)]
        probs: NDArray[np.float32] = np.concatenate([s.probs for s in got])
        if not np.array_equal(np.concatenate([s.sample for s in got]), want.sample):
            return math.inf
        off = np.flatnonzero(~(np.abs(probs - want.probs) <= TOLERANCE).all(axis=1))  # NaN is off
        seconds = 0.0 if not len(off) else float(want.sample[off[-1]] - start) / self.schedule.sample_rate
        return seconds if seconds <= self.allowed else math.inf


def _lines(run: _Run, begin: int, memory: list[float], settled: list[float]) -> list[Line]:
    watch, books, norms = run.watch, run.schedule.books, run.norm.rounds
    bounded = all(math.isfinite(n) for n in norms) and norms[-1] <= NORM_GROWTH * max(norms[:-1])
    steps = [later - earlier for earlier, later in pairwise(memory)]
    growth = memory[-1] - memory[0] if memory else math.nan
    counted = (watch.lost, watch.missing, watch.repaired)
    injected = (books.lost, books.missing, books.repaired)
    short = watch.rows_missing()
    return [
        Line(
            f"answers return to a fresh stream's within {TOLERANCE:g}",
            max(settled) <= run.allowed,
            f"after {', '.join(f'{s:.2f}' for s in settled)} s of reference sound, at most {run.allowed:g} allowed, "
            f"then held for {REFERENCE:g} s or more",
        ),
        Line(
            "norm of the carried state is bounded",
            bounded,
            "up to " + ", ".join(f"{n:.5g}" for n in norms) + " in rounds 1 to 4",
        ),
        Line(
            "every probability is a number in 0 to 1",
            not watch.bad_rows and watch.rows > 0,
            f"{watch.rows - watch.bad_rows} of {watch.rows} rows",
        ),
        Line(
            f"memory grows less than {GROWTH:g} MiB after the first round",
            None if not steps else growth < GROWTH,
            "not measured on this system" if not steps else f"{growth:+.2f} MiB, at {memory[-1]:.0f} MiB",
        ),
        Line(
            "sample indices are exact, to the end",
            not watch.bad_indices and not short and run.classifier.end == books.end,
            f"samples {begin} to {books.end}, past 2^31: {'yes' if begin < MARK < books.end else 'no'}; "
            f"{watch.bad_indices} wrong, {short} missing",
        ),
        Line(
            "events follow each other in time",
            not watch.disorder,
            watch.disorder or f"{watch.events} complete events",
        ),
        Line(
            "lost, missing and mended samples are counted exactly",
            counted == injected,
            f"counted {counted}, injected {injected}",
        ),
    ]
