"""The description of the WebSocket, made of the types that its messages are decoded and encoded with."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream._version import __version__
from stream.server.http.answers import JSON, json_answer
from stream.server.http.operation import Answer, NoQuery, Operation
from stream.server.socket.client_messages import ClientMessage
from stream.server.socket.codes import ENDINGS
from stream.server.socket.server_messages import ServerMessage

PATH = "/v1/stream"
_REFS = "#/components/schemas/{name}"
_SOUND = "Sound"


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI description (version 3.0) of ``/v1/stream``."""
    sent, told = get_args(ClientMessage), get_args(ServerMessage)
    schemas, components = _without_discriminators(
        msgspec.json.schema_components([*sent, *told], ref_template=_REFS)
    )
    messages: dict[str, Any] = {
        kind.__name__: {
            "name": kind.__struct_config__.tag,
            "summary": components[kind.__name__].get("description", "").partition("\n")[0],
            "contentType": JSON,
            "payload": schema,
        }
        for kind, schema in zip((*sent, *told), schemas, strict=True)
    }
    messages[_SOUND] = {
        "name": "sound",
        "summary": "A binary message: interleaved samples, or one Opus packet, as the hello announced.",
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "stream-classify",
            "version": __version__,
            "description": "One WebSocket a stream. The client says hello, then sends sound; the station answers with "
            "scores, events and gaps. What is over HTTP stands in /v1/openapi.json.",
        },
        "defaultContentType": JSON,
        "channels": {
            "stream": {
                "address": PATH,
                "description": _closing_words(),
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "send": _operation("receive", "What a client sends", [*(kind.__name__ for kind in sent), _SOUND]),
            "tell": _operation("send", "What the station answers", [kind.__name__ for kind in told]),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _without_discriminators(schema: Any) -> Any:
    """AsyncAPI has no object of that name, which OpenAPI has; the constant ``type`` of each kind says the same."""
    if isinstance(schema, dict):
        return {
            name: _without_discriminators(value)
            for name, value in schema.items()
            if not (name == "discriminator" and "propertyName" in value)
        }
    if isinstance(schema, list | tuple):
        return type(schema)(_without_discriminators(each) for each in schema)
    return schema


def _operation(action: str, summary: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/stream"},
        "messages": [{"$ref": f"#/channels/stream/messages/{name}"} for name in names],
    }


def _closing_words() -> str:
    codes = "\n".join(f"- {ending.close} `{code}`: {ending.meaning}" for code, ending in ENDINGS.items())
    return f"Before the station closes the connection it says why, in a message of type error. Close codes:\n{codes}"


async def get_asyncapi(request: Request, query: NoQuery) -> Response:
    """The description of the WebSocket."""
    return json_answer(_encoded())


@cache
def _encoded() -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(asyncapi()))


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/asyncapi.json",
        name="get_asyncapi",
        summary="The description of the WebSocket",
        handler=get_asyncapi,
        scope=None,
        answers={200: Answer("the description", dict[str, Any])},
    ),
)
