"""The descriptions of the API: complete, true, and stood up to by requests made from them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.routing import Route, WebSocketRoute

from stream.server.http.app import OPERATIONS
from stream.server.http.asyncapi import asyncapi
from stream.server.http.openapi import openapi
from stream.server.socket.client_messages import ClientMessage
from stream.server.socket.server_messages import ServerMessage
from tests.support.served import client_of, toy_app
from tests.support.stations import spec
from tests.support.stream_peer import Peer

OPENAPI = openapi(OPERATIONS)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    history = str(tmp_path_factory.mktemp("kept") / "heard.sqlite")
    return toy_app(spec("door", "sim:tone?loop=forever", history=history), body_seconds=5.0)


@pytest.fixture(scope="module")
def client(app: Any) -> Iterator[httpx.Client]:
    with client_of(app) as client:
        yield client


def test_every_route_is_described_and_every_description_has_its_route(app: Any, client: httpx.Client) -> None:
    served = client.get("/v1/openapi.json").json()
    assert served == json.loads(json.dumps(OPENAPI))
    described = {(path, method.upper()) for path, methods in served["paths"].items() for method in methods}
    routes = {
        (re.sub(r":\w+\}", "}", route.path), method)
        for route in app.routes
        if isinstance(route, Route) and not route.path.startswith("/page/")
        for method in (route.methods or ())
        if method != "HEAD"
    }
    assert {
        route for route in routes if route[0].startswith(("/v1/", "/metrics", "/healthz", "/readyz"))
    } == described
    names = [each["operationId"] for methods in served["paths"].values() for each in methods.values()]
    assert len(set(names)) == len(names)
    sockets = {route.path for route in app.routes if isinstance(route, WebSocketRoute)}
    channels = client.get("/v1/asyncapi.json").json()["channels"]
    assert {channel["address"] for channel in channels.values()} == sockets


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@pytest.mark.parametrize("description", [OPENAPI, asyncapi()], ids=["OpenAPI", "AsyncAPI"])
def test_every_reference_leads_somewhere_and_every_schema_is_one(description: dict[str, Any]) -> None:
    for reference in references(description):
        found: Any = description
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for schema in description["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_openapi_is_what_others_take_for_it(client: httpx.Client) -> None:
    """By libraries that read such descriptions, before any request is made."""
    import openapi_spec_validator
    import schemathesis

    openapi_spec_validator.validate(client.get("/v1/openapi.json").json())
    schema = schemathesis.openapi.from_dict(OPENAPI)
    schema.validate()
    assert len(list(schema.get_all_operations())) == len(OPERATIONS)


ASYNCAPI_READER = """
const { Parser } = require("@asyncapi/parser");
new Parser().parse(require("node:fs").readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  const messages = document?.messages().all().map((message) => message.id()) ?? [];
  console.log(JSON.stringify({ messages, diagnostics }));
});
"""


def test_asyncapi_is_what_others_take_for_it(client: httpx.Client) -> None:
    """By the parser of those who define such descriptions."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    found = subprocess.run(
        [node, "-e", 'require.resolve("@asyncapi/parser")'], capture_output=True, timeout=60
    )
    if found.returncode:
        pytest.skip("needs @asyncapi/parser: npm install --prefix DIR, and NODE_PATH=DIR/node_modules")
    description = client.get("/v1/asyncapi.json")
    read = subprocess.run(
        [node, "-e", ASYNCAPI_READER], input=description.content, capture_output=True, timeout=60
    )
    assert read.returncode == 0, read.stderr.decode()
    told = json.loads(read.stdout)
    problems = [
        (each["code"], "/".join(each["path"]), each["message"])
        for each in told["diagnostics"]
        if each["code"] != "asyncapi-latest-version"  # 3.0 is what more programs read
    ]
    assert not problems
    assert set(told["messages"]) == set(description.json()["components"]["messages"])


def validator(schema: Any, description: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": description["components"]})


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/healthz", {}),
    ("GET", "/readyz", {}),
    ("GET", "/v1/model", {}),
    ("GET", "/v1/model", {"params": {"model": "none"}}),
    ("GET", "/v1/sources", {}),
    ("POST", "/v1/sources", {"json": {"name": "new", "input": "sim:tone?loop=forever"}}),
    ("POST", "/v1/sources", {"json": {"name": "new"}}),
    ("POST", "/v1/sources", {"json": {}}),
    ("GET", "/v1/sources/new", {}),
    ("PUT", "/v1/sources/new", {"json": {"input": "sim:noise?loop=forever"}}),
    ("PATCH", "/v1/sources/door", {"json": {"thresholds": {"speech": 0.5}}}),
    ("DELETE", "/v1/sources/new", {}),
    ("DELETE", "/v1/sources/new", {}),
    ("GET", "/v1/events", {}),
    ("GET", "/v1/events", {"params": {"limit": 0}}),
    ("GET", "/v1/clips/1-1", {}),
    ("POST", "/v1/classify", {"content": b"x"}),
    ("GET", "/v1/openapi.json", {}),
    ("GET", "/v1/asyncapi.json", {}),
]


@pytest.mark.parametrize(("method", "path", "options"), REQUESTS)
def test_real_answers_are_as_described(
    client: httpx.Client, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = client.request(method, path, **options)
    templates = {re.sub(r"\{\w+\}", "[^/]+", each): each for each in OPENAPI["paths"]}
    (template,) = [each for pattern, each in templates.items() if re.fullmatch(pattern, path)]
    described = OPENAPI["paths"][template][method.lower()]["responses"][str(answer.status_code)]
    if answer.status_code == 204:
        assert not answer.content
        return
    content = described["content"][answer.headers["content-type"].partition(";")[0]]
    validator(content["schema"], OPENAPI).validate(answer.json())


def test_lines_and_followed_messages_are_as_described(client: httpx.Client) -> None:
    import io

    import numpy as np
    import soundfile

    from tests.support.sounds import make

    file = io.BytesIO()
    soundfile.write(file, np.concatenate([make("noise", 16000), make("speech", 16000)]), 16000, format="WAV")
    answer = client.post("/v1/classify", content=file.getvalue(), params={"scores": 1, "onsets": 1})
    content = OPENAPI["paths"]["/v1/classify"]["post"]["responses"]["200"]["content"]
    each_line = validator(content["application/x-ndjson"]["schema"], OPENAPI)
    for line in answer.content.splitlines():
        each_line.validate(json.loads(line))
    content = OPENAPI["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]
    each_message = validator(content["text/event-stream"]["schema"], OPENAPI)
    seen = set()
    headers = {"Accept": "text/event-stream"}
    with client.stream(
        "GET", "/v1/events", params={"kinds": ["scores", "level"]}, headers=headers
    ) as followed:
        for line in followed.iter_lines():
            if line.startswith("data: "):
                message = json.loads(line[6:])
                each_message.validate(message)
                seen.add(message["type"])
                if seen >= {"scores", "level"}:
                    break


def test_messages_of_the_websocket_are_as_described(client: httpx.Client) -> None:
    description = asyncapi()
    messages = description["components"]["messages"]
    assert set(messages) == {
        kind.__name__ for kind in (*get_args(ClientMessage), *get_args(ServerMessage))
    } | {"Sound"}
    of_type = {each["name"]: validator(each["payload"], description) for each in messages.values()}
    hello = {"type": "hello", "version": 1, "rate": 16000}
    of_type["hello"].validate(hello)
    with Peer(str(client.base_url)) as peer:
        peer.say(hello)
        peer.say({"type": "ping", "id": 7})
        peer.end()
    assert {each["type"] for each in peer.got} >= {"ready", "pong", "end"}
    for message in peer.got:
        of_type[message["type"]].validate(message)


def test_requests_made_from_the_description_find_nothing(client: httpx.Client) -> None:
    """By schemathesis: bounded, and the same each time."""
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    statuses: set[int] = set()
    schema = schemathesis.openapi.from_dict(OPENAPI)
    schema.config.update(base_url=str(client.base_url))
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=12,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def each(case: Any) -> None:
            statuses.add(case.call_and_validate(checks=checks, timeout=20).status_code)

        each()
    assert statuses >= {200, 400, 404}
