"""What a hub hands on: the records of the JSON lines, and those that only a station has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from stream.outputs.schema import Record, Seconds, Source, Version, WallTime
from stream.printable import printable_json

HubKind = Literal["scores", "event", "gap", "status", "level"]
KINDS: tuple[HubKind, ...] = ("scores", "event", "gap", "status", "level")
LOSSY: frozenset[HubKind] = frozenset({"scores", "level"})

SourceCondition = Literal[
    "starting", "listening", "silent", "recovering", "failed", "waiting", "ended", "stopped"
]
"""What a source of a station does: as `stream.messages.SourceState` while it runs, and around that: it is being opened,
waits to be opened again after an error, has come to its end, or was stopped."""


class SourceRecord(msgspec.Struct, frozen=True, tag_field="type", tag="source"):
    """A source of a station was started, ended, or waits to be started again."""

    schema: Version
    state: SourceCondition
    detail: Annotated[str, Meta(description="Why, for people.")]
    restarts: Annotated[int, Meta(ge=0, description="How many times it was started again after an error.")]
    t_wall: WallTime
    source: Source


class LevelRecord(msgspec.Struct, frozen=True, tag_field="type", tag="level"):
    """How loud the newest tenth of a second of a source is."""

    schema: Version
    t: Seconds
    rms_dbfs: Annotated[float, Meta(description="Root mean square, dB below full scale.")]
    peak_dbfs: Annotated[float, Meta(description="Highest sample, dB below full scale.")]
    source: Source


class LostRecord(msgspec.Struct, frozen=True, tag_field="type", tag="lost"):
    """Scores and levels that this watcher was too slow for, since the last such record."""

    schema: Version
    messages: Annotated[int, Meta(ge=1)]


HubRecord = Record | SourceRecord | LevelRecord | LostRecord
_encode = msgspec.json.Encoder().encode


class HubMessage:
    """One record, for all who watch.

    Attributes:
        kind: what it is about.
        source: name of the source; "" for what is about the watcher itself.
        record: one of `HubRecord`.
    """

    __slots__ = ("_json", "kind", "record", "source")

    def __init__(self, kind: HubKind, source: str, record: HubRecord) -> None:
        self.kind = kind
        self.source = source
        self.record = record
        self._json: bytes | None = None

    def __repr__(self) -> str:
        return f"HubMessage({self.kind!r}, {self.source!r}, {self.record!r})"

    @property
    def json(self) -> bytes:
        """The record as one line of JSON without its end: made once for all watchers."""
        if self._json is None:
            self._json = printable_json(_encode(self.record))
        return self._json


def hub_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one message."""
    (schema,), definitions = msgspec.json.schema_components([HubRecord], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stream-classify messages of a station",
        **schema,
        "$defs": definitions,
    }
