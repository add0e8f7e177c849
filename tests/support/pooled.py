"""Helpers: streams of a pool, and what each would have been alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from stream.classifier import StreamClassifier
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.recording import merge
from stream.server.pool import Pool, Seat

WAIT = 30.0


@contextmanager
def running(model: Model, **options: Any) -> Iterator[Pool]:
    pool = Pool(model, **({"deadline": 0.002} | options))
    pool.start()
    try:
        yield pool
    finally:
        pool.close()


class Listener:
    """One stream of a pool, and what it is told."""

    def __init__(self, pool: Pool, **options: Any) -> None:
        self.results: list[Result] = []
        self.error: Exception | None = None
        self.over = threading.Event()
        self.seat: Seat = pool.take_seat("a stream", self.results.append, ended=self.on_end, **options)

    def on_end(self, error: Exception | None) -> None:
        assert not self.over.is_set(), "told twice"
        self.error = error
        self.over.set()

    def settle(self) -> None:
        assert self.over.wait(WAIT), "the stream did not end"

    def saved(self) -> Any:
        """A snapshot behind all that was pushed."""
        there = threading.Event()
        found: list[Any] = []
        self.seat.snapshot(lambda snapshot: (found.append(snapshot), there.set()))  # type: ignore[func-returns-value]
        assert there.wait(WAIT), "no snapshot came"
        return found[0]


def cut(sound: np.ndarray, sizes: Iterable[int], rate: int = 16000, start: int = 0) -> list[Chunk]:
    """Sound in chunks of these sizes, repeated to its end; a negative size is left out, as a gap."""
    chunks, at = [], 0
    sizes = list(sizes)
    turn = 0
    while at < len(sound):
        size = sizes[turn % len(sizes)]
        turn += 1
        if size >= 0:
            chunks.append(Chunk(sound[at : at + size], start + at, rate))
        at += abs(size)
    return chunks


def alone(model: Model, chunks: list[Chunk], **options: Any) -> Result:
    classifier = StreamClassifier(model, **options)
    return merge([*map(classifier.push, chunks), classifier.flush()], classifier)


def assert_as_alone(results: list[Result], model: Model, chunks: list[Chunk], **options: Any) -> None:
    """The results, joined, are to the bit what a classifier of its own gives."""
    want = alone(model, chunks, **options)
    got = merge(results, StreamClassifier(model, **options))
    np.testing.assert_array_equal(got.scores.probs, want.scores.probs)
    np.testing.assert_array_equal(got.scores.sample, want.scores.sample)
    np.testing.assert_array_equal(got.scores.warm, want.scores.warm)
    assert got.events == want.events
    assert got.gaps == want.gaps
    assert got.repaired == want.repaired
