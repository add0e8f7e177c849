"""Times in addresses."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from stream.server.refusals import Refused


def moment(text: str, name: str, otherwise: float) -> float:
    """Seconds since 1970 of ``2026-11-27T20:15:00Z``, of a date, or of such a number; ``otherwise`` of "".

    Times without a zone are in UTC, so that the answer does not depend on where the station stands.

    Raises:
        Refused: it is none.
    """
    if not text:
        return otherwise
    try:
        seconds = float(text)
        if math.isfinite(seconds) and abs(seconds) < 1e11:
            return seconds
    except ValueError:
        try:
            # In an address a plus sign is a space.
            found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    raise Refused(
        "invalid_parameter",
        f"{name} {text!r}: want a time such as 2026-11-27T20:15:00Z, or seconds since 1970",
    )
