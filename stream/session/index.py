"""The index of a segment: JSON lines that say where it begins, and what came step by step.

A step is a chunk and what the classifier made of it. It is written after everything it speaks of, so that a line
that is there can be believed: whatever follows the last whole line was cut off, and does not count.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.decisions.spec import DetectorSpec
from stream.messages import SourceState

INDEX, SOUND_WAV, SOUND_FLAC = "index.jsonl", "sound.wav", "sound.flac"
SCORES, EVENTS, SNAPSHOT = "scores.bin", "events.jsonl", "snapshot.bin"
MAX_INDEX_BYTES = 64 << 20
MAX_SAMPLES = 1 << 26  # of a segment
MAX_STEPS = 1 << 18
FURTHEST_SAMPLE = 1 << 60


class Beginning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first line: where a segment begins.

    Attributes:
        begins: "new" is a new stream, "snapshot" has the state of the classifier beside it, "continued" goes on from
            the segment before it.
        follows: whether nothing is missing between the segment before it and this one.
        sample_rate: of the sound in it, Hz.
        start: absolute index of the sample that is due.
        clock: monotonic seconds, and seconds since 1970 at the same moment.
        anchors: (second of the stream, seconds since 1970) pairs, in order, from which wall times are counted; none of
            sound that is not live.
        onsets: id -> wall time of the beginning, of events that are on.
        state, detail: what the source was doing.
        rules: of the detector, where they are not those of the description.
    """

    begins: Literal["new", "snapshot", "continued"]
    follows: bool
    sample_rate: int
    start: int
    clock: tuple[float, float]
    anchors: tuple[tuple[float, float], ...] = ()
    onsets: dict[int, float] = {}
    state: SourceState = "listening"
    detail: str = ""
    rules: DetectorSpec | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One chunk and its result. Fields that a step lacks have these defaults.

    Attributes:
        n: samples.
        start: index of the first one; None = where the last one ended.
        at: ``captured_at``.
        state, detail: of the source, where they changed.
        missing: of a heartbeat.
        nan: (offset, length) of runs of samples that are not numbers.
        rows: of scores.
        text: bytes of lines about events.
        rules: of the detector from this step on, where they changed.
        marks: (second of the stream, words) of moments that somebody marked.
        flush: there was no chunk: the stream ended.
    """

    n: int = 0
    start: int | None = None
    at: float | None = None
    state: SourceState | None = None
    detail: str | None = None
    missing: int = 0
    nan: tuple[tuple[int, int], ...] = ()
    rows: int = 0
    text: int = 0
    rules: DetectorSpec | None = None
    marks: tuple[tuple[float, str], ...] = ()
    flush: bool = False


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a segment that was finished: checksums (CRC-32) of everything before it.

    Attributes:
        steps: how many there are.
        index, sound, scores, events, snapshot: checksums; of the sound as float32 with 0 for what is no number.
    """

    steps: int
    index: int
    sound: int
    scores: int
    events: int
    snapshot: int


_encoder = msgspec.json.Encoder()
_beginning = msgspec.json.Decoder(Beginning)
_step = msgspec.json.Decoder(Step)
_closing = msgspec.json.Decoder(Closing)
CLOSING_PREFIX = b'{"steps":'


def encode(line: Beginning | Step | Closing) -> bytes:
    """One line with its end."""
    return _encoder.encode(line) + b"\n"


def decode_beginning(line: bytes) -> Beginning:
    """Raises ValueError for what is none."""
    found = _beginning.decode(line)
    if not 0 < found.sample_rate <= 1 << 24 or not 0 <= found.start <= FURTHEST_SAMPLE:
        raise ValueError(f"sample rate {found.sample_rate}, start {found.start}")
    return found


def decode_step(line: bytes, position: int) -> Step:
    """A step that stands where sample ``position`` is due. Raises ValueError for what is none."""
    found = _step.decode(line)
    start = position if found.start is None else found.start
    if not position <= start <= FURTHEST_SAMPLE:
        raise ValueError(f"a chunk at sample {start}, where {position} is due")
    if not 0 <= found.n <= MAX_SAMPLES or not 0 <= found.missing <= FURTHEST_SAMPLE:
        raise ValueError(f"a chunk of {found.n} samples, {found.missing} missing")
    if not 0 <= found.rows <= MAX_SAMPLES or not 0 <= found.text <= MAX_INDEX_BYTES:
        raise ValueError(f"{found.rows} rows, {found.text} bytes of events")
    if any(at < 0 or length < 1 or at + length > found.n for at, length in found.nan):
        raise ValueError("missing samples outside their chunk")
    return found


def decode_closing(line: bytes) -> Closing:
    """Raises ValueError for what is none."""
    return _closing.decode(line)
