"""Session: the clips one after another, and what keys do with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stream.errors import OutputError
from stream.review.verdicts import Said, Verdict, Verdicts
from stream.review.waiting import WaitingClip

# Arrow and function keys come as a run of characters, none of which was meant by itself.
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?<]*[ -/]*[@-~]|O.)")
ENTER, ERASE, CANCEL, NEXT = "\r\n", "\x7f\x08", "\x1b", "\t"
LONGEST_LABEL = 64


class Session:
    """What is judged, and how far it is.

    Args:
        clips: all there are; those that were judged before are passed over.
        again: also those.

    Attributes:
        place: which clip is shown; the number of clips when all are done.
        typed: the label that is being typed; None while none is.
        note: what the last key did, or why it could not.
        ended: the person wants to leave.
        plays: how often the sound was asked for.

    Raises:
        OutputError: verdicts cannot be read.
    """

    def __init__(self, clips: Sequence[WaitingClip], *, again: bool = False) -> None:
        self._verdicts: dict[Path, Verdicts] = {}
        for clip in clips:
            if clip.path.parent not in self._verdicts:
                self._verdicts[clip.path.parent] = Verdicts(clip.path.parent)
        self.clips = [clip for clip in clips if again or self._verdict(clip) is None]
        self.done_before = len(clips) - len(self.clips)
        self._undo: list[
            tuple[int, Verdict | None, bool]
        ] = []  # place, verdict before, whether it was changed
        self.said: Counter[Said] = Counter()
        labels = [clip.record.label for clip in clips]
        labels += [verdict.label for each in self._verdicts.values() for verdict in each.all.values()]
        self.labels = sorted({label for label in labels if label})
        self.place = 0
        self.typed: str | None = None
        self.note = ""
        self.ended = False
        self.plays = 0

    @property
    def clip(self) -> WaitingClip | None:
        """What is shown; None when all are done."""
        return self.clips[self.place] if self.place < len(self.clips) else None

    @property
    def folders(self) -> list[Path]:
        """Where verdicts are."""
        return list(self._verdicts)

    def verdict(self) -> Verdict | None:
        """What was said before of the clip that is shown."""
        return None if self.clip is None else self._verdict(self.clip)

    def press(self, typed: str) -> None:
        """Take keys, in the order in which they were typed."""
        for key in _ESCAPES.sub("", typed):
            if self.ended:
                return
            if self.typed is None:
                self._command(key.lower())
            else:
                self._type(key)

    def _command(self, key: str) -> None:
        self.note = ""
        if key == "q":
            self.ended = True
        elif key == "u":
            self._take_back()
        elif self.clip is None:
            return
        elif key == "y":
            self._answer(Verdict("right", self.clip.record.label))
        elif key == "n":
            self._answer(Verdict("wrong", ""))
        elif key == "l":
            self.typed = ""
        elif key == "s":
            self._undo.append((self.place, None, False))
            self.place += 1
        elif key in " p":
            self.plays += 1

    def _type(self, key: str) -> None:
        assert self.typed is not None
        if key in CANCEL:
            self.typed = None
        elif key in ENTER:
            # Commas, semicolons and bars part labels in manifests.
            label = " ".join(re.sub(r"[;|]", " ", self.typed).split())
            self.typed = None
            if label and self.clip is not None:
                self._answer(Verdict("right" if label == self.clip.record.label else "other", label))
        elif key in ERASE:
            self.typed = self.typed[:-1]
        elif key in NEXT:
            self.typed = _after(self.typed, self.labels)
        elif key.isprintable() and len(self.typed) < LONGEST_LABEL:
            self.typed += key

    def _answer(self, verdict: Verdict) -> None:
        clip = self.clip
        assert clip is not None
        before = self._verdict(clip)
        if self._put(clip, verdict):
            self._undo.append((self.place, before, True))
            self.said[verdict.said] += 1
            if verdict.label and verdict.label not in self.labels:
                self.labels = sorted([*self.labels, verdict.label])
            self.note = f"{verdict.said}: {verdict.label or clip.path.name}"
            self.place += 1

    def _take_back(self) -> None:
        if not self._undo:
            self.note = "nothing to undo"
            return
        place, before, changed = self._undo[-1]
        clip = self.clips[place]
        now = self._verdict(clip)
        if changed and not self._put(clip, before):
            return
        self._undo.pop()
        if changed and now is not None:
            self.said[now.said] -= 1
        self.place = place
        self.note = "taken back" if changed else ""

    def _put(self, clip: WaitingClip, verdict: Verdict | None) -> bool:
        try:
            self._verdicts[clip.path.parent].put(clip.path.name, clip.record, verdict)
        except OutputError as error:
            self.note = str(error)
            return False
        return True

    def _verdict(self, clip: WaitingClip) -> Verdict | None:
        return self._verdicts[clip.path.parent].of(clip.path.name)


def _after(typed: str, labels: Sequence[str]) -> str:
    """The known label behind ``typed``: the next one, or the first that begins so."""
    if typed in labels:
        return labels[(labels.index(typed) + 1) % len(labels)]
    return next((label for label in labels if label.lower().startswith(typed.lower())), typed)
