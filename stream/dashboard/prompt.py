"""Prompt: a line that is typed on the dashboard, as an answer to a question."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len

from stream.dashboard.text import fit
from stream.dashboard.theme import Theme
from stream.printable import printable

LONGEST = 64  # characters of a line
ENTER, ESCAPE, ERASE, CLEAR = ("\r", "\n"), "\x1b", ("\x7f", "\b"), "\x15"  # Ctrl-U clears
HELP = "Enter keeps it  Esc leaves"


@dataclass(frozen=True, slots=True)
class Prompt:
    """How far a line is typed. Each key gives a new one.

    Attributes:
        words: what is asked for.
        typed: so far.
        trouble: why the line was not taken; shown until the next key.
        ended: "taken" by Enter, "left" by Esc, "" while it is typed.
    """

    words: str
    typed: str = ""
    trouble: str = ""
    ended: Literal["", "taken", "left"] = ""

    def typing(self, key: str) -> Prompt:
        """The line after one more key; keys that type nothing, such as arrows, change nothing."""
        calm = replace(self, trouble="")
        if key in ENTER:
            return replace(calm, ended="taken")
        if key == ESCAPE:
            return replace(calm, ended="left")
        if key in ERASE:
            return replace(calm, typed=self.typed[:-1])
        if key == CLEAR:
            return replace(calm, typed="")
        if len(key) == 1 and key.isprintable() and len(self.typed) < LONGEST:
            return replace(calm, typed=self.typed + key)
        return calm

    def line(self, width: int, theme: Theme) -> str:
        """What the screen shows, in exactly ``width`` cells: of a long line its end, of trouble its beginning."""
        if self.trouble:
            return fit(printable(self.trouble, theme.encoding), width, theme.glyphs.ellipsis)
        cursor = theme.glyphs.left_eighths[-1]
        typed = printable(self.typed, theme.encoding)
        line = f"{self.words}: {typed}{cursor}"
        if cell_len(f"{line}  {HELP}") <= width:
            line = f"{line}  {HELP}"
        elif cell_len(line) > width:
            line = f"{theme.glyphs.ellipsis}{typed}{cursor}"
            while len(line) > 2 and cell_len(line) > width:
                line = line[0] + line[2:]
        return fit(line, width, theme.glyphs.ellipsis)
