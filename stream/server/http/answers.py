"""Answers as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from stream.printable import printable, printable_json
from stream.server.refusals import Refused, error_json

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}  # answers are of this moment, and of whoever asked


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """``value`` as JSON."""
    data = printable_json(msgspec.json.encode(value))
    return Response(data, status, {**NO_STORE, **(headers or {})}, JSON)


def error_answer(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error as JSON."""
    return Response(error_json(code, printable(message)), status, {**NO_STORE, **(headers or {})}, JSON)


def refusal_answer(refused: Refused) -> Response:
    """A refusal as JSON."""
    return error_answer(refused.code, str(refused), refused.status, refused.headers)
