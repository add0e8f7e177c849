"""What the station answers on a stream: one JSON object a message, told apart by its ``type``.

Events and gaps are the records of JSON lines, each with a ``sequence`` that counts from 1: they are never left out, and
after a broken connection those that did not come are sent again. Scores may be left out, and ``lag`` says how many.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.decisions.spec import DetectorSpec
from stream.outputs.schema import EventRecord, GapRecord, OnsetRecord

Sequence = Annotated[int, Meta(ge=1, description="Counts replies that are never left out.")]
Position = Annotated[int, Meta(ge=0, description="Absolute sample index at the client's rate.")]
Count = Annotated[int, Meta(ge=0)]
StreamState = Literal["listening", "throttled", "behind"]


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream may take.

    Attributes:
        message_bytes: of one message.
        idle_seconds: without a message, after which the stream is closed. A ping is a message.
        lead_seconds: of sound that may come faster than real time; a stream that goes on so is throttled, then closed.
        backlog_seconds: of sound that waits to be classified, beyond which the station reads no more for a while.
        resume_seconds: that the stream is kept after its connection broke.
    """

    message_bytes: int
    idle_seconds: float
    lead_seconds: float
    backlog_seconds: float
    resume_seconds: float


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ready"):
    """The answer to ``hello``.

    Attributes:
        version: of the protocol.
        stream: name of the stream in its records.
        model, model_sha256: which model listens.
        labels: of the columns of scores, in their order.
        sample_rate: of every index in scores and records, Hz.
        hop: samples between rows.
        delay: seconds of sound, behind the moment that a row is about, that must come before the row can.
        rules: of the detector, in force.
        resume: the token to go on with, once the connection broke. Each ready brings a new one; keep it secret.
        resumed: whether this stream goes on.
        position: of the next sample that is wanted.
        last_sequence: of the replies that are never left out, so far.
        limits: what the stream may take.
    """

    version: int
    stream: str
    model: str
    model_sha256: str
    labels: tuple[str, ...]
    sample_rate: int
    hop: int
    delay: float
    rules: DetectorSpec
    resume: str
    resumed: bool
    position: Position
    last_sequence: Count
    limits: StreamLimits


class ScoreRows(msgspec.Struct, frozen=True, tag_field="type", tag="scores", omit_defaults=True):
    """Rows of probabilities.

    Attributes:
        sample: reference sample of each row, at the model's rate.
        probs: of each row, one number for each of the labels of ``ready``.
        cold: how many of the first rows the model gave before it had heard enough.
    """

    sample: list[int]
    probs: list[list[float]]
    cold: int = 0


class EventTold(msgspec.Struct, frozen=True, tag_field="type", tag="event"):
    """An event has begun (its record is of type ``onset``) or is complete (``event``)."""

    sequence: Sequence
    record: OnsetRecord | EventRecord


class GapTold(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Samples that never reached the model."""

    sequence: Sequence
    record: GapRecord


class Lag(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="lag"):
    """How far the station is; about once for every second of sound.

    Attributes:
        position: all sound before it has come.
        kept: sound before it never needs to be sent again, whatever happens to the station.
        behind: seconds of sound that came and are not yet classified.
        rows: of scores so far, whether or not they were sent.
        left_out: rows that should have been sent and were not, as replies were not read in time.
        repaired: invalid samples so far that were filled in, at the model's rate.
    """

    position: Position
    kept: Position
    behind: float
    rows: Count
    left_out: Count
    repaired: Count


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """How the stream is treated has changed.

    Attributes:
        state: "listening" as usual, "throttled" (sound comes faster than real time, and is read as fast as that), or
            "behind" (the station does not keep up, and reads no more until it does).
        detail: for people.
    """

    state: StreamState
    detail: str


class RulesInForce(msgspec.Struct, frozen=True, tag_field="type", tag="rules"):
    """The rules of the detector, for sound from ``position`` on."""

    position: Position
    rules: DetectorSpec


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to ``ping``."""

    id: int


class Reconnect(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="reconnect"):
    """The station stops. Connect again, perhaps to another, and say hello with ``resume``.

    Attributes:
        resume: the token.
        position: send from this sample on.
    """

    resume: str
    position: Position


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end"):
    """The last reply of a stream that was flushed.

    Attributes:
        position: samples of the client's that came or were lost, at its rate.
        rows: of scores, whether or not they were sent.
        left_out: rows that should have been sent and were not.
        events: complete ones.
        lost: samples in gaps, at the model's rate.
        repaired: invalid samples that were filled in, at the model's rate.
        checksum: of all rows and all classes of the model: see ``stream.server.socket.checksum``.
    """

    sequence: Sequence
    position: Position
    rows: Count
    left_out: Count
    events: Count
    lost: Count
    repaired: Count
    checksum: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class Failure(msgspec.Struct, frozen=True):
    """What was wrong, as in answers over HTTP: a code for programs, and one line for people."""

    code: str
    message: str


class StreamError(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """Why the stream ends. The connection is closed behind it.

    Attributes:
        error: what was wrong.
        resume: the token to go on with, where the stream is kept for a while.
    """

    error: Failure
    resume: str | None = None


ServerMessage = (
    Ready
    | ScoreRows
    | EventTold
    | GapTold
    | Lag
    | StreamStatus
    | RulesInForce
    | Pong
    | Reconnect
    | End
    | StreamError
)
