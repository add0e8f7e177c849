"""While a source is gone, or gives nothing valid: events end by its clock, and nothing else changes, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.inference.session import Model
from stream.messages import Chunk, Event, Result
from stream.recording import merge
from stream.snapshot import pack, unpack
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes

RULES = DetectorSpec(default=ClassRule(threshold=0.001, release=0.0, min_on=0, min_off=0, refractory=0.2))
BEATS = 10  # a second


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


def sound(rate: int, invalid: int = 0) -> np.ndarray:
    """Two seconds of speech; the second before the place where the source goes may end invalid."""
    samples = make("speech", rate).copy()
    samples[rate - invalid : rate] = np.nan
    return samples


def heartbeats(start: int, missing: int, rate: int) -> Iterator[Chunk]:
    for lost in range(0, missing, rate // BEATS):
        yield Chunk(np.empty(0, np.float32), start, rate, None, "recovering", "gone", lost)


def told(samples: np.ndarray, missing: int, rate: int, *, told: bool = True) -> list[Chunk]:
    """Sound of a second, a gap, and more sound, in pieces of some 20 ms."""
    step = rate // 50 + 7
    before = [Chunk(samples[at : min(at + step, rate)], at, rate) for at in range(0, rate, step)]
    behind = [Chunk(samples[at : at + step], at + missing, rate) for at in range(rate, len(samples), step)]
    return [*before, *(heartbeats(rate, missing, rate) if told else ()), *behind]


def complete(results: list[Result]) -> list[Event]:
    return [event for result in results for event in result.events if event.offset is not None]


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.05, 3.0])
@pytest.mark.parametrize("invalid", [0, 100, 4000])
def test_results_are_those_of_a_gap_that_was_known_at_once(
    rate: int, seconds: float, invalid: int, model: Model
) -> None:
    missing = round(seconds * rate)
    outcomes = []
    for known in (True, False):
        classifier = StreamClassifier(model, RULES)
        chunks = told(sound(rate, invalid), missing, rate, told=known)
        results = [*map(classifier.push, chunks), classifier.flush()]
        outcomes.append(merge(results, classifier))
    got, want = outcomes
    assert want.events
    assert got.events == want.events
    assert got.gaps == want.gaps
    assert (got.end, got.repaired) == (want.end, want.repaired)
    for name in ("probs", "sample", "warm"):
        np.testing.assert_array_equal(getattr(got.scores, name), getattr(want.scores, name))
    np.testing.assert_array_equal(got.features, want.features)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(("max_gap", "beat"), [(0.0, 1), (0.25, 3), (1.0, 11), (2.5, None)])
def test_events_end_when_the_gap_is_certain_to_be_long(
    rate: int, max_gap: float, beat: int | None, model: Model
) -> None:
    classifier = StreamClassifier(model, RULES, max_gap=max_gap)
    samples = sound(rate)
    on = {e.id for e in classifier.push(Chunk(samples[:rate], 0, rate, 77.0)).events}
    assert on
    results = [classifier.push(chunk) for chunk in heartbeats(rate, 2 * rate, rate)]
    ended = [(i, event) for i, result in enumerate(results) for event in result.events]
    assert {event.id for _, event in ended} == (on if beat is not None else set())
    for i, event in ended:
        assert i == beat
        assert event.cut
        assert event.offset is not None
        assert event.offset <= 16000
        assert results[i].captured_at == 77.0  # of the newest sample, not of the heartbeat


def test_an_end_is_reported_once_and_no_beginning_is_invented(model: Model) -> None:
    classifier = StreamClassifier(model, RULES)
    results = [classifier.push(chunk) for chunk in told(sound(16000), 3 * 16000, 16000)]
    last = classifier.flush()
    begun = [e.id for r in results for e in r.events if e.offset is None]
    ended = [e.id for e in complete([*results, last])]
    assert len(begun) == len(set(begun)) == 6
    assert sorted(ended) == sorted(begun)
    assert not any(r.events or len(r.scores) for r in results if r.end == 16000 and r.gaps)


def test_an_end_without_numbers_ends_events_too(model: Model) -> None:
    """A microphone that gives NaN for hours: the sound's own clock tells how long."""
    classifier = StreamClassifier(model, RULES)
    classifier.push(sound(16000)[:16000])
    nan = np.full(1600, np.nan, np.float32)
    ends = [tuple(e.id for e in classifier.push(nan).events) for _ in range(30)]
    assert [i for i, ids in enumerate(ends) if ids] == [10]
    assert sorted(ends[10]) == [0, 1, 2]
    whole = StreamClassifier(model, RULES)
    at_once = np.concatenate([sound(16000)[:16000], np.full(48000, np.nan, np.float32)])
    events = [*whole.push(at_once).events, *whole.flush().events]
    assert sorted(e.id for e in events if e.offset is not None) == [0, 1, 2]


@pytest.mark.parametrize("rate", [16000, 44100])
def test_saved_while_the_source_is_gone(rate: int, model: Model) -> None:
    chunks = told(sound(rate), 2 * rate, rate)
    for at in (len(chunks) // 2, len(chunks) // 2 + 8):
        here, there = StreamClassifier(model, RULES), StreamClassifier(model, RULES)
        for chunk in chunks[:at]:
            here.push(chunk)
        there.restore(unpack(pack(here.snapshot())))
        assert outcome(there, chunks[at:]) == outcome(here, chunks[at:])


def outcome(classifier: StreamClassifier, chunks: list[Chunk]) -> Any:
    results = [*map(classifier.push, chunks), classifier.flush()]
    joined = merge(results, classifier)
    return joined.events, joined.gaps, joined.probs.tolist(), joined.scores.sample.tolist()


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_source_that_was_wrong_does_no_harm(rate: int, model: Model) -> None:
    """It said that sound was lost, and then goes on as if nothing had been: events begin anew, times stay right."""
    samples = sound(rate)
    classifier = StreamClassifier(model, RULES)
    classifier.push(Chunk(samples[:rate], 0, rate))
    for chunk in heartbeats(rate, 2 * rate, rate):
        classifier.push(chunk)
    classifier.push(Chunk(np.empty(0, np.float32), rate, rate, None, "recovering"))
    result = classifier.push(Chunk(samples[rate:], rate, rate))
    assert not result.gaps
    assert len(result.scores) > 80
    assert {event.id for event in result.events} == {3, 4, 5}
