"""The sound of events, where it is kept."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from stream.errors import OutputError
from stream.server.http.history_pages import find_clip
from stream.server.http.operation import Answer, NoQuery, Operation
from stream.server.refusals import Refused

# What clips are written as: the beginning of the file -> media type. Whatever a history may say, nothing else is sent.
_KINDS = {b"fLaC": "audio/flac", b"RIFF": "audio/wav", b"OggS": "audio/ogg"}


async def get_clip(request: Request, query: NoQuery) -> Response:
    """The sound of one event. The address names the event and no file, so none but a clip can be asked for."""
    run, _, number = str(request.path_params["id"]).partition("-")
    path = request.app.state.station.history
    if not (path and _is_count(run) and _is_count(number)):
        raise _missing()
    try:
        found = await asyncio.to_thread(find_clip, path, int(run), int(number))
    except OutputError as error:
        raise Refused("history", str(error), status=503, headers={"Retry-After": "5"}) from None
    return await clip_answer(found)


async def clip_answer(path: str | Path | None) -> Response:
    """The sound in a file.

    Raises:
        Refused: there is none, or the file is no sound.
    """
    media = None if path is None else await asyncio.to_thread(_media, path)
    if path is None or media is None:
        raise _missing()
    return FileResponse(path, media_type=media, headers={"Cache-Control": "private, max-age=3600"})


def _media(named: str | Path) -> str | None:
    try:
        # Neither a link to elsewhere nor a pipe that would block.
        handle = os.open(named, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        return _KINDS.get(os.read(handle, 4)) if stat.S_ISREG(os.fstat(handle).st_mode) else None
    finally:
        os.close(handle)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _missing() -> Refused:
    return Refused("unknown_clip", "there is no sound of this event, or no longer", status=404)


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/clips/{id}",
        name="get_clip",
        summary="The sound of an event; Range is understood",
        handler=get_clip,
        scope="read",
        answers={
            200: Answer("the sound", None, tuple(_KINDS.values())),
            206: Answer("a part of it", None, tuple(_KINDS.values())),
            416: Answer("no such part", None, ("text/plain",)),
        },
        refusals={404: "there is no sound of this event"},
    ),
)
