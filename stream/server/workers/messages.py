"""What a station and one of its workers say to each other: a list of orders, and for each list one answer.

MessagePack, through a pipe that nobody else has. Both sides are of one release, on one machine.
"""

from __future__ import annotations

from typing import Any

import msgspec

from stream.decisions.spec import DetectorSpec
from stream.messages import Event, Gap

Bytes = bytes  # of an array; a copy of its own when it is decoded, so that it lies where arrays must lie


class Take(msgspec.Struct, array_like=True, tag="take"):
    """A stream begins.

    Attributes:
        seat: its number from here on.
        stream: its name.
        detector: its rules; None = the model's.
        snapshot: packed, to go on from.
    """

    seat: int
    stream: str
    detector: DetectorSpec | None
    snapshot: bytes | None


class Sound(msgspec.Struct, array_like=True, tag="sound"):
    """A `Chunk` of a stream. Its samples are int16 or float32, in the byte order of the machine."""

    seat: int
    samples: Bytes
    integer: bool
    start: int
    sample_rate: int
    captured_at: float | None
    missing: int
    clean: bool


class SoundTogether(msgspec.Struct, array_like=True, tag="sounds"):
    """Sound of N streams, equally much of each, at the model's rate. All of it is valid.

    Attributes:
        seats: different ones.
        samples: of all, one stream after the other.
        integer: int16, else float32.
        starts: of the first sample of each.
        captured_at: of each.
    """

    seats: list[int]
    samples: Bytes
    integer: bool
    starts: list[int]
    captured_at: list[float | None]


class Rules(msgspec.Struct, array_like=True, tag="rules"):
    """Other rules from here on."""

    seat: int
    detector: DetectorSpec


class Save(msgspec.Struct, array_like=True, tag="save"):
    """The state is wanted."""

    seat: int


class Flush(msgspec.Struct, array_like=True, tag="flush"):
    """No more sound comes."""

    seat: int


class Leave(msgspec.Struct, array_like=True, tag="leave"):
    """Nobody listens to the stream any more."""

    seat: int


Order = Take | Sound | SoundTogether | Rules | Save | Flush | Leave


class Heard(msgspec.Struct, array_like=True, tag="heard", omit_defaults=True):
    """A `Result` of a stream, without its features.

    Attributes:
        probs, sample, warm: of its scores: T rows of float32, int64 and bool.
    """

    seat: int
    probs: Bytes
    sample: Bytes
    warm: Bytes
    end: int
    captured_at: float | None
    repaired: int = 0
    events: tuple[Event, ...] = ()
    gaps: tuple[Gap, ...] = ()
    opened: tuple[Gap, ...] = ()


class HeardTogether(msgspec.Struct, array_like=True, tag="heards"):
    """What a `SoundTogether` brought N of its streams: T rows each.

    Attributes:
        seats: different ones.
        samples: that were classified, of each.
        probs: (N, T, C) float32.
        sample: (N, T) int64.
        warm: (T,) bool, for each of them.
        ends, captured_at: of each.
        events: by place in ``seats``, of those that have some.
    """

    seats: list[int]
    samples: int
    probs: Bytes
    sample: Bytes
    warm: Bytes
    ends: list[int]
    captured_at: list[float | None]
    events: dict[int, tuple[Event, ...]]


class Saved(msgspec.Struct, array_like=True, tag="saved"):
    """The state, packed; None where there is none to be had."""

    seat: int
    snapshot: bytes | None


class Ended(msgspec.Struct, array_like=True, tag="ended"):
    """The stream is over: it was flushed, or an error ended it."""

    seat: int
    error: str | None


Said = Heard | HeardTogether | Saved | Ended


class Answer(msgspec.Struct, array_like=True):
    """What came of a list of orders.

    Attributes:
        said: in order.
        classified: for each stream that a `Sound` came for, its samples so far that are.
        batches, batched: as of a `Pool`, so far.
    """

    said: list[Said]
    classified: dict[int, int]
    batches: int
    batched: int


_ENCODER = msgspec.msgpack.Encoder()
_ORDERS = msgspec.msgpack.Decoder(list[Order])
_ANSWER = msgspec.msgpack.Decoder(Answer)


def packed(message: Any) -> bytes:
    """A list of orders, or an answer, as bytes."""
    return _ENCODER.encode(message)


def orders(data: bytes) -> list[Order]:
    """What ``packed`` was given."""
    return _ORDERS.decode(data)


def answer(data: bytes) -> Answer:
    """What ``packed`` was given."""
    return _ANSWER.decode(data)
