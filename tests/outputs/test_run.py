"""run: every sink is told everything, in order, with the right times; several classifiers hear one source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.capture.simulate import SimulatedSource
from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import MfccSpec
from stream.inference.session import Model
from stream.messages import Chunk, Result, SourceState
from stream.outputs.jsonl import JsonLines
from stream.outputs.queued import Queued
from stream.outputs.records import Origin
from stream.outputs.wall_time import CaptureTimes, rfc3339
from stream.runner import Summary, run
from tests.support.sinks import Collected
from tests.support.toy_models import toy_bytes, toy_card

NOON = 1_790_000_000.0
RULES = DetectorSpec(default=ClassRule(threshold=0.3, min_on=0.03, min_off=0.05))


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


@pytest.fixture(scope="module")
def slow_model() -> Model:
    """At half the rate."""
    spec = MfccSpec(sample_rate=8000)
    return Model(toy_bytes(toy_card(spec, name="slow")))


class Clock:
    """Time that passes when it is told to; starts at no particular number."""

    def __init__(self) -> None:
        self.now = 700.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Scripted(ArraySource):
    """Gives out chunks that are made up, at any rate."""

    def __init__(self, chunks: list[Chunk]) -> None:
        super().__init__(np.zeros(1, np.float32), chunks[0].sample_rate)
        self._chunks = chunks

    def __iter__(self) -> Iterator[Chunk]:
        yield from self._chunks


class Timed(StreamClassifier):
    """A classifier that takes a while to compute, by a clock of our own."""

    def __init__(self, model: Model, clock: Clock, seconds: float) -> None:
        super().__init__(model, RULES)
        self._clock, self._seconds = clock, seconds

    def push(self, sound: Any) -> Result:
        self._clock.sleep(self._seconds)
        return super().push(sound)

    def flush(self) -> Result:
        self._clock.sleep(10 * self._seconds)
        return super().flush()


def noise(seconds: float, rate: int = 16000) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


def test_a_result_tells_what_computing_it_took_and_nothing_else(model: Model) -> None:
    """Time spent in sinks is not compute time."""
    clock = Clock()

    class Slow(Collected):
        def take(self, kind: str, message: Any) -> None:
            super().take(kind, message)
            clock.sleep(3.0)

    sink = Slow()
    summary = run(ArraySource(noise(0.4), 16000), Timed(model, clock, 0.25), [sink], clock=clock)
    assert [r.busy_seconds for r in sink.of("result")] == [0.25] * 5 + [2.5]
    assert summary.busy_seconds == 5 * 0.25 + 2.5


def test_each_chunk_then_its_result_and_the_end(model: Model) -> None:
    sinks = [Collected(), Collected()]
    sound = noise(1.0)
    summary = run(ArraySource(sound, 16000), StreamClassifier(model, RULES), sinks)
    assert [kind for kind, _ in sinks[0].messages] == ["chunk", "result"] * 13 + ["result"]
    assert [id(m) for _, m in sinks[0].messages] == [id(m) for _, m in sinks[1].messages]
    np.testing.assert_array_equal(np.concatenate([c.samples for c in sinks[0].of("chunk")]), sound)
    results = sinks[0].of("result")
    assert summary == Summary(
        rows=sum(len(r.scores) for r in results),
        events=sum(e.offset is not None for r in results for e in r.events),
        busy_seconds=sum(r.busy_seconds for r in results),
        end=16000,
    )
    assert summary.rows == 97
    assert [sink.closings for sink in sinks] == [1, 1]


def test_the_end_has_the_capture_time_of_the_last_sample(model: Model) -> None:
    """Also where the last thing that came was a heartbeat."""
    sound = np.zeros(4800, np.float32)
    chunks = [
        Chunk(sound, 0, 48000, 20.0),
        Chunk(sound, 4800, 48000, 20.1),
        Chunk(sound[:0], 9600, 48000, 25.0, "recovering"),
    ]
    sink = Collected()
    run(Scripted(chunks), StreamClassifier(model), [sink])
    assert sink.of("result")[-1].captured_at == 20.1
    assert sink.of("result")[-1].end == 3200


def test_state_and_detail_are_told_together_whenever_either_changes(model: Model) -> None:
    nothing = np.empty(0, np.float32)

    def beat(state: SourceState, detail: str, at: float | None) -> Chunk:
        return Chunk(nothing, 0, 16000, at, state, detail)

    chunks = [
        beat("listening", "", 1.0),
        beat("silent", "no sound arrives", 2.0),
        beat("silent", "no sound arrives", 3.0),
        beat("silent", "the sound is a flat line", 4.0),
        beat("listening", "", None),
    ]
    sink = Collected()
    run(Scripted(chunks), StreamClassifier(model), [sink], clock=Clock())
    assert [(s.state, s.detail, s.captured_at) for s in sink.of("status")] == [
        ("silent", "no sound arrives", 2.0),
        ("silent", "the sound is a flat line", 4.0),
        ("listening", "", 700.0),
    ]
    kinds = [kind for kind, _ in sink.messages[:4]]
    assert kinds == [
        "chunk",
        "result",
        "status",
        "chunk",
    ]  # the state is known before the chunk that shows it


def test_several_classifiers_hear_the_same_sound(model: Model, slow_model: Model) -> None:
    sound = noise(2.0, 44100)
    classifiers = [
        StreamClassifier(model, RULES, stream="a"),
        StreamClassifier(slow_model, RULES, stream="b"),
    ]
    sink = Collected()
    summaries = run(ArraySource(sound, 44100), classifiers, [sink])
    assert [kind for kind, _ in sink.messages] == ["chunk", "result", "result"] * 69 + ["result", "result"]
    for classifier, summary in zip(classifiers, summaries, strict=True):
        mine = [r for r in sink.of("result") if (r.stream, r.model) == (classifier.name, classifier.model.id)]
        alone = Collected()
        one = run(
            ArraySource(sound, 44100),
            StreamClassifier(classifier.model, RULES, stream=classifier.name),
            [alone],
        )
        assert [r.probs.tobytes() for r in mine] == [r.probs.tobytes() for r in alone.of("result")]
        assert [r.events for r in mine] == [r.events for r in alone.of("result")]
        assert (summary.rows, summary.events, summary.end) == (one.rows, one.events, one.end)
        assert summary.rows > 0
    assert [s.end for s in summaries] == [32000, 16000]


def test_the_sound_behind_a_result_can_be_reached(model: Model) -> None:
    """At the capture rate, from an event's indices at the model's; as much as was asked for, and no more."""
    sound = noise(3.0, 48000)
    sink = Collected()
    seen: list[int] = []

    class Reader(Collected):
        def result(self, result: Result) -> None:
            assert result.sound is not None
            seen.append(result.sound.span[1])

    run(ArraySource(sound, 48000), StreamClassifier(model, RULES), [sink, Reader()], history_seconds=1.0)
    assert seen[:2] == [1280, 2560]  # the chunk is there before its result
    history = sink.of("result")[-1].sound
    assert history.sample_rate == 48000
    assert history.span == (96000, 144000)
    samples, first = history.between(32000, 40000, 16000)
    assert first == 96000
    np.testing.assert_array_equal(samples, sound[96000:120000])
    none = Collected()
    run(ArraySource(sound, 48000), StreamClassifier(model), [none], history_seconds=None)
    assert {r.sound for r in none.of("result")} == {None}


def test_every_sink_is_closed_in_order_whatever_happens(model: Model) -> None:
    closed: list[str] = []

    class Failing(Collected):
        def __init__(self, name: str, at: str) -> None:
            super().__init__()
            self.name, self.at = name, at

        def result(self, result: Result) -> None:
            if self.at == "result":
                raise ConnectionError(self.name)

        def close(self) -> None:
            closed.append(self.name)
            if self.at == "close":
                raise OSError(self.name)

    sinks = [Failing("first", "close"), Failing("second", "result"), Failing("third", "")]
    with pytest.raises((ConnectionError, OSError)):
        run(ArraySource(noise(0.2), 16000), StreamClassifier(model), sinks)
    assert closed == ["first", "second", "third"]


# ---- wall time is capture time


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def simulated(clock: Clock) -> SimulatedSource:
    return SimulatedSource(
        "noise?length=4s&unplug@1s&for=2s&seed=5", fast=False, clock=clock, sleep=clock.sleep
    )


def expected(events: list[dict[str, Any]], began: float) -> list[str]:
    return [rfc3339(began + e["onset_sample"] / e["sample_rate"]) for e in events]


def test_a_late_consumer_gives_the_time_of_the_sound(model: Model, tmp_path: Path) -> None:
    """Computing is slower than the sound: in the end seconds behind, and each time is still that of the capture."""
    clock = Clock()
    offset = NOON - clock.now
    times = CaptureTimes(clock, lambda: clock.now + offset)
    out = JsonLines(tmp_path / "out.jsonl", Origin("sim", "toy", ""), onsets=True, times=times)

    class Late(StreamClassifier):
        def push(self, sound: Any) -> Result:
            clock.sleep(0.05)
            return super().push(sound)

    run(simulated(clock), Late(model, RULES), [out], clock=clock)
    assert clock.now > 700.0 + 5.0
    written = lines(tmp_path / "out.jsonl")
    events = [e for e in written if e["type"] in ("onset", "event")]
    assert len(events) >= 4
    # The first sample sounded when the script began; each block has the time of its last sample.
    for record, wanted in zip(events, expected(events, NOON), strict=True):
        assert abs(moment(record["t_wall"]) - moment(wanted)) <= 0.002
    recovering, listening = (s for s in written if s["type"] == "status")
    assert recovering["state"] == "recovering"
    assert recovering["detail"] == "unplugged by the script"
    assert moment(recovering["t_wall"]) == pytest.approx(NOON + 1.0, abs=0.06)
    assert moment(listening["t_wall"]) == pytest.approx(NOON + 3.0, abs=0.06)


def moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_slow_sink_behind_a_queue_writes_the_time_of_the_sound(model: Model, tmp_path: Path) -> None:
    """What is written when everything is over, five seconds later, carries the same times."""
    clock = Clock()
    offset = NOON - clock.now
    written: list[list[dict[str, Any]]] = []
    for late in (0.0, 5.0):
        clock.now = 700.0
        path = tmp_path / f"{late}.jsonl"
        origin = Origin("sim", "toy", "")
        out = JsonLines(path, origin, onsets=True, times=CaptureTimes(clock, lambda: clock.now + offset))

        class Behind(Collected):
            """Holds everything back till the end, and then takes five seconds more."""

            def close(self, late: float = late, out: JsonLines = out) -> None:
                clock.sleep(late)
                for kind, message in self.messages:
                    getattr(out, kind)(message)
                out.close()

        run(
            simulated(clock), StreamClassifier(model, RULES), [Queued(Behind(), capacity=10_000)], clock=clock
        )
        written.append(lines(path))
    assert written[0] == written[1]
    assert any(record["type"] == "event" and record["t_wall"] for record in written[0])


def test_an_onset_and_its_event_have_one_time(model: Model, tmp_path: Path) -> None:
    """Though the clocks drift apart, and though the event is cut by the end of the sound."""
    clock = Clock()
    wall = iter(NOON + 0.25 * n for n in range(10**6))  # a wall clock that jumps at each reading
    out = JsonLines(
        tmp_path / "out.jsonl",
        Origin("sim", "toy", ""),
        onsets=True,
        times=CaptureTimes(clock, lambda: next(wall)),
    )
    run(simulated(clock), StreamClassifier(model, RULES), [out], clock=clock)
    onsets, events = ({} for _ in range(2))
    for record in lines(tmp_path / "out.jsonl"):
        if record["type"] in ("onset", "event"):
            (onsets if record["type"] == "onset" else events)[record["id"]] = record["t_wall"]
    assert onsets == events
    assert len(events) >= 2
    assert None not in events.values()


def test_a_recording_has_no_wall_time(model: Model, tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "out.jsonl", Origin("array", "toy", ""), onsets=True)
    run(ArraySource(noise(2.0), 16000), StreamClassifier(model, RULES), [out])
    records = lines(tmp_path / "out.jsonl")
    assert records
    assert {record["t_wall"] for record in records} == {None}


def test_sound_that_is_played_faster_than_time_has_no_wall_time(model: Model, tmp_path: Path) -> None:
    out = JsonLines(tmp_path / "out.jsonl", Origin("sim", "toy", ""), live=False)
    run(SimulatedSource("noise?length=2s&seed=5", fast=True), StreamClassifier(model, RULES), [out])
    records = lines(tmp_path / "out.jsonl")
    assert records
    assert {record["t_wall"] for record in records} == {None}


def test_the_end_of_an_event_is_written_while_the_source_is_gone(model: Model, tmp_path: Path) -> None:
    """A lamp that follows the lines goes out after ``max_gap``, and not when the sound is back."""
    rules = DetectorSpec(default=ClassRule(threshold=0.001, release=0.0, min_on=0, min_off=0))
    lines = JsonLines(tmp_path / "lines", Origin("sim", "toy", "0"), onsets=True)
    source = SimulatedSource("sim:noise?length=6s&unplug@1s&for=4s")
    summary = run(source, StreamClassifier(model, rules), [lines])
    told = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    story = [line.get("state", line["type"]) for line in told]
    assert story == [
        *["onset"] * 3,
        "recovering",
        "gap",
        *["event"] * 3,
        "listening",
        "gap",
        *["onset"] * 3,
        *["event"] * 3,
    ]
    assert [line["open"] for line in told if line["type"] == "gap"] == [True, False]
    assert [line["offset_sample"] for line in told if line["type"] == "event"][:3] == [15696] * 3
    assert (summary.lost, summary.events, summary.end) == (64000, 6, 96000)


def test_a_run_that_ends_while_the_source_is_gone_counts_what_was_lost(model: Model) -> None:
    sound = noise(1.0, 48000)
    chunks = [
        Chunk(sound, 0, 48000, 20.0),
        Chunk(sound[:0], 48000, 48000, 25.0, "recovering", "", 240000),
    ]
    summary = run(Scripted(chunks), StreamClassifier(model))
    assert (summary.lost, summary.end) == (80000, 96000)
