"""Text on its way to a terminal: harmless, as wide as asked, and patched rightly."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from stream.dashboard.text import changes, fit
from stream.printable import printable


def test_control_characters_never_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\r\n\u202ec\u200bd\x9be\udc80", "utf-8") == "a?[31mb??cd?e?"
    assert printable("é→", "ascii") == "??"
    assert printable("サイレン", "utf-8") == "サイレン"


@pytest.mark.parametrize(("words", "width", "wanted"), [
    ("abc", 5, "abc  "), ("abcdef", 5, "abcd…"), ("サイレン", 6, "サイ… "), ("abc", 2, "ab"), ("abc", 0, ""),
])  # fmt: skip
def test_text_fits_its_cells(words: str, width: int, wanted: str) -> None:
    assert fit(words, width, "…") == wanted
    assert cell_len(wanted) == width


@given(
    old=st.text("ab─█サ", min_size=0, max_size=12),
    new=st.text("ab─█サ", min_size=0, max_size=12),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_patches_make_the_new_line_of_the_old(old: str, new: str, data: st.DataObject) -> None:
    width = max(cell_len(old), cell_len(new))
    lines = []
    for words in (old, new):
        words += " " * (width - cell_len(words))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(words)), max_size=4)))
        ends = [0, *cuts, len(words)]
        lines.append([Segment(words[a:b]) for a, b in pairwise(ends) if b > a])
    cells: dict[int, str] = {}
    for start, line in [(0, lines[0]), *changes(lines[0], lines[1], width)]:
        at = start
        for char in "".join(segment.text for segment in line):
            for cell in range(at, at + cell_len(char)):
                cells[cell] = ""
            cells[at] = char
            at += cell_len(char)
    assert "".join(cells[i] for i in sorted(cells)) == "".join(segment.text for segment in lines[1])
