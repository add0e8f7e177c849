"""Refused: a request that is not granted, as an error with a code that programs can tell apart."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stream.errors import StreamClassifyError


class Refused(StreamClassifyError):
    """A request is not granted. Becomes ``{"error": {"code": …, "message": …}}``.

        Refused
        ├── Unauthorised   no token, or one that is not known
        └── Forbidden      known, but this is not granted

    Attributes:
        code: for programs; never changes its meaning.
        status: of HTTP.
        headers: of the answer.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.headers = dict(headers or {})


class Unauthorised(Refused):
    """It is not known who asks. Send a token."""

    def __init__(
        self,
        code: str = "no_token",
        message: str = "send a token: Authorization: Bearer TOKEN",
        *,
        status: int = 401,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            code, message, status=status, headers={"WWW-Authenticate": "Bearer", **(headers or {})}
        )


class Forbidden(Refused):
    """It is known who asks, or from where, and that is not granted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, status=403)


class Problem(msgspec.Struct, frozen=True):
    """What was wrong.

    Attributes:
        code: for programs; never changes its meaning.
        message: one line for people.
    """

    code: str
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is an error, and the line that ends a broken recording."""

    error: Problem


def error_json(code: str, message: str) -> bytes:
    """The JSON of an error, on one line."""
    return msgspec.json.encode(ErrorAnswer(Problem(code, " ".join(message.split()))))
