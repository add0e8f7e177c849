"""What a client may send as text: one JSON object a message, told apart by its ``type``.

Sound is sent as binary messages between them. Nothing here trusts what comes: unknown fields, wrong types and numbers
that are out of range are refused when a message is decoded.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.capture.channels import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ

VERSION = 1
FURTHEST_SAMPLE = 2**48  # of an index at a client's rate: times any ratio of rates, it still fits 64 bits
MOST_NAMES, NAME_LETTERS = 10_000, 200
MOST_ROWS_A_SECOND = 1000.0

Format = Literal["s16le", "f32le", "opus"]
Missing = Annotated[
    Literal["nan"] | None,
    Meta(
        description="nan: a sample of f32le that is NaN, infinite or beyond ±1e6 is a missing one. "
        "null: it ends the stream with bad_sample."
    ),
]
Sample = Annotated[
    int, Meta(ge=0, le=FURTHEST_SAMPLE, description="Absolute sample index at the client's rate.")
]
Name = Annotated[str, Meta(max_length=NAME_LETTERS)]
Probability = Annotated[float, Meta(ge=0, le=1)]
RuleSeconds = Annotated[float, Meta(ge=0, le=3600)]
Sequence = Annotated[int, Meta(ge=0, le=2**53, description="Number of a reply that is never left out.")]


class RuleChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules of the detector to change, in the words of the settings file. What is absent stays as it is."""

    threshold: Annotated[float, Meta(gt=0, le=1)] | None = None
    peak_threshold: Probability | None = None
    min_on: RuleSeconds | None = None
    min_off: RuleSeconds | None = None
    refractory: RuleSeconds | None = None
    smoothing: Annotated[float, Meta(ge=0, le=10)] | None = None


class ClassChanges(RuleChanges, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for one class."""

    release: Probability | None = None
    enabled: bool | None = None


class Rules(RuleChanges, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules for every class, and for classes by name."""

    classes: Annotated[dict[Name, ClassChanges], Meta(max_length=MOST_NAMES)] = msgspec.field(
        name="class", default_factory=dict
    )


class _FromClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    pass


class Hello(_FromClient, tag="hello", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first message: what will be sent, and what is wanted.

    Attributes:
        version: of the protocol.
        rate: samples per second of the sound, Hz. Opus is always 48 000.
        format: of binary messages: interleaved samples, or one Opus packet a message.
        channels: of the sound.
        channel: which one is listened to, from 1 on, or "mix" for their mean.
        missing: "nan" where a sample of f32le that is NaN, infinite or beyond ±1e6 stands for a missing one: short runs
            are filled in, long ones are gaps. Null: such a sample ends the stream with ``bad_sample``.
        model: name of a model of the station; "" is its own choice.
        labels: classes to be told of, in the order of the columns of scores; null is all.
        scores: rows of scores a second, "all", or 0 for none.
        exact: scores as they are, not rounded to 4 digits.
        onsets: also the beginnings of events.
        rules: changes of the detector's rules.
        name: of the source in records, for people.
        start: absolute index of the first sample that will be sent. With a resume token, what lies between where the
            stream was and ``start`` is a gap, and null goes on where the stream was.
        resume: the token of ``ready``, to go on with a stream whose connection broke.
        received: with it, the highest ``sequence`` that came; what came after is sent again. Null: as acknowledged.
        token: who asks, where no header can say it.
    """

    version: int
    rate: Annotated[int, Meta(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)]
    format: Format = "s16le"
    channels: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = 1
    channel: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] | Literal["mix"] = "mix"
    missing: Missing = None
    model: Name = ""
    labels: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MOST_NAMES)] | None = None
    scores: Annotated[float, Meta(ge=0, le=MOST_ROWS_A_SECOND)] | Literal["all"] = 10.0
    exact: bool = False
    onsets: bool = True
    rules: Rules | None = None
    name: Annotated[str, Meta(max_length=NAME_LETTERS)] = ""
    start: Sample | None = None
    resume: Annotated[str, Meta(max_length=200)] | None = None
    received: Sequence | None = None
    token: Annotated[str, Meta(max_length=1000)] | None = None


class Lost(_FromClient, tag="gap", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The next ``samples`` samples (of each channel) were lost before they could be sent."""

    samples: Annotated[int, Meta(ge=1, le=FURTHEST_SAMPLE)]


class NewRules(_FromClient, tag="rules", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the rules of the detector from here on; they are laid over those in force."""

    rules: Rules


class Acknowledge(_FromClient, tag="ack", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All replies up to ``sequence`` have come; the station need not keep them."""

    sequence: Sequence


class Ping(_FromClient, tag="ping", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answered by ``pong`` with the same ``id``, behind all that was sent before."""

    id: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Flush(_FromClient, tag="flush", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No more sound. What is left of the replies comes, and ``end`` as the last."""


ClientMessage = Hello | Lost | NewRules | Acknowledge | Ping | Flush
