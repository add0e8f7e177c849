"""make_app: all routes of a station, and how errors become answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from stream.errors import StreamClassifyError
from stream.server.access.access import Access
from stream.server.http import (
    asyncapi,
    classify,
    clip_files,
    event_routes,
    health,
    metrics,
    model,
    openapi,
    sources,
)
from stream.server.http.answers import error_answer, refusal_answer
from stream.server.http.draining import Draining
from stream.server.http.gate import Gate
from stream.server.http.operation import Operation
from stream.server.limits import Limits
from stream.server.refusals import Refused
from stream.server.socket import Streams
from stream.server.socket import routes as stream_routes

if TYPE_CHECKING:
    from stream.server.http.served import Served
    from stream.server.socket.resume_store import ResumeStore
    from stream.server.station import SourceSpec

_PARTS = (health, model, classify, sources, event_routes, clip_files, metrics, openapi, asyncapi)
OPERATIONS: tuple[Operation, ...] = tuple(each for part in _PARTS for each in part.OPERATIONS)


def make_app(
    station: Served,
    access: Access,
    limits: Limits | None = None,
    *,
    page: bool = True,
    read_source: Callable[[Mapping[str, Any]], SourceSpec] | None = None,
    resume_store: ResumeStore | None = None,
) -> Starlette:
    """The ASGI application of a station.

    Its lifespan starts the station and closes it. ``app.state`` has ``station``, ``access``, ``limits``, ``draining``
    and ``streams``.

    Args:
        station: what is served.
        access: who may do what.
        limits: every bound.
        page: also the page for people.
        read_source: makes a source of the table that a client sent; None: none can be added.
        resume_store: where streams wait for their clients when the station ends; None = in this process.
    """
    limits = limits or Limits()
    draining = Draining()
    streams = Streams(station, limits, resume_store)
    app = Starlette(
        routes=[*_routes(page), *stream_routes(streams, access, limits, draining)],
        middleware=[Middleware(Gate, access=access, limits=limits), *_cross_origin(access)],
        exception_handlers={
            Refused: _refused,
            HTTPException: _unroutable,
            StreamClassifyError: _invalid,
            Exception: _internal,
        },
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.station, app.state.access, app.state.limits = station, access, limits
    app.state.draining, app.state.streams = draining, streams
    app.state.read_source, app.state.operations = read_source, OPERATIONS
    app.state.turns, app.state.followers = classify.Turns(limits), 0
    app.state.metrics = metrics.Metrics(app)
    return app


def _routes(page: bool) -> Sequence[BaseRoute]:
    found: list[BaseRoute] = [each.route() for each in OPERATIONS]
    if page:
        from stream.server.page.page import routes as page_routes

        found += page_routes()
    return found


def _cross_origin(access: Access) -> list[Middleware]:
    """What lets the pages of allowed origins read answers; without any, browsers do not let them."""
    if not access.origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=[each.rstrip("/") for each in access.origins],
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "Range"],
            max_age=600,
        )
    ]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    station: Served = app.state.station
    # Watched before anything is heard, so that nothing is missed.
    watcher = station.hub.watch(asyncio.get_running_loop(), kinds=["event", "gap"])
    counting = asyncio.create_task(app.state.metrics.follow(watcher))
    await asyncio.to_thread(station.start)
    try:
        yield
    finally:
        app.state.draining.begin()
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting
        app.state.streams.close()
        await asyncio.to_thread(station.close)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    request.app.state.metrics.refused.labels(error.code).inc()
    return refusal_answer(error)


async def _unroutable(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    message = {404: "there is nothing at this path; see /v1/openapi.json", 405: "not with this method"}
    return error_answer(code, message.get(error.status_code, error.detail), error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    return error_answer("invalid", str(error), 400)


async def _internal(request: Request, error: Exception) -> Response:
    # The server logs the error; whoever asked learns nothing about the inside.
    return error_answer("internal", "an error of the station; its log says more", 500)
