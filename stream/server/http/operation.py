"""Operation: a route together with all that its description says, so that neither is without the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_origin, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.server.access.tokens import Scope
from stream.server.http.answers import JSON
from stream.server.refusals import ErrorAnswer, Refused

SAFE = ("GET", "HEAD")


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One kind of answer.

    Attributes:
        means: in words.
        body: type of the JSON, or of each line or event; None where the body is no JSON.
        media: its media types.
    """

    means: str
    body: Any = None
    media: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One method of one path.

    Attributes:
        method, path: of HTTP; the path as Starlette has it.
        name: the operation's id.
        summary: one line for people.
        handler: called with the request and the parameters.
        scope: that must be granted; "any" token; None = open to everybody.
        query: the parameters behind the question mark, as a Struct.
        body: type of the JSON body; None without.
        body_media: media type of a body that is no JSON; "" without.
        answers: by status.
        streams: what 200 is instead, where the request accepts server-sent events; None: it is not.
        refusals: other status codes with which it answers an error.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[Request, Any], Awaitable[Response]]
    scope: Scope | str | None
    query: type[msgspec.Struct] = NoQuery
    body: Any = None
    body_media: str = ""
    answers: Mapping[int, Answer]
    streams: Answer | None = None
    refusals: Mapping[int, str] = field(default_factory=dict)

    def route(self) -> Route:
        """The route that answers it."""
        return Route(self.path, self._endpoint, methods=[self.method], name=self.name)

    async def _endpoint(self, request: Request) -> Response:
        access = request.app.state.access
        if self.method not in SAFE:
            access.check_origin(request)
        if self.scope is not None:
            access.identify(request, None if self.scope == "any" else self.scope)
        return await self.handler(request, parameters(request, self.query))

    def all_answers(self) -> dict[int, Answer]:
        """What may come back, errors too."""
        found = dict(self.answers)
        errors = {
            400: "the request is not as it must be",
            421: "sent to a host name that is not the station's",
        }
        errors |= {431: "address and headers are too large"}
        if self.scope is not None:
            errors |= {
                401: "no token, or one that is not known",
                403: "the token does not grant this, or the page may not ask",
            }
            errors |= {429: "too many wrong tokens"}
        if self.scope is not None or self.body_media:
            errors |= {503: "too much at one time, or the station is about to end"}
        for status, means in {**errors, **self.refusals}.items():
            found.setdefault(status, Answer(means, ErrorAnswer))
        return found


def parameters(request: Request, kind: type[msgspec.Struct]) -> Any:
    """The parameters of a request.

    Raises:
        Refused: one is unknown, given twice, or out of range.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name in request.query_params:
        given = request.query_params.getlist(name)
        if get_origin(hints.get(name)) in (list, tuple):
            values[name] = given
        elif len(given) > 1:
            raise Refused("invalid_parameter", f"{name}: is given {len(given)} times; give it once")
        else:
            values[name] = given[0]
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refused("invalid_parameter", str(error).replace(" - at `$.", ": parameter `")) from None
