"""Look: the terminal's colours and measures as the page is given them, so that both have one home."""

from __future__ import annotations

from typing import Any

from stream._version import __version__
from stream.dashboard import bars, palette
from stream.dashboard.ground import Ground
from stream.dashboard.spectrogram import LOWEST_TOP_DB, RANGE_DB, SCALE_HERTZ
from stream.dashboard.theme import Theme


def look() -> dict[str, Any]:
    """JSON-ready.

    ``dark`` and ``light`` hold the colours of classes by number (``full`` where an event is on, ``faint`` elsewhere;
    the last one is for classes that are never events) and of the spectrogram from silence to full, as [red, green,
    blue].
    The rest are the measures of the level meter and of the spectrogram.
    """
    return {
        "version": __version__,
        "dark": _colours("dark", palette.DARK),
        "light": _colours("light", palette.LIGHT),
        "floor_dbfs": bars.METER_FLOOR_DBFS,
        "high_dbfs": bars.HIGH_LEVEL_DBFS,
        "range_db": RANGE_DB,
        "lowest_top_db": LOWEST_TOP_DB,
        "scale_hertz": SCALE_HERTZ,
    }


def _colours(ground: Ground, accents: palette.Accents) -> dict[str, Any]:
    spectrum = Theme(ground=ground).spectrum
    return {
        "full": accents.full,
        "faint": accents.faint,
        "spectrum": [list(colour.get_truecolor()) for colour in spectrum],
    }
