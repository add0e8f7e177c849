"""One stream from samples to events: file equals live in any chunking, gaps, resets, warm-up, far counters."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.errors import ClosedError, SpecError, UsageError
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.features.mfcc import mfcc
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.recording import classify, merge
from tests.support.sounds import demo, make
from tests.support.toy_models import toy_bytes, toy_card


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


def sizes(name: Any, total: int) -> list[int]:
    if name == "random":
        cuts = np.sort(np.random.default_rng(8).integers(0, total, 40))
        return [0, *cuts.tolist(), total]
    return [*range(0, total, name), total]


def live(classifier: StreamClassifier, sound: np.ndarray, size: Any, start: int = 0) -> Result:
    results = [
        classifier.push(Chunk(sound[a:b], start + a, classifier.sample_rate))
        for a, b in pairwise(sizes(size, len(sound)))
    ]
    return merge([*results, classifier.flush()], classifier)


def assert_equal(got: Result, want: Result, shift: int = 0) -> None:
    """Every number, to the bit; ``got`` may lie ``shift`` samples later."""
    np.testing.assert_array_equal(got.probs, want.probs)
    np.testing.assert_array_equal(got.features, want.features)
    np.testing.assert_array_equal(got.scores.sample, want.scores.sample + shift)
    np.testing.assert_array_equal(got.scores.warm, want.scores.warm)

    # What classify gives holds each event once, complete; live results also say when it begins.
    once = all(e.offset is not None for e in want.events) or all(e.offset is not None for e in got.events)

    def rows(result: Result, by: int) -> list[tuple[Any, ...]]:
        return [
            (e.id, e.label, e.onset + by, e.offset and e.offset + by, e.peak, e.mean, e.decided + by, e.cut)
            for e in result.events
            if e.offset is not None or not once
        ]

    assert rows(got, 0) == rows(want, shift)
    assert got.end == want.end + shift


@pytest.mark.parametrize("size", [1, 159, 160, 161, 1280, 16000, "random"], ids=str)
def test_a_file_equals_the_live_stream(size: Any, model: Model, tmp_path: Path) -> None:
    sound = make("speech", 16000)
    soundfile.write(tmp_path / "talk.wav", sound, 16000, subtype="FLOAT")
    want = classify(tmp_path / "talk.wav", model)
    assert len([e for e in want.events if e.offset]) >= 3
    assert_equal(live(StreamClassifier(model), sound, size), want)
    assert_equal(classify(sound, model), want)
    assert_equal(classify(str(tmp_path / "talk.wav"), model), want)


def test_features_and_scores_are_those_of_the_parts(model: Model) -> None:
    sound = make("music", 16000)
    got = classify(sound, model)
    np.testing.assert_array_equal(got.features, mfcc(sound, model.card.features))
    probs, _ = model.step(got.features[None], model.initial_state())
    np.testing.assert_array_equal(got.probs, probs[0])
    np.testing.assert_array_equal(got.scores.sample, 256 + 160 * np.arange(len(probs[0])))
    assert got.top == (model.labels[int(probs[0, -1].argmax())], float(probs[0, -1].max()))
    assert got.labels == model.labels


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled_alike(rate: int, model: Model, tmp_path: Path) -> None:
    from stream.features.resample import StreamingResampler

    sound = make("speech", rate)
    soundfile.write(tmp_path / "talk.wav", sound, rate, subtype="FLOAT")
    want = classify(tmp_path / "talk.wav", model)
    assert_equal(classify(sound, model, sample_rate=rate), want)
    for block in (100, 1000):
        classifier = StreamClassifier(model)
        got = merge(list(classifier.stream(ArraySource(sound, rate, block_samples=block))), classifier)
        assert_equal(got, want)
    resampler = StreamingResampler(rate, 16000)
    by_hand = np.concatenate([resampler.push(sound), resampler.flush()])
    np.testing.assert_array_equal(want.probs, classify(by_hand, model).probs)


# ---- gaps


def with_gap(model: Model, length: int, **options: Any) -> tuple[Result, np.ndarray, int]:
    """Speech, then ``length`` lost samples at sample 16000, then speech again."""
    sound = make("speech", 16000)
    classifier = StreamClassifier(model, **options)
    classifier.push(Chunk(sound[:16000], 0, 16000))
    behind = classifier.push(Chunk(sound[16000:], 16000 + length, 16000))
    return behind, sound, 16000 + length


@pytest.mark.parametrize("length", [1, 160, 5000, 16000])
def test_a_short_gap_carries_the_state(length: int, model: Model) -> None:
    behind, sound, start = with_gap(model, length)
    assert [(g.start, g.length, g.reason) for g in behind.gaps] == [(16000, length, "lost")]
    np.testing.assert_array_equal(behind.scores.sample, start + 256 + 160 * np.arange(len(behind.scores)))
    frames = mfcc(sound[16000:], model.card.features)  # no frame spans the gap
    np.testing.assert_array_equal(behind.features, frames)
    _, state = model.step(mfcc(sound[:16000], model.card.features)[None], model.initial_state())
    want, _ = model.step(frames[None], state)
    np.testing.assert_array_equal(behind.probs, want[0])


def test_a_long_gap_resets_the_state(model: Model) -> None:
    behind, sound, start = with_gap(model, round(MAX_GAP_SECONDS * 16000) + 1)
    fresh = StreamClassifier(model).push(sound[16000:])
    np.testing.assert_array_equal(behind.probs, fresh.probs)
    np.testing.assert_array_equal(behind.scores.sample, fresh.scores.sample + start)
    for event in behind.events[:1]:
        assert event.cut
        assert event.offset is not None
        assert event.offset <= 16000 + 160


@pytest.mark.parametrize(("max_gap", "carried"), [(0.0, False), (0.25, True), (0.2499, False), (10.0, True)])
def test_max_gap_is_the_border(max_gap: float, carried: bool, model: Model) -> None:
    behind, sound, _ = with_gap(model, 4000, max_gap=max_gap)
    fresh = StreamClassifier(model).push(sound[16000:])
    assert np.array_equal(behind.probs, fresh.probs) != carried


def test_events_over_a_carried_gap_say_what_they_miss() -> None:
    from stream.decisions.spec import ClassRule, DetectorSpec

    model = Model(toy_bytes())
    rules = DetectorSpec(default=ClassRule(threshold=0.001, release=0.0, min_on=0, min_off=0))
    classifier = StreamClassifier(model, rules)
    sound = make("noise", 16000)
    classifier.push(Chunk(sound[:16000], 0, 16000))
    classifier.push(Chunk(sound[16000:], 16777, 16000))
    events = classifier.flush().events
    assert len(events) == 3
    assert {(e.gap, e.cut) for e in events} == {(777, True)}


def test_a_long_hole_is_a_gap_like_any_other(model: Model) -> None:
    sound = make("speech", 16000).copy()
    sound[16000:16800] = np.nan
    got = classify(sound, model)
    assert [(g.start, g.length, g.reason) for g in got.gaps] == [(16000, 800, "missing")]
    behind, _, start = with_gap(model, 800)
    rest = got.scores.sample >= start
    np.testing.assert_array_equal(got.scores.sample[rest], behind.scores.sample[: rest.sum()])
    assert np.isfinite(got.probs).all()


def test_the_first_chunk_may_start_anywhere(model: Model) -> None:
    classifier = StreamClassifier(model)
    result = classifier.push(Chunk(make("speech", 16000), 12345, 16000))
    assert result.gaps == ()
    assert result.scores.sample[0] == 12345 + 256


@pytest.mark.parametrize("start", [2**31 - 7000, 2**33])
def test_counters_beyond_32_bits(start: int, model: Model) -> None:
    sound = make("speech", 16000)
    want = live(StreamClassifier(model), sound, 1280)
    got = live(StreamClassifier(model), sound, 1280, start)
    assert_equal(got, want, shift=start)
    assert got.scores.sample.dtype == np.int64
    assert got.scores.sample[0] == start + 256


# ---- resets and warm-up


def test_reset_after_is_a_fresh_state_every_so_many_rows(model: Model) -> None:
    sound = make("speech", 16000)
    frames = mfcc(sound, model.card.features)
    want = np.concatenate(
        [
            model.step(frames[None, at : at + 50], model.initial_state())[0][0]
            for at in range(0, len(frames), 50)
        ]
    )
    for size in (1, 700, "random"):
        got = live(StreamClassifier(model, reset_after=0.5), sound, size)
        np.testing.assert_array_equal(got.probs, want)
        assert got.scores.warm.all(), "a planned reset is not a cold start"


def test_no_event_before_the_model_is_warm() -> None:
    from stream.decisions.spec import ClassRule, DetectorSpec

    rules = DetectorSpec(default=ClassRule(threshold=0.001, release=0.0, min_on=0, min_off=0))
    model = Model(toy_bytes(toy_card(warmup=30, detector=rules)))
    classifier = StreamClassifier(model)
    sound = make("speech", 16000)
    first = classifier.push(sound)
    assert first.scores.warm.tolist() == [row >= 30 for row in range(len(first.scores))]
    assert {e.onset for e in first.events} == {256 - 80 + 30 * 160}
    short = classifier.push(Chunk(sound, 32000 + 800, 16000))
    assert short.scores.warm.all(), "a carried gap needs no warming up"
    long = classifier.push(Chunk(sound, 100_000, 16000))
    assert long.scores.warm.tolist() == [row >= 30 for row in range(len(long.scores))]
    assert {e.onset for e in long.events if e.offset is None} == {100_000 + 256 - 80 + 30 * 160}


# ---- the four lines of the docstring, and wrong use


def test_four_lines(model: Model) -> None:
    classifier = StreamClassifier(model)
    tops = []
    for result in classifier.stream(ArraySource(make("speech", 16000), 16000)):
        tops.append(result.top)
    assert len(tops) == 26  # one a chunk, and what the end cut
    assert {label for label, _ in filter(None, tops)} <= set(model.labels)
    with pytest.raises(ClosedError):
        classifier.push(np.zeros(10))


def test_short_and_empty_sounds(model: Model) -> None:
    for n in (0, 1, 511):
        got = classify(np.zeros(n, np.float32), model)
        assert got.probs.shape == (0, 3)
        assert got.features.shape == (0, 40)
        assert got.top is None
        assert got.end == n
    assert len(classify(np.zeros(512, np.float32), model).scores) == 1


def test_wrong_use(model: Model) -> None:
    classifier = StreamClassifier(model)
    classifier.push(Chunk(np.zeros(100, np.float32), 1000, 16000))
    for start in (0, 1099):
        with pytest.raises(UsageError, match="1100"):
            classifier.push(Chunk(np.zeros(10, np.float32), start, 16000))
    with pytest.raises(UsageError, match="one channel"):
        classifier.push(np.zeros((10, 2)))
    classifier.push(Chunk(np.zeros(10, np.float32), 1100, 16000))  # a refused chunk changed nothing
    assert classifier.end == 1110


@pytest.mark.parametrize(
    "options",
    [
        {"max_gap": -1.0},
        {"max_gap": float("nan")},
        {"max_gap": float("inf")},
        {"max_repair": -0.1},
        {"reset_after": 0.0},
        {"reset_after": float("inf")},
        {"repair": "magic"},
    ],
    ids=str,
)
def test_settings_out_of_range(options: dict[str, Any], model: Model) -> None:
    with pytest.raises(SpecError, match="must be"):
        StreamClassifier(model, **options)


def test_samples_of_any_kind_of_number(model: Model) -> None:
    sound = make("speech", 16000, 0.5)
    want = StreamClassifier(model).push(sound)
    for other in (sound.astype(np.float64), sound.tolist(), sound[::-1].copy()[::-1]):
        assert_equal(StreamClassifier(model).push(other), want)


def test_stream_may_be_called_again_and_starts_anew(model: Model) -> None:
    sound = make("speech", 16000)
    classifier = StreamClassifier(model)
    first = [result.probs for result in classifier.stream(ArraySource(sound, 16000))]
    for result in classifier.stream(ArraySource(sound, 16000)):
        assert len(result.scores)
        break  # left in the middle
    again = [result.probs for result in classifier.stream(ArraySource(sound, 16000))]
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(first))


def test_astream_gives_what_stream_gives_and_closes_the_source(model: Model) -> None:
    sound = make("speech", 16000)
    want = [result.probs for result in StreamClassifier(model).stream(ArraySource(sound, 16000))]

    class Watched(ArraySource):
        is_closed = False

        def close(self) -> None:
            self.is_closed = True
            super().close()

    async def listen(limit: int) -> tuple[list[np.ndarray], int]:
        source = Watched(sound, 16000)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.ensure_future(tick())
        got: list[np.ndarray] = []
        results = StreamClassifier(model).astream(source)
        async for result in results:
            got.append(result.probs)
            if len(got) == limit:
                break
        await results.aclose()  # type: ignore[attr-defined]
        ticker.cancel()
        assert source.is_closed
        return got, ticks

    got, ticks = asyncio.run(asyncio.wait_for(listen(10**9), 60))
    np.testing.assert_array_equal(np.concatenate(got), np.concatenate(want))
    assert ticks > len(got), "the event loop must go on meanwhile"
    got, _ = asyncio.run(asyncio.wait_for(listen(3), 60))
    np.testing.assert_array_equal(np.concatenate(got), np.concatenate(want[:3]))


def test_a_cancelled_astream_closes_a_source_that_never_gives_anything(model: Model) -> None:
    class Waiting(ArraySource):
        def __init__(self) -> None:
            super().__init__(np.zeros(1, np.float32), 16000)
            self.closing = threading.Event()

        def __iter__(self) -> Iterator[Chunk]:
            assert self.closing.wait(60)
            return iter(())

        def close(self) -> None:
            self.closing.set()

    source = Waiting()

    async def listen() -> None:
        async for _ in StreamClassifier(model).astream(source):
            raise AssertionError("nothing was given")

    async def cancel() -> None:
        task = asyncio.ensure_future(listen())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel(), 60))
    assert source.closing.is_set()


def test_reprs_fit_a_line(model: Model) -> None:
    classifier = StreamClassifier(model, stream="kitchen")
    result = classifier.push(make("speech", 16000))
    for thing, words in (
        (model, [model.id, "3 classes", "16000 Hz"]),
        (classifier, ["kitchen", model.id, "32000"]),
        (result, ["rows", model.id, "end 32000"]),
        (StreamClassifier(model).push(np.zeros(1)), ["0 rows"]),
    ):
        assert len(repr(thing)) < 120
        assert "\n" not in repr(thing)
        assert all(word in repr(thing) for word in words), repr(thing)
    assert (result.stream, result.model) == ("kitchen", model.id)


def test_a_result_says_when_its_newest_sample_was_captured(model: Model) -> None:
    """Sound that is still inside the resampler has not been classified: the time is that of what has."""
    classifier = StreamClassifier(model)
    result = classifier.push(Chunk(np.zeros(4410, np.float32), 0, 44100, captured_at=100.0))
    assert result.captured_at == pytest.approx(100.0 - (1600 - result.end) / 16000)
    assert result.end < 1600
    direct = StreamClassifier(model).push(Chunk(np.zeros(1600, np.float32), 0, 16000, captured_at=7.0))
    assert (direct.captured_at, direct.end) == (7.0, 1600)
    assert StreamClassifier(model).push(Chunk(np.zeros(1600, np.float32), 0, 16000)).captured_at is None


def test_whole_recordings_give_each_event_once(model: Model) -> None:
    """Complete; merged results keep every message, as a live stream gives them."""
    sound = demo(16000)[: 12 * 16000]
    bundled = Model.bundled()
    events = classify(sound, bundled).events
    assert events
    assert all(event.offset is not None for event in events)
    assert len({event.id for event in events}) == len(events)
    classifier = StreamClassifier(bundled)
    merged = merge([classifier.push(sound), classifier.flush()], classifier)
    assert tuple(event for event in merged.events if event.offset is not None) == events
    assert len(merged.events) == 2 * len(events)
