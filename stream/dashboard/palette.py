"""Palette: the colours of classes and of the spectrogram, chosen by hand for dark and for light grounds.

A class is drawn in a full colour where an event is on, and in a faint one of the same hue elsewhere: nearer to the
ground than the full one, on either ground.
"""

from __future__ import annotations

from typing import NamedTuple

# Ten hues, neighbours far apart, and the same ten again in another lightness.


class Accents(NamedTuple):
    """Colours of one ground, by number of the class, the last one for classes that are never events.

    Attributes:
        full, faint: in 24 bits.
        cube, faint_cube: of the 256 colours.
        basic: of the 16 colours; faint ones are dimmed by the terminal.
    """

    full: tuple[str, ...]
    faint: tuple[str, ...]
    cube: tuple[int, ...]
    faint_cube: tuple[int, ...]
    basic: tuple[str, ...]


DARK = Accents(
    full=(
        "#58a6ff", "#f0883e", "#56c271", "#d67ad2", "#e3b341", "#f47067", "#39c5cf", "#a28bff", "#b0c94c", "#ff8fb1",
        "#4f8cc9", "#c96f2f", "#3f9a58", "#a85ea6", "#b58a2a", "#c2514a", "#2d9aa3", "#7d6bd0", "#869a38", "#c96a8a",
        "#8b949e",
    ),
    faint=(
        "#274a75", "#6b3d1c", "#25583a", "#5f3760", "#655022", "#6e3431", "#1c595f", "#483e73", "#4f5a25", "#6f4050",
        "#234063", "#59351b", "#204a31", "#502f50", "#54431e", "#5c2d2b", "#194a4f", "#3d355f", "#424b20", "#5c3643",
        "#41464c",
    ),
    cube=(75, 208, 77, 176, 179, 203, 44, 141, 149, 211, 68, 166, 71, 133, 136, 167, 37, 98, 106, 168, 246),
    faint_cube=(25, 94, 22, 53, 58, 52, 23, 54, 64, 89, 24, 94, 22, 53, 58, 52, 23, 54, 64, 89, 239),
    basic=("bright_blue", "yellow", "green", "magenta", "cyan", "red", "white"),
)  # fmt: skip
LIGHT = Accents(
    full=(
        "#0969da", "#c4560a", "#1a7f37", "#a03fa0", "#916300", "#cf222e", "#137a82", "#6a4bcf", "#5a7500", "#bf3989",
        "#2f7fc4", "#d9702a", "#2f9450", "#b45fb3", "#a87e1c", "#d9534c", "#258f98", "#8a75da", "#738a24", "#cf5f92",
        "#6e7681",
    ),
    faint=(
        "#b9d6f5", "#fad0b3", "#b9dfc2", "#e8c6e7", "#ecdcae", "#f6c8c5", "#b5dfe2", "#d3caf4", "#d8e2b2", "#f4c9de",
        "#c4dcf4", "#f8d8c2", "#c5e4cd", "#ebd0ea", "#eee2be", "#f6d2d0", "#c2e3e6", "#dad3f4", "#dee6c2", "#f4d3e3",
        "#d8dbdf",
    ),
    cube=(26, 166, 28, 133, 136, 160, 30, 62, 64, 162, 32, 172, 34, 170, 178, 167, 37, 98, 106, 168, 243),
    faint_cube=(
        153, 223, 151, 182, 229, 224, 152, 189, 193, 218, 153, 223, 151, 182, 229, 224, 152, 189, 193, 218, 252,
    ),
    basic=("blue", "red", "green", "magenta", "cyan", "yellow", "bright_black"),
)  # fmt: skip

# What is not about a class: in 24 bits, of the 256 colours, of the 16.
DARK_MEANINGS = {
    "quiet": ("#6e7681", 243, "bright_black"),
    "good": ("#56c271", 77, "green"),
    "warning": ("#e3b341", 179, "yellow"),
    "alarm": ("#f47067", 203, "red"),
}
LIGHT_MEANINGS = {
    "quiet": ("#6e7681", 243, "bright_black"),
    "good": ("#1a7f37", 28, "green"),
    "warning": ("#916300", 94, "magenta"),  # yellow cannot be read on white
    "alarm": ("#cf222e", 160, "red"),
}

# From silence to full. On a dark ground: night blue, violet, rose, amber, cream; on a light one: paper, lilac, rose,
# wine. The short lists are made of colours that the 256-colour cube has, so that steps stay even there.
DARK_SPECTRUM: tuple[str, ...] = (
    "#0b0d1a", "#1d1a4a", "#4b2382", "#86308c", "#c43c75", "#ee6352", "#fb9d4a", "#fdd56f", "#fdf8d0",
)  # fmt: skip
LIGHT_SPECTRUM: tuple[str, ...] = (
    "#f1f1f6",
    "#ded9f0",
    "#c7b3e6",
    "#b98ad6",
    "#b262bd",
    "#a33d94",
    "#822a68",
    "#551c42",
    "#260f1f",
)
DARK_CUBE_SPECTRUM: tuple[str, ...] = (
    "#080808", "#121212", "#00005f", "#5f005f", "#5f0087", "#870087", "#af005f",
    "#d75f5f", "#ff875f", "#ffaf5f", "#ffd75f", "#ffd787", "#ffffaf",
)  # fmt: skip
LIGHT_CUBE_SPECTRUM: tuple[str, ...] = (
    "#eeeeee", "#d7d7ff", "#d7d7d7", "#d7afff", "#d7afd7", "#d787ff", "#d787d7",
    "#d75faf", "#af5faf", "#af0087", "#870087", "#87005f", "#5f005f", "#1c1c1c",
)  # fmt: skip
