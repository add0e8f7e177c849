"""The soak itself: rounds of sound and damage, each followed by a comparison with a new stream."""

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
from stream.soak.monitor import Monitor, StateNorm, resident_bytes
from stream.soak.schedule import ROUNDS, SHARES, Samples, Schedule

PROBABILITY_TOLERANCE = 1e-4  # between the stream and a new one
SETTLE_SECONDS = 30.0  # of reference sound, after which the probabilities must agree, by default
REFERENCE_SECONDS = 20.0  # compared after that
MAX_GROWTH_MIB = 2.0
MAX_NORM_GROWTH = (
    1.2  # from any round to the last; a state that adds up without bound grows by 4/3 in the last one
)
INT32_END = 2**31  # the first sample index that a signed 32-bit counter cannot hold

Progress = Callable[[float, str], None]


def soak(
    model: Model,
    recordings: Sequence[Samples],
    hours: float,
    seed: int = 0,
    start: int | None = None,
    settle: float = SETTLE_SECONDS,
    progress: Progress = lambda share, text: None,
) -> Certificate:
    """Push hours of sound and abuse through one stream as fast as it goes, and check everything.

    Four rounds, each half mixed recordings with lost samples, then silence, noise, clipping and damage (NaN,
    infinite and absurdly large samples). After each round the stream and a new one hear the same reference sound.

    Args:
        model: what to run.
        recordings: (n,) float32 each at the model's rate, finite, at least a second long.
        hours: of sound.
        seed: of the schedule.
        start: absolute index of the first sample; default so that the middle is sample 2**31.
        settle: seconds of reference sound after which the probabilities must be those of a new stream: as long as
            the model remembers.
        progress: called with the share done and a line about it.
    """
    rate = model.card.features.sample_rate
    total = round(hours * 3600 * rate)
    if hours <= 0 or not recordings or any(len(r) < rate or not np.isfinite(r).all() for r in recordings):
        raise SpecError(
            f"soak of {hours:g} hours: need more than 0, and clean recordings of a second or more"
        )
    begin = max(0, INT32_END - total // 2) if start is None else start
    run = _Run(model, recordings, seed, begin, settle)
    memory: list[float] = []
    settled: list[float] = []

    def share_done() -> float:
        return min(1.0, (run.schedule.ledger.end - begin) / total)

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
            f"probabilities those of a new stream after {settled[-1]:.2f} s",
        )
    run.monitor.observe(run.classifier.flush())
    return Certificate(
        model.path,
        model.sha256,
        (run.schedule.ledger.end - begin) / rate / 3600,
        seed,
        begin,
        run.schedule.ledger.end,
        rate,
        run.norm.rounds,
        memory,
        settled,
        _lines(run, begin, memory, settled),
    )


class _Run:
    """One stream, the schedule that feeds it and the monitor of its results."""

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
        self.monitor = Monitor(
            self.schedule.ledger, card.features, card.stride, self.classifier.reference, self.classifier.hop
        )
        self.norm = StateNorm()
        self._reference = np.resize(np.concatenate(recordings), round((settle + REFERENCE_SECONDS) * rate))
        self.allowed = settle

    def play(self, kind: str, length: int) -> None:
        for chunk in self.schedule.chunks(kind, length):
            self._push(chunk)

    def _push(self, chunk: Chunk) -> Result:
        result = self.classifier.push(chunk)
        self.monitor.observe(result)
        self.norm.observe(self.classifier.state)
        return result

    def settle(self) -> float:
        """Seconds of reference sound until the probabilities are those of a new stream, and stay so; inf if never."""
        # One lost hop: both streams then cut frames at the same samples, and this one keeps its state.
        self.schedule.skip(self.classifier.hop)
        fresh = StreamClassifier(self.model)
        start = self.schedule.ledger.end
        want = fresh.push(Chunk(self._reference, start, self.schedule.sample_rate)).scores
        got = [self._push(chunk).scores for chunk in self.schedule.in_chunks(self._reference)]
        probs: NDArray[np.float32] = np.concatenate([s.probs for s in got])
        if not np.array_equal(np.concatenate([s.sample for s in got]), want.sample):
            return math.inf
        off = np.flatnonzero(~(np.abs(probs - want.probs) <= PROBABILITY_TOLERANCE).all(axis=1))  # NaN is off
        seconds = 0.0 if not len(off) else float(want.sample[off[-1]] - start) / self.schedule.sample_rate
        return seconds if seconds <= self.allowed else math.inf


def _lines(run: _Run, begin: int, memory: list[float], settled: list[float]) -> list[Line]:
    monitor, ledger, norms = run.monitor, run.schedule.ledger, run.norm.rounds
    bounded = all(math.isfinite(n) for n in norms) and norms[-1] <= MAX_NORM_GROWTH * max(norms[:-1])
    steps = [later - earlier for earlier, later in pairwise(memory)]
    growth = memory[-1] - memory[0] if memory else math.nan
    counted = (monitor.lost, monitor.invalid, monitor.repaired)
    injected = (ledger.lost, ledger.invalid, ledger.repaired)
    short = monitor.missing_rows()
    return [
        Line(
            f"probabilities return to those of a new stream within {PROBABILITY_TOLERANCE:g}",
            max(settled) <= run.allowed,
            f"after {', '.join(f'{s:.2f}' for s in settled)} s of reference sound, at most {run.allowed:g} allowed, "
            f"then held for {REFERENCE_SECONDS:g} s or more",
        ),
        Line(
            "norm of the carried state is bounded",
            bounded,
            "up to " + ", ".join(f"{n:.5g}" for n in norms) + " in rounds 1 to 4",
        ),
        Line(
            "every probability is a number in 0 to 1",
            not monitor.invalid_rows and monitor.rows > 0,
            f"{monitor.rows - monitor.invalid_rows} of {monitor.rows} rows",
        ),
        Line(
            f"memory grows less than {MAX_GROWTH_MIB:g} MiB after the first round",
            None if not steps else growth < MAX_GROWTH_MIB,
            "not measured on this system" if not steps else f"{growth:+.2f} MiB, at {memory[-1]:.0f} MiB",
        ),
        Line(
            "sample indices are exact, to the end",
            not monitor.wrong_indices and not short and run.classifier.end == ledger.end,
            f"samples {begin} to {ledger.end}, past 2^31: {'yes' if begin < INT32_END < ledger.end else 'no'}; "
            f"{monitor.wrong_indices} wrong, {short} missing",
        ),
        Line(
            "events follow each other in time",
            not monitor.disorder,
            monitor.disorder or f"{monitor.events} complete events",
        ),
        Line(
            "lost, invalid and repaired samples are counted exactly",
            counted == injected,
            f"counted {counted}, injected {injected}",
        ),
    ]
