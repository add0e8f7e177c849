"""Theme: the colours and characters a terminal can show. One accent colour a class, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.style import Style

from stream.dashboard import palette
from stream.dashboard.ground import Ground

BACKGROUND = ColorTriplet(13, 17, 23)  # of pictures

Depth = Literal["none", "basic", "cube", "full"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of the dashboard; all one cell wide but the ASCII arrow."""

    left_eighths: str  # fills a cell from the left: empty to full
    low_eighths: str  # fills a cell from below: empty to full
    shades: str  # for a spectrogram without colour
    half: str | None  # upper half block; None = cannot be drawn
    threshold: str
    bar: str  # the threshold across a timeline
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
    bar="┄",
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
    bar="'",
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
        ground: what it is drawn on.
    """

    depth: Depth = "full"
    encoding: str = "utf-8"
    ground: Ground = "dark"

    @classmethod
    def of(cls, console: Console, ground: Ground = "dark") -> Theme:
        """The best this console can show on its ground."""
        depths: dict[str | None, Depth] = {
            "standard": "basic",
            "windows": "basic",
            "256": "cube",
            "truecolor": "full",
        }
        depth = "none" if console.no_color else depths.get(console.color_system, "none")
        return cls(depth, console.encoding, ground)

    @property
    def glyphs(self) -> Glyphs:
        return _glyphs(self.encoding)

    @property
    def spectrum(self) -> tuple[Color, ...]:
        """Colours from silence to full; empty where shades must do."""
        return _spectrum(self.depth, self.ground)

    def accent(self, index: int, enabled: bool = True) -> Style:
        """The colour of class ``index``; grey for a class that never becomes an event."""
        return _accent(self.depth, self.ground, index if enabled else None, False)

    def faint(self, index: int, enabled: bool = True) -> Style:
        """The same colour, held back: probability that is no event."""
        return _accent(self.depth, self.ground, index if enabled else None, True)

    @property
    def quiet(self) -> Style:
        """Frames, units and everything that only explains."""
        return _meaning(self.depth, self.ground, "quiet", "dim")

    @property
    def strong(self) -> Style:
        return Style(bold=True)

    @property
    def good(self) -> Style:
        return _meaning(self.depth, self.ground, "good", "")

    @property
    def warning(self) -> Style:
        return _meaning(self.depth, self.ground, "warning", "bold")

    @property
    def alarm(self) -> Style:
        return _meaning(self.depth, self.ground, "alarm", "bold")


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
def _spectrum(depth: Depth, ground: Ground) -> tuple[Color, ...]:
    if depth in ("none", "basic"):
        return ()
    dark = ground == "dark"
    if depth == "cube":
        names = palette.DARK_CUBE_SPECTRUM if dark else palette.LIGHT_CUBE_SPECTRUM
        return tuple(Color.parse(name) for name in names)
    names = palette.DARK_SPECTRUM if dark else palette.LIGHT_SPECTRUM
    anchors = [Color.parse(name).get_truecolor() for name in names]
    levels = 24
    out = []
    for level in range(levels):
        at = level / (levels - 1) * (len(anchors) - 1)
        i = min(int(at), len(anchors) - 2)
        out.append(Color.from_triplet(blend_rgb(anchors[i], anchors[i + 1], at - i)))
    return tuple(out)


@lru_cache(maxsize=256)
def _accent(depth: Depth, ground: Ground, index: int | None, faint: bool) -> Style:
    """The style of a class; ``index`` None is that of all classes that are never events."""
    if depth == "none":
        return Style(dim=True) if faint else Style.null()
    accents = palette.DARK if ground == "dark" else palette.LIGHT
    if depth == "basic":
        return Style(color=_pick(accents.basic, index), dim=faint or None)
    if depth == "cube":
        return Style(color=f"color({_pick(accents.faint_cube if faint else accents.cube, index)})")
    return Style(color=_pick(accents.faint if faint else accents.full, index))


def _pick(colours: tuple[T, ...], index: int | None) -> T:
    return colours[-1] if index is None else colours[index % (len(colours) - 1)]


@lru_cache(maxsize=64)
def _meaning(depth: Depth, ground: Ground, name: str, without: str) -> Style:
    """The style of what a colour says; ``without`` colours, how it is said otherwise."""
    if depth == "none":
        return Style.parse(without)
    full, cube, basic = (palette.DARK_MEANINGS if ground == "dark" else palette.LIGHT_MEANINGS)[name]
    return Style(color={"full": full, "cube": f"color({cube})", "basic": basic}[depth])
