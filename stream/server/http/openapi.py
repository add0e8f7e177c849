"""Descriptions of the API, made of the same types that decode requests and encode answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stream._version import __version__
from stream.server.http.answers import JSON, json_answer
from stream.server.http.operation import Answer, NoQuery, Operation

_PATH_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_REFS = "#/components/schemas/{name}"


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The OpenAPI description (version 3.1) of operations."""
    kinds = list(_kinds(operations))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFS)
    of_kind = dict(zip(map(id, kinds), schemas, strict=True))
    keep = list(kinds)  # ids stay theirs while this lives

    def schema(kind: Any) -> dict[str, Any]:
        if isinstance(kind, tuple):
            return {"anyOf": [schema(each) for each in kind]}
        return dict(of_kind[next(id(each) for each in keep if each is kind or each == kind)])

    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        path = _PATH_PARAMETER.sub(r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _described(each, schema, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stream-classify",
            "version": __version__,
            "description": "A station that classifies sound: its sources, recordings, and what was heard. "
            "Streams are sent over a WebSocket, which /v1/asyncapi.json describes.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(each: Operation, schema: Any, components: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "parameters": [*_path_parameters(each), *_query_parameters(each, schema, components)],
        "responses": {
            str(status): {
                "description": answer.means,
                **_content(answer, each.streams if status == 200 else None, schema),
            }
            for status, answer in each.all_answers().items()
        },
    }
    if each.scope is not None:
        described["security"] = [{"token": []}]
        described["description"] = (
            f"Needs the scope {each.scope}." if each.scope != "any" else "Needs any token."
        )
    if each.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schema(each.body)}}}
    elif each.body_media:
        described["requestBody"] = {"required": True, "content": {each.body_media: {}}}
    return described


def _content(answer: Answer, streams: Answer | None, schema: Any) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for one in (answer, streams):
        for media in () if one is None else one.media:
            content[media] = {} if one is None or one.body is None else {"schema": schema(one.body)}
    return {"content": content} if content else {}


def _path_parameters(each: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PATH_PARAMETER.findall(each.path)
    ]


def _query_parameters(each: Operation, schema: Any, components: dict[str, Any]) -> list[dict[str, Any]]:
    if each.query is NoQuery:
        return []
    found = schema(each.query)
    found = components[found["$ref"].rsplit("/", 1)[1]] if "$ref" in found else found
    return [
        {"name": name, "in": "query", "required": name in found.get("required", ()), "schema": part}
        for name, part in found["properties"].items()
    ]


def _kinds(operations: Iterable[Operation]) -> Iterable[Any]:
    """Every type of theirs, once."""
    found: list[Any] = []
    for each in operations:
        answers = [*each.all_answers().values(), *([each.streams] if each.streams else [])]
        asked = [
            each.body,
            None if each.query is NoQuery else each.query,
            *(answer.body for answer in answers),
        ]
        for kind in asked:
            for one in kind if isinstance(kind, tuple) else (kind,):
                if one is not None and not any(one is other or one == other for other in found):
                    found.append(one)
    return found


async def get_openapi(request: Request, query: NoQuery) -> Response:
    """The description of this API."""
    return json_answer(_all(request.app.state.operations))


@cache
def _all(operations: tuple[Operation, ...]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(openapi(operations)))


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/openapi.json",
        name="get_openapi",
        summary="This description",
        handler=get_openapi,
        scope=None,
        answers={200: Answer("the description", dict[str, Any])},
    ),
)
