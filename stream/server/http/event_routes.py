"""Events: those of the history, page by page, and those from now on."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from stream.errors import OutputError
from stream.server.http.answers import json_answer
from stream.server.http.event_stream import SSE, pieces
from stream.server.http.held import HeldAnswer
from stream.server.http.history_pages import EventsPage, HeardRecord, parse_cursor, read_page
from stream.server.http.operation import Answer, Operation
from stream.server.http.times import moment
from stream.server.hub_message import KINDS, HubRecord
from stream.server.limits import Limits
from stream.server.refusals import Refused

FURTHEST_BACK_SECONDS = 3600.0  # that Last-Event-ID brings back at most
LATE_SECONDS = 30.0  # that an event may be told after its end
Kind = Literal["scores", "event", "gap", "status", "level"]


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events.

    Attributes:
        since, until: times such as 2026-11-27T20:15:00Z, dates, or seconds since 1970; of the history only.
        label: only this class; of the history only.
        source: only these sources; of the history only one.
        limit: most of a page.
        after: what ``next`` of the page before said.
        kinds: of messages that are followed.
    """

    since: Annotated[str, Meta(max_length=40)] = ""
    until: Annotated[str, Meta(max_length=40)] = ""
    label: Annotated[str, Meta(max_length=200)] = ""
    source: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)] = []
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: Annotated[str, Meta(max_length=80)] = ""
    kinds: Annotated[list[Kind], Meta(max_length=5)] = []


class FollowedEnd(msgspec.Struct, frozen=True):
    """The last message of a stream of events: why it ends."""

    reason: str


async def get_events(request: Request, query: EventsQuery) -> Response:
    """Events."""
    wanted = request.headers.get("accept", "")
    return await (_follow if SSE in wanted else _page)(request, query)


async def _page(request: Request, query: EventsQuery) -> Response:
    if query.kinds:
        raise Refused("invalid_parameter", f"kinds: is for what is followed; ask with Accept: {SSE}")
    if len(query.source) > 1:
        raise Refused("invalid_parameter", "source: a history is asked for one at a time, or for all")
    limits: Limits = request.app.state.limits
    found = await _read(
        request,
        since=moment(query.since, "since", -math.inf),
        until=moment(query.until, "until", math.inf),
        label=query.label,
        source=query.source[0] if query.source else "",
        after=parse_cursor(query.after),
        limit=min(query.limit, limits.page_events),
    )
    return json_answer(found)


async def _follow(request: Request, query: EventsQuery) -> Response:
    state = request.app.state
    limits: Limits = state.limits
    if query.since or query.until or query.after or query.label:
        raise Refused(
            "invalid_parameter", "since, until, after and label: are for the history; leave them out"
        )
    if state.draining.begun:
        raise Refused("draining", "the station is about to end; connect again later", status=503)
    if state.followers >= limits.watchers:
        raise Refused(
            "busy", "too many follow already; try again later", status=503, headers={"Retry-After": "10"}
        )
    kinds = query.kinds or [kind for kind in KINDS if kind in ("event", "gap", "status")]
    async with AsyncExitStack() as stack:
        state.followers += 1
        stack.callback(_left, state)
        watcher = state.station.hub.watch(
            asyncio.get_running_loop(),
            kinds=kinds,
            sources=query.source or None,
            event_room=limits.watcher_room,
        )
        stack.enter_context(watcher)  # from here on nothing is missed; what comes meanwhile waits
        missed = await _missed(request, query)
        return HeldAnswer(pieces(watcher, state.draining, missed), stack.pop_all(), SSE)


def _left(state: Any) -> None:
    state.followers -= 1


async def _missed(request: Request, query: EventsQuery) -> list[HeardRecord]:
    """What the history knows of the time since the last message that the client got.

    Some of it may have been told before: an event is known by its source and onset.
    """
    told = request.headers.get("last-event-id", "")
    if not told.isdigit() or len(told) > 15 or request.app.state.station.history is None:
        return []
    since = max(int(told) / 1000, time.time() - FURTHEST_BACK_SECONDS) - LATE_SECONDS
    page = await _read(request, since=since, ended_after=since, limit=request.app.state.limits.page_events)
    return [each for each in page.events if not query.source or each.source in query.source]


async def _read(request: Request, **how: Any) -> EventsPage:
    path = request.app.state.station.history
    if path is None:
        raise Refused(
            "no_history", "this station keeps no history; start it with one: history = FILE", status=404
        )
    try:
        return await asyncio.to_thread(read_page, path, **how)
    except OutputError as error:
        raise Refused("history", str(error), status=503, headers={"Retry-After": "5"}) from None


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/events",
        name="get_events",
        summary="Events of the history; with Accept: text/event-stream, events from now on",
        handler=get_events,
        scope="read",
        query=EventsQuery,
        answers={
            200: Answer("events", EventsPage),
        },
        streams=Answer("messages", (HubRecord, HeardRecord, FollowedEnd), (SSE,)),
        refusals={404: "no history is kept"},
    ),
)
