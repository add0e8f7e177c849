"""Streams of a pool equal, to the bit, classifiers of their own: any model, any rate, any damage, any company."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.capture.channels import as_float32
from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.features.spec import MfccSpec, WaveformSpec
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.outputs.sink import Sink
from stream.runner import run
from stream.snapshot import pack, unpack
from tests.inference.test_slab import made
from tests.support.pooled import Listener, assert_as_alone, cut, running
from tests.support.sounds import make

MODELS: dict[str, Callable[[], Model]] = {
    "plain": lambda: made(MfccSpec()),
    "stride, emphasis, deltas": lambda: made(
        MfccSpec(n_mfcc=13, pre_emphasis=0.97, deltas=2, delta_width=5), 3
    ),
    "plain samples": lambda: made(WaveformSpec(frame_length=400)),
    "default": Model.bundled,
    "small": lambda: Model.bundled("small"),
}
RATES = (16000, 16000, 8000, 44100, 48000)
SOUNDS = ("speech", "music", "noise")


def lives_of(seed: int, count: int) -> list[tuple[list[Chunk], dict[str, Any]]]:
    """Streams, each a list of chunks with gaps and invalid samples, and its settings."""
    rng = np.random.default_rng(seed)
    lives = []
    for number in range(count):
        rate = int(rng.choice(RATES))
        sound = make(SOUNDS[number % 3], rate, float(rng.uniform(0.3, 1.5))).copy()
        for at in rng.integers(0, len(sound), int(rng.integers(0, 4))):
            sound[at : at + int(rng.integers(1, 2000))] = np.nan
        sizes = rng.integers(1, rate // 4, 12)
        sizes[rng.random(12) < 0.1] *= -int(rng.choice([1, 20]))
        chunks = cut(sound, sizes.tolist(), rate, int(rng.integers(0, 2)) * 12345)
        options: dict[str, Any] = {}
        if rng.random() < 0.3:
            options["derived"] = DerivedSpec(loud=-30.0)
        if rng.random() < 0.3:
            options["max_gap"] = 0.05
        lives.append((chunks, options))
    return lives


@pytest.mark.parametrize("name", MODELS)
def test_in_any_company(name: str) -> None:
    """Streams at several rates that lose sound, hold invalid samples, come, stall, move and leave."""
    model = MODELS[name]()
    if model.card.features.sample_rate != 16000:
        pytest.skip("the lives are made for 16 kHz")
    check(model, seed=3, count=14)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_in_any_company_of_chance(seed: int, count: int) -> None:
    check(TOY, seed, count)


TOY = made(MfccSpec())


def check(model: Model, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    lives = lives_of(seed, count)
    done: list[tuple[Listener, list[Result]] | None] = [None] * count
    at = [0] * count
    with running(model, deadline=0.0, max_streams=2 * count) as pool:
        while any(at[i] < len(chunks) for i, (chunks, _) in enumerate(lives)):
            i = int(rng.integers(count))
            chunks, options = lives[i]
            held = done[i]
            if held is None:
                held = done[i] = (Listener(pool, **options), [])
            for _ in range(int(rng.integers(1, 4))):
                if at[i] < len(chunks):
                    held[0].seat.push(chunks[at[i]])
                    at[i] += 1
            if rng.random() < 0.05:  # to another row, by way of bytes
                listener, earlier = held
                saved = listener.saved()
                if saved is not None:
                    listener.seat.leave()
                    done[i] = (
                        Listener(pool, snapshot=unpack(pack(saved)), **options),
                        earlier + listener.results,
                    )
        for held in done:
            if held is not None:
                held[0].seat.flush()
        for held in done:
            if held is not None:
                held[0].settle()
    for held, (chunks, options) in zip(done, lives, strict=True):
        if held is not None:
            assert held[0].error is None
            assert_as_alone(held[1] + held[0].results, model, chunks, **options)


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("name", ["plain", "plain samples"])
def test_int16_is_as_float32(name: str, rate: int) -> None:
    """Streams that take turns in one memory; one of them also holds samples that are missing."""
    model = MODELS[name]()
    sounds = [np.round(32767 * make(kind, rate, 1.0)).astype(np.int16) for kind in SOUNDS]
    given = [cut(sound, [1601, 40, 7000], rate) for sound in sounds]
    wanted = [cut(as_float32(sound), [1601, 40, 7000], rate) for sound in sounds]
    hole = np.full(100, np.nan, np.float32)
    for chunks in (given[0], wanted[0]):
        chunks[1] = Chunk(hole[: len(chunks[1].samples)], chunks[1].start, rate)
    with running(model) as pool:
        listeners = [Listener(pool) for _ in sounds]
        for turn in range(len(given[0])):
            for listener, chunks in zip(listeners, given, strict=True):
                listener.seat.push(chunks[turn])
        for listener in listeners:
            listener.seat.flush()
            listener.settle()
    for listener, chunks in zip(listeners, wanted, strict=True):
        assert listener.error is None
        assert_as_alone(listener.results, model, chunks)


class Kept(Sink):
    """Keeps the results of a run."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def result(self, result: Result) -> None:
        self.results.append(result)


def test_runs_in_threads_share_a_pool_with_seats() -> None:
    model = TOY
    sounds = [make(SOUNDS[i % 3], 16000, 1.5) for i in range(5)]
    kept = [Kept() for _ in sounds]
    errors: list[BaseException] = []
    with running(model, deadline=0.001) as pool:

        def job(number: int) -> None:
            engine = pool.engine()
            try:
                source = ArraySource(sounds[number], 16000, block_samples=400 + 100 * number)
                run(source, StreamClassifier(model, engine=engine), [kept[number]])
            except BaseException as error:
                errors.append(error)
            finally:
                engine.close()

        threads = [threading.Thread(target=job, args=(i,), daemon=True) for i in range(len(sounds))]
        seat = Listener(pool)
        for thread in threads:
            thread.start()
        for chunk in cut(sounds[0], [333]):
            seat.seat.push(chunk)
        seat.seat.flush()
        seat.settle()
        for thread in threads:
            thread.join(30.0)
            assert not thread.is_alive()
        assert pool.streams == 0
    assert not errors
    assert_as_alone(seat.results, model, cut(sounds[0], [333]))
    for sound, sink in zip(sounds, kept, strict=True):
        assert_as_alone(sink.results, model, [Chunk(sound, 0, 16000)])
