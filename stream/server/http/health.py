"""Whether the station lives, and whether it takes new work."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream.server.http.answers import json_answer
from stream.server.http.operation import Answer, NoQuery, Operation
from stream.server.refusals import Refused


class Health(msgspec.Struct, frozen=True):
    """All is well."""

    status: Literal["ok"] = "ok"


async def healthz(request: Request, query: NoQuery) -> Response:
    """The process answers."""
    return json_answer(Health())


async def readyz(request: Request, query: NoQuery) -> Response:
    """New work is taken."""
    if request.app.state.draining.begun:
        raise Refused("draining", "the station is about to end; connect again later", status=503)
    return json_answer(Health())


OPERATIONS = (
    Operation(
        method="GET",
        path="/healthz",
        name="healthz",
        summary="Whether the process answers",
        handler=healthz,
        scope=None,
        answers={200: Answer("it does", Health)},
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="Whether the station takes new work",
        handler=readyz,
        scope=None,
        answers={200: Answer("it does", Health)},
        refusals={503: "it is about to end"},
    ),
)
