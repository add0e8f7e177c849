"""A figure that needs no window system and changes no global state; colours and legends for few and many classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DPI = 110
FOUND, MISSED, DOUBLED, FALSE = "#2f855a", "#cbd5e0", "#b7791f", "#c53030"
GREY = "#718096"
_STYLES = ("-", "--", ":")
_LONGEST_NAME = 18


def make_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=DPI)


def line_of(number: int) -> dict[str, str]:
    """Colour and line style of a class; thirty can be told apart."""
    return {"color": f"C{number % 10}", "linestyle": _STYLES[number // 10 % len(_STYLES)]}


def short(name: str, longest: int = _LONGEST_NAME) -> str:
    """A class name that leaves room for the picture; plain, whatever it holds."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name).replace("$", r"\$")
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def legend_beside(axes: Any) -> None:
    """The legend at the right of the axes, where it hides nothing; of several columns where there are many lines."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=8, frameon=False,
            ncols=1 + (len(handles) - 1) // 22,
        )  # fmt: skip


def blank(axes: Any, text: str) -> None:
    """Say why there is nothing to see."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)
    axes.set_axis_off()
