"""RecordedSession: a session's folder, read with suspicion."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from stream.errors import SessionInvalid, UsageError
from stream.session import index
from stream.session.description import Description, damaged
from stream.session.segment import Segment

_NUMBER = re.compile(r"[0-9]{6,9}")


class RecordedSession:
    """A session that was recorded, or still is.

    Args:
        folder: of the session.

    Attributes:
        folder: as given.
        description: of the session.
        segments: in order, those that have begun.

    Raises:
        SessionInvalid: there is none, or it is damaged; the message names the file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SessionInvalid(f"session {folder}: no such folder; give one that --record has made")
        self.description = Description.read(self.folder)
        try:
            names = sorted(name for name in os.listdir(self.folder) if _NUMBER.fullmatch(name))
        except OSError as error:
            raise damaged(self.folder, ".", error.strerror) from None
        classes = len(self.description.labels)
        found = [Segment(self.folder, name, classes) for name in sorted(names, key=int)]
        # The last one may have been cut off before its first line; the first one may be about to be removed.
        while found and not found[-1].begun:
            found.pop()
        while found and not found[0].begun:
            found.pop(0)
        for segment in found:
            if not segment.begun:
                raise damaged(self.folder, f"{segment.name}/{index.INDEX}", "is missing or has no line")
        self.segments = found
        if not found:
            raise SessionInvalid(
                f"session {folder}: nothing was recorded yet; it ended before the first sound"
            )

    def part(self, first: int) -> Iterator[Segment]:
        """The segments from number ``first`` on.

        Raises:
            SessionInvalid: one is missing.
        """
        before: Segment | None = None
        for segment in self.segments:
            if segment.number < first:
                continue
            if before is not None and segment.number != before.number + 1:
                raise damaged(self.folder, f"{before.number + 1:06d}", "is missing")
            if before is not None and segment.beginning.follows and not before.closed:
                raise damaged(self.folder, f"{before.name}/{index.INDEX}", "its last line is missing")
            yield segment
            before = segment

    def starts(self) -> list[Segment]:
        """The segments that a replay can begin with: the first one of a stream, and those with a snapshot."""
        return [segment for segment in self.segments if segment.beginning.begins != "continued"]

    def start_before(self, second: float) -> Segment:
        """The last of `starts` that begins at ``second`` of the stream or earlier.

        Raises:
            UsageError: there is none.
        """
        starts = self.starts()
        fit = [segment for segment in starts if segment.second <= second]
        if not fit:
            early = (
                f"the session begins at {starts[0].second:.2f} s" if starts else "it has no beginning left"
            )
            raise UsageError(f"session {self.folder}: nothing at {second:g} s: {early}")
        return fit[-1]
