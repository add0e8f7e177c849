"""The dashboard: ``render`` is pure, ``Dashboard`` is the thin shell that draws it in a terminal."""

from __future__ import annotations

from stream.dashboard.controls import Key, Question
from stream.dashboard.layout import Screen, render
from stream.dashboard.shell import Dashboard, Ending
from stream.dashboard.svg import to_svg
from stream.dashboard.theme import Theme

__all__ = ["Dashboard", "Ending", "Key", "Question", "Screen", "Theme", "render", "to_svg"]
