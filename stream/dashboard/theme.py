"""Theme: the colours and characters a terminal can show. One accent colour a class, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.style import Style

# Twenty hues of like lightness, neighbours far apart; readable on dark and on light backgrounds.
ACCENTS = (
    "#58a6ff", "#f0883e", "#56c271", "#d67ad2", "#e3b341",
    "#f47067", "#39c5cf", "#a28bff", "#b0c94c", "#ff8fb1",
    "#4f8cc9", "#c96f2f", "#3f9a58", "#a85ea6", "#b58a2a",
    "#c2514a", "#2d9aa3", "#7d6bd0", "#869a38", "#c96a8a",
)  # fmt: skip
GREY = "#8b949e"
BACKGROUND = ColorTriplet(13, 17, 23)

# From silence to full: night blue, violet, rose, amber, cream. The short list is made of colours that the
# 256-colour cube has, so that steps stay even there.
_ANCHORS = (
    "#0b0d1a", "#1d1a4a", "#4b2382", "#86308c", "#c43c75", "#ee6352", "#fb9d4a", "#fdd56f", "#fdf8d0",
)  # fmt: skip
_CUBE = (
    "#080808", "#121212", "#00005f", "#5f005f", "#5f0087", "#870087", "#af005f",
    "#d75f5f", "#ff875f", "#ffaf5f", "#ffd75f", "#ffd787", "#ffffaf",
)  # fmt: skip

Depth = Literal["none", "basic", "cube", "full"]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of the dashboard; all one cell wide but the ASCII arrow."""

    left_eighths: str  # fills a cell from the left: empty to full
    low_eighths: str  # fills a cell from below: empty to full
    shades: str  # for a spectrogram without colour
    half: str | None  # upper half block; None = cannot be drawn
    threshold: str
    peak: str
    track: str
    cold: str
    gap: str
    mark: dict[str, str]  # by source state; "on" = an event that is still on
    corners: str  # top left, top right, bottom left, bottom right
    rules: str  # horizontal, vertical
    joints: str  # down, up, right, left, cross: the arms a junction has besides its line
    ellipsis: str
    dot: str
    arrow: str
    times: str


BLOCKS = Glyphs(
    left_eighths=" ▏▎▍▌▋▊▉█",
    low_eighths=" ▁▂▃▄▅▆▇█",
    shades=" ░▒▓█",
    half="▀",
    threshold="┊",
    peak="▏",
    track="·",
    cold="·",
    gap="╱",
    mark={"listening": "●", "silent": "○", "recovering": "↻", "failed": "✕", "on": "▶"},
    corners="╭╮╰╯",
    rules="─│",
    joints="┬┴├┤┼",
    ellipsis="…",
    dot="·",
    arrow="→",
    times="×",
)
ASCII = Glyphs(
    left_eighths=" -=#",
    low_eighths=" .:-=+*#",
    shades=" .:-=+*#%@",
    half=None,
    threshold="|",
    peak="]",
    track=" ",
    cold=",",
    gap="/",
    mark={"listening": "*", "silent": "o", "recovering": "~", "failed": "!", "on": ">"},
    corners="++++",
    rules="-|",
    joints="+++++",
    ellipsis="~",
    dot="-",
    arrow="->",
    times="x",
)


@dataclass(frozen=True, slots=True)
class Theme:
    """What to draw with.

    Attributes:
        depth: colours: "none", "basic" (16), "cube" (256) or "full" (24 bits).
        encoding: of the terminal; characters it lacks are replaced.
    """

    depth: Depth = "full"
    encoding: str = "utf-8"

    @classmethod
    def of(cls, console: Console) -> Theme:
        """The best this console can show."""
        depths: dict[str | None, Depth] = {
            "standard": "basic",
            "windows": "basic",
            "256": "cube",
            "truecolor": "full",
        }
        depth = "none" if console.no_color else depths.get(console.color_system, "none")
        return cls(depth, console.encoding)

    @property
    def glyphs(self) -> Glyphs:
        return _glyphs(self.encoding)

    @property
    def spectrum(self) -> tuple[Color, ...]:
        """Colours from silence to full; empty where shades must do."""
        return _spectrum(self.depth)

    def accent(self, index: int, enabled: bool = True) -> Style:
        """The colour of class ``index``; grey for a class that never becomes an event."""
        return _accent(self.depth, index % len(ACCENTS) if enabled else -1, 1.0)

    def faint(self, index: int, enabled: bool = True) -> Style:
        """The same colour, held back: probability that is no event."""
        return _accent(self.depth, index % len(ACCENTS) if enabled else -1, 0.45)

    @property
    def quiet(self) -> Style:
        """Frames, units and everything that only explains."""
        return _style(self.depth, "#6e7681", "bright_black", "dim")

    @property
    def strong(self) -> Style:
        return Style(bold=True)

    @property
    def good(self) -> Style:
        return _style(self.depth, "#56c271", "green", "")

    @property
    def warning(self) -> Style:
        return _style(self.depth, "#e3b341", "yellow", "bold")

    @property
    def alarm(self) -> Style:
        return _style(self.depth, "#f47067", "red", "bold")


@lru_cache(maxsize=32)
def _glyphs(encoding: str) -> Glyphs:
    everything = "".join(
        "".join(value.values() if isinstance(value, dict) else value or "")
        for value in (getattr(BLOCKS, name) for name in Glyphs.__slots__)
    )
    try:
        everything.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


@lru_cache(maxsize=8)
def _spectrum(depth: Depth) -> tuple[Color, ...]:
    if depth in ("none", "basic"):
        return ()
    if depth == "cube":
        return tuple(Color.parse(name) for name in _CUBE)
    anchors = [Color.parse(name).get_truecolor() for name in _ANCHORS]
    levels = 24
    out = []
    for level in range(levels):
        at = level / (levels - 1) * (len(anchors) - 1)
        i = min(int(at), len(anchors) - 2)
        out.append(Color.from_triplet(blend_rgb(anchors[i], anchors[i + 1], at - i)))
    return tuple(out)


@lru_cache(maxsize=256)
def _accent(depth: Depth, index: int, strength: float) -> Style:
    if depth == "none":
        return Style(dim=True) if strength < 1 else Style.null()
    if depth == "basic":
        names = ("bright_blue", "yellow", "green", "magenta", "cyan", "red")
        return Style(color="white" if index < 0 else names[index % len(names)], dim=strength < 1 or None)
    full = Color.parse(GREY if index < 0 else ACCENTS[index]).get_truecolor()
    return Style(color=Color.from_triplet(blend_rgb(BACKGROUND, full, strength)))


@lru_cache(maxsize=64)
def _style(depth: Depth, full: str, basic: str, without: str) -> Style:
    if depth == "none":
        return Style.parse(without)
    return Style(color=basic if depth == "basic" else full)
