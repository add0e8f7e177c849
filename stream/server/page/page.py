"""The routes of the page. All but its files are its own affair, not part of the API, and ask for the scope ``read``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from stream.server.http.answers import json_answer
from stream.server.http.clip_files import clip_answer
from stream.server.http.operation import NoQuery, Operation
from stream.server.page.day_data import read_day
from stream.server.page.files import file_routes
from stream.server.page.live import find_source, live_source, live_station
from stream.server.page.look import look
from stream.server.refusals import Refused


class DayQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which source; "" is all of them."""

    source: Annotated[str, Meta(max_length=200)] = ""


async def get_look(request: Request, _: Any) -> Response:
    """Colours and measures."""
    return json_answer(look())


async def get_day(request: Request, query: DayQuery) -> Response:
    """A day of the history."""
    day = request.path_params["day"]
    return json_answer(await asyncio.to_thread(read_day, _history(request), day, query.source))


async def get_clip(request: Request, _: Any) -> Response:
    """The sound of an event of a source that listens."""
    source = find_source(request)
    return await clip_answer(source.clip(request.path_params["event"]))


def _history(request: Request) -> str:
    history = request.app.state.station.history
    if history is None:
        raise Refused("no_history", "this station keeps no history; start it with --history FILE", status=404)
    return str(history)


OPERATIONS = (
    ("/page/look.json", get_look, None, NoQuery),
    ("/page/live", live_station, "read", NoQuery),
    ("/page/sources/{name:path}/live", live_source, "read", NoQuery),
    ("/page/sources/{name:path}/clips/{event:int}", get_clip, "read", NoQuery),
    ("/page/days/{day}", get_day, "read", DayQuery),
)


def routes() -> list[BaseRoute]:
    """All routes of the page."""
    operations = [
        Operation(
            method="GET", path=path, name=f"page {path}", summary="", handler=handler, scope=scope,
            query=query, answers={},
        )
        for path, handler, scope, query in OPERATIONS
    ]  # fmt: skip
    return [*file_routes(), *(each.route() for each in operations)]
