"""Shapes of SVG as text. What comes from outside is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from stream.printable import printable


def safe(text: str) -> str:
    """Text for HTML and SVG, in elements and in attributes."""
    return escape(printable(text), quote=True)


def rectangle(x: float, y: float, width: float, height: float, look: str, tip: str = "") -> str:
    """A rectangle with a CSS class, and what to show of it when it is pointed at."""
    shape = f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f"{shape}><title>{safe(tip)}</title></rect>" if tip else f"{shape}/>"


def words(x: float, y: float, text: str, look: str = "", anchor: str = "start") -> str:
    """Text; ``anchor`` is "start", "middle" or "end"."""
    at = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{at}{_look(look)}>{safe(text)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, look: str, tip: str = "") -> str:
    """A straight line."""
    shape = f'<line{_look(look)} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f"{shape}><title>{safe(tip)}</title></line>" if tip else f"{shape}/>"


def path(points: Sequence[tuple[float, float]], look: str, *, closed: bool = False) -> str:
    """Straight lines from point to point; nothing for less than two."""
    if len(points) < 2:
        return ""
    (x, y), *others = points
    steps = "".join(f"L{x:.1f} {y:.1f}" for x, y in others)
    return f'<path{_look(look)} d="M{x:.1f} {y:.1f}{steps}{"z" if closed else ""}"/>'


def picture(width: float, height: float, title: str, description: str, shapes: Sequence[str]) -> str:
    """An SVG element that scales with the page, and says in words what it shows."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{safe(title)}. {safe(description)}" '
        f'preserveAspectRatio="xMinYMin meet">\n<title>{safe(title)}</title>\n<desc>{safe(description)}</desc>\n'
        + "\n".join(shape for shape in shapes if shape)
        + "\n</svg>"
    )


def standalone(svg: str, style: str) -> str:
    """A `picture` as a file of its own.

    Args:
        svg: of ``picture``.
        style: CSS.
    """
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        "\n<title>", f"\n<style>{style}</style>\n<title>", 1
    )


def _look(look: str) -> str:
    return f' class="{look}"' if look else ""
