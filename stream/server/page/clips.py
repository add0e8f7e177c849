"""Clips: the sound of an event, where it is kept."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse, Response

from stream.logbook.reader import HistoryReader
from stream.server.refusals import Refused

# What a clip may be, by its first bytes: a history names any path, and nothing but sound is read out of it.
KINDS = {b"fLaC": "audio/flac", b"RIFF": "audio/wav"}

LARGEST = 2**63  # from here on, no number of SQLite's


def clip_of_history(history: str, run: int, number: int, label: str) -> Path | None:
    """Where the clip of an event lies; None where the history knows of none.

    Raises:
        HistoryInvalid, OutputError, TryAgain: the history cannot be read.
    """
    if max(run, number) >= LARGEST:
        return None
    with HistoryReader(history) as reader:
        found = reader.clip(run, number, label)
    return None if found is None else Path(found)


def clip_answer(path: Path | None) -> Response:
    """A clip, all of it or the range that is asked for.

    Raises:
        Refused: there is none, or what lies there is no sound.
    """
    kind = None if path is None else _kind(path)
    if path is None or kind is None:
        raise Refused("no_clip", "no sound is kept of this event, or it has been removed since", status=404)
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


def _kind(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return KINDS.get(file.read(4))
    except OSError:
        return None
