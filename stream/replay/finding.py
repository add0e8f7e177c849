"""Finding things of a session: its model on this machine, and moments as people write them."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path

import msgspec

from stream.errors import ModelError, StreamClassifyError, UsageError
from stream.installation import BUNDLED_MODELS, bundled_model
from stream.outputs.schema import EventRecord, OnsetRecord
from stream.printable import printable
from stream.session.description import Description
from stream.session.recorded import RecordedSession

MAX_MODEL_BYTES = 4 << 30
_EVENT = re.compile(r"e([0-9]{1,18})")
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?s?")


def recorded_model(description: Description) -> Path:
    """The file of the model that a session was recorded with: where it was, or the bundled one that is the same.

    Raises:
        ModelError: neither has its digest.
    """
    path = Path(description.model_path)
    candidates = [path]
    for name in BUNDLED_MODELS:
        try:
            candidates.append(bundled_model(name))
        except StreamClassifyError:  # this installation lacks it
            continue
    for candidate in candidates:
        if _digest(candidate) == description.model_sha256:
            return candidate
    shown = printable(str(path))
    state = "is another file now" if path.is_file() else "is not there"
    wanted = f"{printable(description.model)} with sha256 {printable(description.model_sha256[:12])}…"
    raise ModelError(
        f"model {wanted}: {shown} {state}; give the file with --model, or another model to compare with"
    )


def _digest(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > MAX_MODEL_BYTES:
            return ""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def find_event(session: RecordedSession, number: int) -> OnsetRecord | EventRecord:
    """The event with this id as it was recorded, complete if it is.

    Raises:
        UsageError: there is none.
        SessionInvalid: the session is damaged.
    """
    decoder = msgspec.json.Decoder(OnsetRecord | EventRecord)
    found: OnsetRecord | EventRecord | None = None
    count = 0
    for segment in session.segments:
        for line in segment.lines():
            if not line.startswith((b'{"type":"event"', b'{"type":"onset"')):
                continue
            try:
                event = decoder.decode(line)
            except msgspec.MsgspecError:
                continue
            count = max(count, event.id + 1)
            if event.id == number:
                found = event
        if isinstance(found, EventRecord):
            return found
    if found is None:
        there = f"there are e0 to e{count - 1}" if count else "there is none"
        raise UsageError(f"event e{number}: not in session {session.folder}; {there}")
    return found


def moment(session: RecordedSession, text: str) -> float | int:
    """What ``text`` means: a second of the stream, as float, or the id of an event, as int.

    ================================  ================================================
    "e12"                             event 12
    "83.5", "83.5s"                   seconds of the stream
    "14:03:21", "14:03"               time of the day, here, the first after the beginning
    "2026-11-26T14:03:21[Z]"          date and time, here unless it says otherwise
    ================================  ================================================

    Raises:
        UsageError: it means nothing, or has no place in the session.
    """
    text = text.strip()
    if found := _EVENT.fullmatch(text):
        return int(found[1])
    if _SECONDS.fullmatch(text):
        return float(text.rstrip("s"))
    try:
        if re.fullmatch(r"\d{1,2}:\d\d(:\d\d(\.\d{1,6})?)?", text):
            began = datetime.fromtimestamp(session.description.began)
            clock = datetime.strptime(text.split(".")[0], "%H:%M:%S" if text.count(":") == 2 else "%H:%M")
            wanted = began.replace(
                hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0
            ).timestamp()
            wanted += float("0." + text.split(".")[1]) if "." in text else 0.0
            if wanted < session.description.began - 1.0:
                wanted += 86400.0
        else:
            wanted = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r}: want an event as e12, seconds as 83.5, a time as 14:03:21 or 2026-11-26T14:03:21"
        ) from None
    return _second_of(session, wanted)


def _second_of(session: RecordedSession, wall: float) -> float:
    anchors = sorted(
        {each for segment in session.segments for each in segment.beginning.anchors}, key=lambda a: a[1]
    )
    if not anchors:
        raise UsageError(
            f"session {session.folder}: is of a recording, which has no time of the day; give seconds, as 83.5"
        )
    if wall < anchors[0][1]:
        began = datetime.fromtimestamp(anchors[0][1]).isoformat(timespec="seconds")
        raise UsageError(f"session {session.folder}: begins at {began}; give a later time")
    at, then = [each for each in anchors if each[1] <= wall][-1]
    return at + (wall - then)
