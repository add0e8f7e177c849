"""Live: how sources stand, as server-sent events for as long as a page watches."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stream.printable import printable, printable_json
from stream.server.http.draining import Draining
from stream.server.page.telling import GlanceTelling, SourceTelling, Told, glance
from stream.server.page.watched import WatchedStation, feeds_of, not_heard, stopped
from stream.server.refusals import Refused
from stream.server.station.listened import AttachedRun, Listened

LOOK_SECONDS = 0.1  # between two looks at a source,
GLANCE_SECONDS = 0.25  # and at all of them,
LEISURE = 10  # or so many times as long as the last look took: many sources are looked at less often
BREATH_SECONDS = 5.0  # between signs of life, so that a page notices a connection that has died
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy hands on what comes, at once


async def live_station(request: Request, _: Any) -> Response:
    """All sources in a few lines each."""
    state = request.app.state
    return _stream(request, _all(state.station, state.draining))


async def live_source(request: Request, _: Any) -> Response:
    """One source with everything that is drawn of it."""
    find_source(request)
    state = request.app.state
    may_change = state.access.identify(request).may("admin")
    return _stream(request, _one(state.station, state.draining, request.path_params["name"], may_change))


def find_source(request: Request) -> Listened:
    """The source that a path names.

    Raises:
        Refused: there is none of this name.
    """
    sources: Mapping[str, Listened] = request.app.state.station.sources
    name = request.path_params["name"]
    if name not in sources:
        raise Refused("unknown_source", f"{printable(name)}: there is no source of this name", status=404)
    return sources[name]


async def _all(station: WatchedStation, draining: Draining) -> AsyncIterator[Told | None]:
    feeds, telling = feeds_of(station), GlanceTelling()
    names: list[str] | None = None
    while True:
        sources = dict(station.sources)
        feeds.keep(list(sources))
        now = time.monotonic()
        changed: list[dict[str, Any]] = []
        for name, source in sources.items():
            state, telemetry = not_heard(source.glance()), source.telemetry
            if telemetry is None:
                if telling.is_due(name, str(state), now):
                    changed.append({"name": name, "labels": [], "state": state, "recent": [], "last": None})
                continue
            readings = await feeds.of(name, telemetry).read()
            if telling.is_due(name, (id(telemetry), readings.version, str(state)), now):
                changed.append(glance(name, readings) | stopped(state))
        if changed or names != list(sources):
            names = list(sources)
            yield "glance", {"names": names, "changed": changed}
        else:
            yield None
        await draining.wait(max(GLANCE_SECONDS, LEISURE * (time.monotonic() - now)))


async def _one(
    station: WatchedStation, draining: Draining, name: str, may_change: bool
) -> AsyncIterator[Told | None]:
    feeds, alone = feeds_of(station), isinstance(station.sources.get(name), AttachedRun)

    def has_clip(event: int) -> bool:
        source = station.sources.get(name)
        return source is not None and source.clip(event) is not None

    telling = SourceTelling(name, has_clip, alone=alone)
    while (source := station.sources.get(name)) is not None:
        standing, telemetry = source.glance(), source.telemetry
        state = not_heard(standing)
        if telemetry is not None:
            feed = feeds.of(name, telemetry)
            extra = {"rules": may_change, "input": standing.input}
            for kind, value in telling.tell(await feed.read(), feed.epoch, time.monotonic(), extra):
                yield kind, value | stopped(state) if kind == "moment" else value
        elif state is not None:
            yield "waiting", {"state": state}
        yield None
        await draining.wait(LOOK_SECONDS if state is None else GLANCE_SECONDS)


def _stream(request: Request, told: AsyncIterator[Told | None]) -> Response:
    draining: Draining = request.app.state.draining

    async def lines() -> AsyncIterator[bytes]:
        said_at = time.monotonic()
        yield b": begins\n\n"
        async for each in told:
            if draining.begun:
                return
            now = time.monotonic()
            if each is not None:
                name, value = each
                yield f"event: {name}\ndata: ".encode() + printable_json(msgspec.json.encode(value)) + b"\n\n"
                said_at = now
            elif now - said_at > BREATH_SECONDS:
                yield b": alive\n\n"
                said_at = now

    return StreamingResponse(lines(), media_type="text/event-stream", headers=HEADERS)
