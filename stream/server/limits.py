"""Limits: every bound of a station, so that no peer can take more than its share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stream.errors import UsageError
from stream.quantities import duration_seconds, size_bytes

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Bytes = Annotated[int, Meta(ge=1024, le=1 << 40)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a station gives at most. Each has a place in ``--limit NAME=VALUE`` and in ``[limits]`` of its settings.

    Attributes:
        streams: open on ``/v1/stream``.
        hello_seconds: until the first message of a stream must have come.
        idle_seconds: that a stream may send nothing before it is closed.
        message_bytes: of one message of a stream.
        backlog_seconds: of sound that a stream has sent and that is not classified yet; beyond, its sender waits.
        resume_seconds: that the state of a stream is kept after its connection broke.
        lead_seconds: of sound by which a stream may be ahead of real time; beyond, it is read as fast as time passes.
        flood_seconds: that a stream may go on being ahead, before it is closed.
        replies: events that wait for the reader of a stream; beyond, it is closed, and they are kept.
        reply_bytes: the same in bytes.
        kept_streams: that are kept at one time, of those whose connection broke.
        kept_bytes: the same in bytes of their events.
        connections: open at one time, of any kind.
        requests: answered at one time, streams not counted.
        header_bytes: of a request line and its headers.
        header_seconds: until a request line and its headers must have come.
        body_seconds: between two pieces of a body.
        reader_seconds: that a client may take nothing of its answer.
        json_bytes: of a JSON body.
        file_bytes: of a recording that is sent to be classified.
        files: recordings classified at one time.
        files_waiting: that wait for their turn.
        upload_seconds: until a recording must have come as a whole.
        watchers: that follow the station's events at one time.
        watcher_room: events that wait for one of them; beyond, it is closed.
        page_events: of one answer from history.
        failed_tokens: a minute and address, before an answer says to wait.
        drain_seconds: that open streams get to leave at the end.
    """

    streams: Count = 1000
    hello_seconds: Seconds = 10.0
    idle_seconds: Seconds = 60.0
    message_bytes: Bytes = 1 << 20
    backlog_seconds: Seconds = 10.0
    resume_seconds: Seconds = 60.0
    lead_seconds: Seconds = 10.0
    flood_seconds: Seconds = 10.0
    replies: Count = 256
    reply_bytes: Bytes = 256 << 10
    kept_streams: Count = 1000
    kept_bytes: Bytes = 64 << 20
    connections: Count = 4096
    requests: Count = 256
    header_bytes: Bytes = 16 << 10
    header_seconds: Seconds = 10.0
    body_seconds: Seconds = 20.0
    reader_seconds: Seconds = 30.0
    json_bytes: Bytes = 64 << 10
    file_bytes: Bytes = 1 << 30
    files: Count = 2
    files_waiting: Count = 16
    upload_seconds: Seconds = 3600.0
    watchers: Count = 100
    watcher_room: Count = 1000
    page_events: Count = 1000
    failed_tokens: Count = 10
    drain_seconds: Seconds = 10.0


def limits_of(texts: dict[str, Any]) -> Limits:
    """Limits from values by name: numbers, or text such as "500MB" and "2m".

    Args:
        texts: name of a field -> its value; what is missing keeps its default.

    Raises:
        UsageError: no such limit, or a value that it cannot have.
    """
    values: dict[str, Any] = {}
    for written, value in texts.items():
        name = written.replace("-", "_")
        if name not in Limits.__struct_fields__:
            known = ", ".join(Limits.__struct_fields__)
            raise UsageError(f"limit {written}: there is none of this name; there are {known}")
        try:
            values[name] = _number(name, value) if isinstance(value, str) else value
            msgspec.convert({name: values[name]}, Limits)
        except (ValueError, msgspec.ValidationError) as error:
            raise UsageError(f"limit {written} {value!r}: {str(error).partition(' - at')[0]}") from None
    if "connections" not in values:
        streams = values.get("streams", Limits().streams)
        values["connections"] = min(max(Limits().connections, streams + 1024), 1_000_000)
    return msgspec.convert(values, Limits)


def _number(name: str, text: str) -> float:
    if name.endswith("_seconds"):
        return duration_seconds(text)
    if name.endswith("_bytes") and not text.strip().isdigit():
        return size_bytes(text)
    try:
        return int(text)
    except ValueError:
        raise ValueError("want a whole number") from None
