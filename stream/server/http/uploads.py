"""Bodies of requests, bounded in size and time."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from stream.server.limits import Limits
from stream.server.refusals import Refused

T = TypeVar("T")
_PIECE_BYTES = 1 << 20  # written at a time, in a thread


async def json_body(request: Request, kind: type[T]) -> T:
    """The JSON of a body as a ``kind``.

    Raises:
        Refused: too large, too slow, no JSON, or not what is wanted.
    """
    limits: Limits = request.app.state.limits
    data = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in _pieces(request, limits.json_bytes):
                data += piece
    except TimeoutError:
        raise Refused("slow_body", "the body took too long; send it again", status=408) from None
    try:
        return msgspec.json.decode(bytes(data), type=kind)
    except msgspec.ValidationError as error:
        raise Refused("invalid_body", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("invalid_json", f"the body is no JSON: {error}") from None


@asynccontextmanager
async def uploaded(request: Request) -> AsyncIterator[Path]:
    """The body as a temporary file, for a block.

    It is kept whole before it is read: many containers have their index at the end, and most clients read no answer
    before they have sent everything, so answering meanwhile could make both sides wait for each other.

    Raises:
        Refused: too large, too slow, empty, or there is no room for it.
    """
    limits: Limits = request.app.state.limits
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise Refused(
            "multipart", "send the recording itself as the body: curl --data-binary @FILE", status=415
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused("encoded_body", "send the recording as it is, without Content-Encoding", status=415)
    with tempfile.TemporaryDirectory(prefix="stream-classify-") as folder:
        path = Path(folder) / "sound"
        try:
            async with asyncio.timeout(limits.upload_seconds):
                size = await _keep(request, path, limits.file_bytes)
        except TimeoutError:
            raise Refused("slow_body", "the recording took too long; send it again", status=408) from None
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise Refused(
                "no_room" if full else "cannot_keep",
                f"the station cannot keep the recording: {error.strerror}; try again later",
                status=507 if full else 500,
            ) from None
        if not size:
            raise Refused("empty_body", "send a recording as the body: curl --data-binary @FILE")
        yield path


async def _keep(request: Request, path: Path, most: int) -> int:
    size = 0
    waiting: list[bytes] = []
    held = 0
    # Nobody else may read what people send.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:

        def write(pieces: list[bytes]) -> None:
            file.write(b"".join(pieces))

        async for piece in _pieces(request, most):
            waiting.append(piece)
            held += len(piece)
            size += len(piece)
            if held >= _PIECE_BYTES:
                await asyncio.to_thread(write, waiting)
                waiting, held = [], 0
        await asyncio.to_thread(write, waiting)
    return size


async def _pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    too_large = Refused("too_large", f"the body is larger than {most} bytes, which is the limit", status=413)
    stated: Any = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > most:
        raise too_large
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise too_large
            yield piece
    except ClientDisconnect:
        raise Refused("disconnected", "the client left") from None
