"""A new session: its folder and description, and the steps that are written into it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import OutputError
from stream.session.description import FILE_NAME
from stream.session.index import Step

if TYPE_CHECKING:
    from stream.decisions.spec import DetectorSpec
    from stream.messages import Chunk
    from stream.session.description import Description


def create(folder: Path, description: Description) -> Path:
    """Make the folder of a session, with its description.

    Raises:
        OutputError: it cannot be made, or something is there already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(
                f"record {folder}: is not empty; name a new folder, or one by the time: {folder}-%Y%m%d-%H%M%S"
            )
        # Made, not opened: of two instances that begin at once, one is refused.
        fd = os.open(folder / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with open(fd, "wb") as file:
            file.write(description.encoded())
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise OutputError(f"record {folder}: another file or session is there; name a new folder") from None
    except OSError as error:
        raise OutputError(f"record {folder}: {error.strerror}; name a folder that can be written") from None
    return folder


def segment_folder(folder: Path, number: int) -> Path:
    """Where segment ``number``, from 1, is."""
    return folder / f"{number:06d}"


def step_of(
    chunk: Chunk | None,
    known: tuple[str, str],
    due: int,
    rows: int,
    text: int,
    rules: DetectorSpec | None = None,
) -> Step:
    """What the index says about a chunk and its result.

    Args:
        chunk: None at the end of the stream.
        known: state and detail of the chunk before it.
        due: the sample that follows the chunk before it.
        rows, text: rows of scores, and bytes of lines.
        rules: of the detector, where they changed.
    """
    if chunk is None:
        return Step(rows=rows, text=text, flush=True)
    return Step(
        n=len(chunk.samples),
        start=None if chunk.start == due else chunk.start,
        at=chunk.captured_at,
        state=None if chunk.state == known[0] else chunk.state,
        detail=None if chunk.detail == known[1] else chunk.detail,
        missing=chunk.missing,
        nan=_runs(np.isnan(chunk.samples)),
        rows=rows,
        text=text,
        rules=rules,
    )


def _runs(marked: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[tuple[int, int], ...]:
    """(offset, length) of each run of True."""
    if not marked.any():
        return ()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]])))
    return tuple((int(low), int(high - low)) for low, high in edges.reshape(-1, 2))
