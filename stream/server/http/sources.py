"""The station's own sources: how they are doing, and changes without a restart."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from stream.errors import ModelError, SpecError, UsageError
from stream.outputs.catalogue import output_classes
from stream.server.http.answers import json_answer
from stream.server.http.operation import Answer, NoQuery, Operation
from stream.server.http.uploads import json_body
from stream.server.refusals import Forbidden, Refused
from stream.server.station.source_glance import SourceGlance

Table = dict[str, Any]
"""One source, as ``[[source]]`` of a settings file has it."""


class SourcesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All sources of the station, and how many streams others send.

    Attributes:
        sources: in the order in which they were added.
        streams: open from outside; nothing else is told of them.
        max_streams: that may be.
    """

    sources: list[SourceGlance]
    streams: Annotated[int, Meta(ge=0)]
    max_streams: Annotated[int, Meta(ge=1)]


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes while a source goes on, until its settings change.

    Attributes:
        thresholds: by class.
        mute: classes to report no more, or again: each time it is the other way round.
    """

    thresholds: Annotated[dict[str, Annotated[float, Meta(gt=0, le=1)]], Meta(max_length=1000)] = {}
    mute: Annotated[list[str], Meta(max_length=1000)] = []


class Tuned(msgspec.Struct, frozen=True):
    """What was changed, in words."""

    changes: list[str]


async def get_sources(request: Request, query: NoQuery) -> Response:
    """All sources."""
    station = request.app.state.station
    glances = await asyncio.to_thread(station.glance)
    return json_answer(
        SourcesAnswer(
            sources=glances,
            streams=request.app.state.streams.heard,
            max_streams=request.app.state.limits.streams,
        )
    )


async def get_source(request: Request, query: NoQuery) -> Response:
    """One source."""
    return json_answer(await _glance(request, _name(request)))


async def add_source(request: Request, query: NoQuery) -> Response:
    """One more."""
    spec = await _spec(request, await json_body(request, Table))
    if spec.name in request.app.state.station.sources:
        raise Refused("source_exists", f"source {spec.name}: there is one of this name already", status=409)
    await _change(request.app.state.station.add_source, spec)
    return json_answer(await _glance(request, spec.name), 201)


async def put_source(request: Request, query: NoQuery) -> Response:
    """Other settings for one."""
    name = _name(request)
    table = await json_body(request, Table)
    spec = await _spec(request, {"name": name, **table})
    await _change(request.app.state.station.change_source, name, spec)
    return json_answer(await _glance(request, spec.name))


async def tune_source(request: Request, query: NoQuery) -> Response:
    """Thresholds, while it goes on."""
    run = request.app.state.station.sources[_name(request)]
    asked = await json_body(request, Tuning)
    changes: list[str] = []
    for label, threshold in asked.thresholds.items():
        changes.append(await _change(run.place_threshold, label, threshold))
    for label in asked.mute:
        if label not in run.glance().thresholds:
            raise Refused("invalid_source", f"mute {label}: no such class; see `thresholds` of the source")
        changes.append(await _change(run.mute, label))
    return json_answer(Tuned(changes))


async def remove_source(request: Request, query: NoQuery) -> Response:
    """One less."""
    await _change(request.app.state.station.remove_source, _name(request))
    return Response(status_code=204)


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if name not in request.app.state.station.sources:
        raise Refused("unknown_source", f"source {name}: there is none of this name", status=404)
    return name


async def _glance(request: Request, name: str) -> SourceGlance:
    run = request.app.state.station.sources.get(name)
    if run is None:
        raise Refused("unknown_source", f"source {name}: there is none of this name", status=404)
    found: SourceGlance = await asyncio.to_thread(run.glance)
    return found


async def _spec(request: Request, table: Table) -> Any:
    """A source as it was sent.

    Where sound and results go is for whoever starts the station to say: an output may run commands and write files.
    So a source that comes over the network has the outputs that hold for all, and no others.
    """
    outputs = {option.name for kind in output_classes().values() for option in kind.OPTIONS}
    for key in table:
        if key.replace("_", "-") in {*outputs, "output", "jsonl", "acting"}:
            raise Forbidden(
                "outputs_not_here", f"{key}: outputs are set in the settings file, not over the network"
            )
    read = request.app.state.read_source
    if read is None:
        raise Refused("no_settings", "this station takes no sources over the network", status=501)
    return await _change(read, table)


async def _change(change: Any, *values: Any) -> Any:
    try:
        return await asyncio.to_thread(change, *values)
    except (UsageError, SpecError, ModelError) as error:
        raise Refused("invalid_source", str(error)) from None


_NO_SOURCE = {404: "there is no source of this name"}
OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/sources",
        name="get_sources",
        summary="All sources of the station at a glance",
        handler=get_sources,
        scope="read",
        answers={200: Answer("the sources", SourcesAnswer)},
    ),
    Operation(
        method="POST",
        path="/v1/sources",
        name="add_source",
        summary="Listen to one more source",
        handler=add_source,
        scope="admin",
        body=Table,
        answers={201: Answer("it was added", SourceGlance)},
        refusals={408: "slow body", 409: "there is one of this name", 413: "too large", 501: "not here"},
    ),
    Operation(
        method="GET",
        path="/v1/sources/{name}",
        name="get_source",
        summary="One source at a glance",
        handler=get_source,
        scope="read",
        answers={200: Answer("the source", SourceGlance)},
        refusals=_NO_SOURCE,
    ),
    Operation(
        method="PUT",
        path="/v1/sources/{name}",
        name="change_source",
        summary="Give a source other settings; it starts again where they differ",
        handler=put_source,
        scope="admin",
        body=Table,
        answers={200: Answer("it was changed", SourceGlance)},
        refusals={**_NO_SOURCE, 408: "slow body", 413: "too large", 501: "not here"},
    ),
    Operation(
        method="PATCH",
        path="/v1/sources/{name}",
        name="tune_source",
        summary="Move thresholds and mute classes while the source goes on",
        handler=tune_source,
        scope="admin",
        body=Tuning,
        answers={200: Answer("what was changed", Tuned)},
        refusals={**_NO_SOURCE, 408: "slow body", 413: "too large"},
    ),
    Operation(
        method="DELETE",
        path="/v1/sources/{name}",
        name="remove_source",
        summary="Listen to a source no more",
        handler=remove_source,
        scope="admin",
        answers={204: Answer("it was removed", None, ())},
        refusals=_NO_SOURCE,
    ),
)
