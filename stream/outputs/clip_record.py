"""What a clip says about itself: a record in the tags of its file, and its name."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from stream.outputs.flac_tags import Tag, read_tags
from stream.outputs.schema import EventRecord, OnsetRecord
from stream.printable import printable_json

CLIP_SCHEMA: Final = 1
MARK = "STREAM_CLASSIFY"  # the tag that only our clips have; only what has it is ever removed
MOST_SILENCES = 20  # told one by one
_LONGEST_NAME_BYTES = 80  # of a label or a source within a file's name


# Within what can be: a record may come from anybody.
Moment = Annotated[float, Meta(ge=0, le=1e10)]


class Silence(msgspec.Struct, frozen=True):
    """Where a clip has silence in place of sound.

    Attributes:
        start, duration: seconds, from the start of the clip.
        reason: "gap" (the source had no sound to give) or "late" (it was gone from memory before it was written).
    """

    start: Moment
    duration: Moment
    reason: Literal["gap", "late"]


class ClipRecord(msgspec.Struct, frozen=True, tag_field="type", tag="clip"):
    """A clip and its event.

    Attributes:
        schema: version of this record.
        event: as in the JSON lines; an onset only where the end was never learnt.
        start: of the clip, seconds of stream time.
        start_sample: the same, absolute index at ``sample_rate``.
        sample_rate: of the clip, which is that of the source, Hz.
        duration: of the clip, seconds.
        event_start, event_end: of the event within the clip, seconds; the end may lie beyond a clip that broke off.
        silence: stretches without sound, the first of them.
        silent_seconds: how long all of them are together.
        note: why the clip ends early; "" where it does not.
        speech_silenced: whether there is silence wherever somebody spoke, as --no-speech asks for. ``silence`` does not
            list that.
    """

    schema: Annotated[int, Meta(ge=1)]
    event: EventRecord | OnsetRecord
    start: Moment
    start_sample: int
    sample_rate: Annotated[int, Meta(gt=0)]
    duration: Moment
    event_start: Moment
    event_end: Moment | None = None
    silence: tuple[Silence, ...] = ()
    silent_seconds: Moment = 0.0
    note: str = ""
    speech_silenced: bool = False

    @property
    def label(self) -> str:
        """Of the event."""
        return self.event.label


def clip_tags(record: ClipRecord) -> list[Tag]:
    """The tags of a clip's file: for players, for people, and the record for programs."""
    event = record.event
    said = [f"{event.label}, peak {event.peak:.2f}"]
    if record.silent_seconds:
        said.append(f"{record.silent_seconds:.2f} s of it are silence, as the sound is missing")
    if record.speech_silenced:
        said.append("speech is silenced")
    if record.note:
        said.append(record.note)
    tags = [
        ("TITLE", event.label),
        ("ARTIST", event.source),
        ("DESCRIPTION", "; ".join(said)),
        (MARK, f"clip {CLIP_SCHEMA}"),
        ("COMMENT", printable_json(msgspec.json.encode(record)).decode()),
    ]
    return tags if event.t_wall is None else [*tags, ("DATE", event.t_wall)]


def is_clip(path: str | Path) -> bool:
    """Whether the file is a clip of ours. Links are not followed.

    Raises:
        OSError: it cannot be read.
    """
    return MARK in read_tags(path)


def read_clip_record(path: str | Path) -> ClipRecord | None:
    """The record of a clip; None for a file that is none of ours, or damaged, or written by a newer version.

    Raises:
        OSError: it cannot be read.
    """
    tags = read_tags(path)
    if MARK not in tags:
        return None
    try:
        record = msgspec.json.decode(tags.get("COMMENT", ""), type=ClipRecord)
    except (msgspec.MsgspecError, RecursionError):  # or nested so deep that it is meant to do harm
        return None
    return record if record.schema == CLIP_SCHEMA else None


def clip_stem(when: str, label: str, peak: float) -> str:
    """The name of a clip's file, without suffix: 20261127T193000.123Z_speech_0.98."""
    return f"{when}_{safe_name(label)}_{peak:.2f}"


def stream_stamp(source: str, seconds: float) -> str:
    """When, in a recording that has no wall time: talk_00h01m02.350s."""
    minutes, second = divmod(round(seconds * 1000), 60_000)
    hours, minute = divmod(minutes, 60)
    return f"{safe_name(Path(source).stem)}_{hours:02d}h{minute:02d}m{second / 1000:06.3f}s"


def safe_name(text: str) -> str:
    """``text`` as a part of a file's name that every file system takes: letters and digits of any language."""
    kept = re.sub(r"[^\w.]+|_+", "-", unicodedata.normalize("NFC", text)).strip("-.")
    cut = kept.encode("utf-8", "ignore")[:_LONGEST_NAME_BYTES].decode("utf-8", "ignore")
    return cut.strip("-.") or "sound"
