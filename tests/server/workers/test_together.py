"""Sound of many streams in one order to a worker: each stream as if alone, in any mixture, without a process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import StreamClassifyError
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.server.workers import process
from stream.server.workers.bundles import bundled
from stream.server.workers.messages import (
    Flush,
    Heard,
    HeardTogether,
    Order,
    Save,
    Sound,
    SoundTogether,
    answer,
    orders,
    packed,
)
from stream.server.workers.seat import WorkerSeat
from stream.server.workers.worker import Worker
from tests.support.pooled import alone, assert_as_alone
from tests.support.sounds import make
from tests.support.stream_peer import lively_rules
from tests.support.toy_models import nan_above, toy_bytes, toy_card

RATE = 16_000
SOUNDS = ("speech", "music", "noise")


class Pair:
    """A worker as the station sees it, and the worker itself: what is said goes through bytes, and no pipe."""

    def __init__(self, model: Model, streams: int) -> None:
        self.station = Worker(model, streams, 0.0, lambda: None, lambda worker, how: None)
        self.worker = process.Worker(model, streams)
        self.said: Counter[type] = Counter()
        self.results: list[list[Result]] = [[] for _ in range(streams)]
        self.ends: list[list[Exception | None]] = [[] for _ in range(streams)]

    def take(self, number: int, **options: Any) -> WorkerSeat:
        given = {"detector": None, "snapshot": None} | options
        deliver, ended = self.results[number].append, self.ends[number].append
        return self.station.take_seat(f"stream {number}", deliver, ended, left=lambda: None, **given)

    def turn(self) -> None:
        """Carry out what was ordered so far."""
        given, self.station._orders = self.station._orders, []
        sent = orders(packed(bundled(given, RATE)))
        told = answer(packed(self.worker.carry_out(sent)))
        self.said.update(map(type, told.said))
        self.station._unanswered += 1
        self.station._take(told)


def integers(sound: np.ndarray) -> np.ndarray:
    return np.round(32767 * sound).astype(np.int16)


@pytest.mark.parametrize("seed", range(4))
def test_in_any_mixture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = Model(toy_bytes(toy_card(detector=lively_rules())))
    count = 9
    pair = Pair(model, count)
    slow = DetectorSpec(default=ClassRule(threshold=0.4, smoothing=0.3, min_on=0.05))
    options = [{"detector": slow} if number % 4 == 3 else {} for number in range(count)]
    seats = [pair.take(number, **each) for number, each in enumerate(options)]
    sounds = [make(SOUNDS[number % 3], RATE, 3.0) for number in range(count)]
    pushed: list[list[Chunk]] = [[] for _ in range(count)]
    at = [100 * number for number in range(count)]
    saved = 0
    for _ in range(40):
        for number, seat in enumerate(seats):
            for _ in range(int(rng.choice([0, 1, 1, 1, 1, 2, 3]))):
                size = 1600 if rng.random() < 0.9 else int(rng.choice([1, 100, 319, 3000, 9000]))
                at[number] += int(rng.choice([7, 30_000])) if rng.random() < 0.02 else 0
                here = at[number] % (len(sounds[number]) - 9000)
                samples = sounds[number][here : here + size].copy()
                if rng.random() < 0.7:
                    samples = integers(samples)
                elif rng.random() < 0.1:
                    samples[:3] = np.nan
                captured = float(at[number]) if rng.random() < 0.8 else None
                clean = samples.dtype == np.int16 or bool(np.isfinite(samples).all() and rng.random() < 0.5)
                chunk = Chunk(samples, at[number], RATE, captured, clean=clean)
                seat.push(chunk)
                pushed[number].append(chunk)
                at[number] += size
            if rng.random() < 0.03:
                seat.snapshot(lambda snapshot: None)
                saved += 1
        pair.turn()
        assert [seat.pending for seat in seats] == [0] * count
    for seat in seats:
        seat.flush()
    pair.turn()
    assert pair.ends == [[None]] * count
    for number in range(count):
        floats = [
            Chunk(
                chunk.samples if chunk.samples.dtype == np.float32 else chunk.samples * np.float32(1 / 32768),
                chunk.start,
                RATE,
                chunk.captured_at,
            )
            for chunk in pushed[number]
        ]
        assert_as_alone(pair.results[number], model, floats, **options[number])
        ends = [result.end for result in pair.results[number]]
        assert ends == sorted(ends)
    assert saved
    assert pair.said[HeardTogether] > 20
    assert pair.said[Heard] > 20


def test_what_is_no_probability_ends_its_stream_only() -> None:
    """A model that gives NaN for what the plain one is most sure of, which one of five streams holds."""
    plain = Model(toy_bytes())
    sounds = [make(name, RATE, 1.0) for name in SOUNDS]
    sounds.sort(key=lambda sound: float(alone(plain, [Chunk(sound, 0, RATE)]).probs.max()))
    quiet, loud = sounds[0], sounds[-1]
    most = [float(alone(plain, [Chunk(sound, 0, RATE)]).probs.max()) for sound in (quiet, loud)]
    model = Model(nan_above((most[0] + most[1]) / 2))
    pair = Pair(model, 5)
    seats = [pair.take(number) for number in range(5)]
    for start in range(0, RATE, 1600):
        for number, seat in enumerate(seats):
            sound = loud if number == 2 else quiet
            seat.push(Chunk(sound[start : start + 1600], start, RATE, clean=True))
        pair.turn()
    for seat in seats[:2] + seats[3:]:
        seat.flush()
    pair.turn()
    assert [len(told) for told in pair.ends] == [1] * 5
    assert isinstance(pair.ends[2][0], StreamClassifyError)
    for number in (0, 1, 3, 4):
        assert pair.ends[number] == [None]
        assert_as_alone(pair.results[number], model, [Chunk(quiet, 0, RATE)])


def sound(seat: int, start: int, count: int = 4, **changes: Any) -> Sound:
    fields = {"integer": True, "sample_rate": RATE, "captured_at": None, "missing": 0, "clean": False}
    return Sound(seat=seat, samples=bytes([seat, start] * count), start=start, **(fields | changes))


def test_the_order_of_each_stream_stays_as_it_is() -> None:
    given: list[Order] = [
        sound(1, 0), sound(1, 4), sound(2, 0), Save(1), sound(1, 8), sound(2, 4), Flush(2), sound(3, 0), sound(2, 8),
    ]  # fmt: skip
    found = bundled(given, RATE)
    together = [each for each in found if isinstance(each, SoundTogether)]
    assert [(each.seats, each.starts) for each in together] == [([1, 2, 3], [0, 0, 0]), ([1, 2], [4, 4])]
    assert together[0].samples == bytes([1, 0] * 4 + [2, 0] * 4 + [3, 0] * 4)
    assert found[2:] == [Save(1), sound(1, 8), Flush(2), sound(2, 8)]


@pytest.mark.parametrize(
    "changes",
    [{"sample_rate": 8000}, {"missing": 5}, {"integer": False}, {"count": 0}],
    ids=["another rate", "a gap", "perhaps invalid", "nothing"],
)
def test_what_is_more_than_sound_goes_alone(changes: dict[str, Any]) -> None:
    given = sound(1, 0, **changes)
    assert bundled([given], RATE) == [given]


def test_sound_of_one_kind_goes_together() -> None:
    given = [sound(1, 0), sound(2, 0, integer=False, clean=True), sound(3, 0, count=8), sound(4, 0)]
    found = bundled(given, RATE)
    assert sorted(each.seats for each in found if isinstance(each, SoundTogether)) == [[1, 4], [2], [3]]


def test_a_second_sound_does_not_overtake_the_first() -> None:
    given = [sound(1, 0), sound(1, 4), sound(2, 0, count=8), sound(2, 8)]
    starts: dict[int, list[int]] = {}
    for each in bundled(given, RATE):
        assert isinstance(each, SoundTogether)
        for seat, start in zip(each.seats, each.starts, strict=True):
            starts.setdefault(seat, []).append(start)
    assert starts == {1: [0, 4], 2: [0, 8]}
