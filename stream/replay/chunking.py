"""The chunks of a session in other sizes: what comes of them must not depend on that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from stream.messages import Chunk
from stream.session.index import Step

RANDOM_SAMPLES = 4000  # most in a chunk of random size
Sizes = Callable[[], int]


def fixed(samples: int) -> Sizes:
    """Every chunk has so many samples."""
    return lambda: samples


def random(seed: int) -> Sizes:
    """Chunks of random sizes from one sample on, small ones as often as large ones."""
    rng = np.random.default_rng(seed)
    most = np.log(RANDOM_SAMPLES)
    return lambda: int(np.exp(rng.uniform(0.0, most)))


def rechunked(
    chunks: Iterator[tuple[Step, Chunk | None]], sizes: Sizes | None
) -> Iterator[tuple[Step, Chunk | None]]:
    """``chunks`` cut and joined to other sizes. Never joined are chunks of different states, and those between which
    samples were lost; heartbeats stay as they are.

    Args:
        chunks: of one segment.
        sizes: asked for the size of each chunk; None leaves all as they are.
    """
    if sizes is None:
        yield from chunks
        return
    held: list[tuple[Step, Chunk]] = []
    for step, chunk in chunks:
        if held and (chunk is None or not _joins(held[-1][1], chunk) or step.rules is not None):
            yield from _cut(held, sizes)
            held = []
        if chunk is None or not len(chunk.samples):
            yield step, chunk
        else:
            held.append((step, chunk))
    yield from _cut(held, sizes)


def _joins(left: Chunk, right: Chunk) -> bool:
    return (
        len(right.samples) > 0
        and left.end == right.start
        and (left.state, left.detail, left.captured_at is None)
        == (right.state, right.detail, right.captured_at is None)
    )


def _cut(held: list[tuple[Step, Chunk]], sizes: Sizes) -> Iterator[tuple[Step, Chunk]]:
    """Consecutive chunks in pieces."""
    if not held:
        return
    step, first = held[0]
    samples = np.concatenate([chunk.samples for _, chunk in held])
    ends = [chunk.end - first.start for _, chunk in held]
    at = 0
    while at < len(samples):
        end = min(len(samples), at + max(1, sizes()))
        captured = first.captured_at
        if captured is not None:  # by the chunk that the last sample came with
            number = int(np.searchsorted(ends, end))
            captured = held[number][1].captured_at
            assert captured is not None
            captured -= (ends[number] - end) / first.sample_rate
        piece = msgspec.structs.replace(
            first, samples=samples[at:end], start=first.start + at, captured_at=captured
        )
        yield step, piece
        step, at = Step(), end
