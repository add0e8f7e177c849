"""Ground: whether the terminal is dark or light. The terminal is asked; where it does not say, the environment is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal

Ground = Literal["dark", "light"]

# The colour of the background (OSC 11), and then what kind of terminal it is (DA1). Hardly any terminal leaves out the
# second answer, so when it comes there is nothing more to wait for.
QUESTION = "\x1b]11;?\x1b\\\x1b[c"
_COLOUR = re.compile(rb"\x1b\]11;([^\x07\x1b]*)(?:\x07|\x1b\\)")
_KIND = re.compile(rb"\x1b\[\?[0-9;]*c")
_BEGUN = re.compile(rb"\x1b(?:\][^\x07\x1b]*\x1b?|\[\??[0-9;]*)?$")
_RGB = re.compile(r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})", re.IGNORECASE)
_LONGEST_BYTES = 128  # of an answer; what is longer is none
_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue in how light a colour looks


class Answers:
    """Takes the terminal's answers out of what is typed.

    Attributes:
        ground: what it said; None until then.
        pending: an answer is still to come.
    """

    def __init__(self) -> None:
        self.ground: Ground | None = None
        self.pending = False
        self._held = b""

    def asked(self) -> None:
        """`QUESTION` was written."""
        self.pending = True

    def take(self, typed: bytes) -> bytes:
        """What a person typed of the bytes that were read. A part of an answer is held until the rest comes."""
        if not self.pending:
            return typed
        data, self._held = self._held + typed, b""
        for answer in _COLOUR.finditer(data):
            self.ground = ground_of_colour(answer[1].decode("ascii", "replace")) or self.ground
        data = _COLOUR.sub(b"", data)
        if _KIND.search(data):
            self.pending = False
            return _KIND.sub(b"", data)
        begun = _BEGUN.search(data)
        if begun and len(begun[0]) <= _LONGEST_BYTES:
            data, self._held = data[: begun.start()], begun[0]
        return data


def ground_of_colour(text: str) -> Ground | None:
    """Of a colour as X11 writes it, one to four hexadecimal digits each: rgb:ffff/ffff/ffff. None if it is none."""
    found = _RGB.match(text)
    if found is None:
        return None
    parts = [int(part, 16) / (16 ** len(part) - 1) for part in found.groups()]
    return "light" if sum(w * part for w, part in zip(_WEIGHTS, parts, strict=True)) > 0.5 else "dark"


def ground_of_environment(environment: Mapping[str, str] = os.environ) -> Ground:
    """Of the variable COLORFGBG, as some terminals set it: 15;0 or 0;default;15. Dark where there is none."""
    colour = environment.get("COLORFGBG", "").rpartition(";")[2]
    return "light" if colour in ("7", *map(str, range(9, 16))) else "dark"
