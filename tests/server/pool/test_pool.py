"""Streams of a pool: each as a classifier of its own would hear it, whatever becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.errors import ClosedError, PoolFull, UsageError
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.recording import merge
from stream.server.pool import Pool, Seat
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes

WAIT = 20.0


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


@pytest.fixture
def pool(model: Model) -> Iterator[Pool]:
    pool = Pool(model, max_streams=8, deadline=0.002)
    pool.start()
    yield pool
    pool.close()


class Listener:
    """What one stream of a pool is told."""

    def __init__(self, pool: Pool, **options: Any) -> None:
        self.results: list[Result] = []
        self.error: Exception | None = None
        self.over = threading.Event()
        self.seat: Seat = pool.take_seat("a stream", self.results.append, ended=self.on_end, **options)

    def on_end(self, error: Exception | None) -> None:
        self.error = error
        self.over.set()

    def wait(self) -> None:
        assert self.over.wait(WAIT), "the stream did not end"


def assert_as_alone(results: list[Result], model: Model, chunks: list[Chunk]) -> None:
    alone = StreamClassifier(model, stream="a stream")
    want = merge([*map(alone.push, chunks), alone.flush()], alone)
    got = merge(results, alone)
    np.testing.assert_array_equal(got.scores.probs, want.scores.probs)
    np.testing.assert_array_equal(got.scores.sample, want.scores.sample)
    assert got.events == want.events
    assert got.gaps == want.gaps


def test_a_stream_is_as_alone(pool: Pool, model: Model) -> None:
    sound = make("speech", 16000, 2.0)
    chunks = [Chunk(sound[at : at + 700], at, 16000) for at in range(0, len(sound), 700)]
    listener = Listener(pool)
    for chunk in chunks:
        listener.seat.push(chunk)
    listener.seat.flush()
    listener.wait()
    assert listener.error is None
    assert listener.seat.pending == 0
    assert_as_alone(listener.results, model, chunks)


def test_an_error_ends_one_stream_only(pool: Pool, model: Model) -> None:
    sound = make("speech", 16000, 1.0)
    good, bad = Listener(pool), Listener(pool)
    bad.seat.push(Chunk(sound, 1000, 16000))
    bad.seat.push(Chunk(sound, 0, 16000))  # earlier than what came
    bad.wait()
    assert isinstance(bad.error, UsageError)
    bad.seat.push(Chunk(sound, 0, 16000))
    good.seat.push(Chunk(sound, 0, 16000))
    good.seat.flush()
    good.wait()
    assert_as_alone(good.results, model, [Chunk(sound, 0, 16000)])


def test_an_engine_runs_here(pool: Pool, model: Model) -> None:
    sound = make("music", 16000, 1.0)
    classifier = StreamClassifier(model, engine=pool.engine())
    alone = StreamClassifier(model)
    for at in range(0, len(sound), 1600):
        part = sound[at : at + 1600]
        np.testing.assert_array_equal(classifier.push(part).probs, alone.push(part).probs)


def test_places_are_counted(pool: Pool) -> None:
    seats = [pool.take_seat("", lambda result: None) for _ in range(7)]
    engine = pool.engine()
    with pytest.raises(PoolFull, match="all 8"):
        pool.engine()
    engine.close()
    seats[0].leave()
    assert pool.streams == 6


def test_close_tells_everybody(model: Model) -> None:
    pool = Pool(model)
    pool.start()
    listener = Listener(pool)
    engine = pool.engine()
    pool.close()
    listener.wait()
    assert isinstance(listener.error, ClosedError)
    with pytest.raises(ClosedError):
        engine.run(np.zeros((1, model.card.features.width), np.float32))
    with pytest.raises(ClosedError):
        pool.engine()
